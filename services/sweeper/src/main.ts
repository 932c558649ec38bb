/** Runs the sweeper as a process of its own. What was compiled once is kept: the next start is quicker. */
import { enableCompileCache } from 'node:module';

enableCompileCache();
const [{ runService }, { Config, createSweeper }] = await Promise.all([import('@molecule/service'), import('./index.ts')]);
await runService('sweeper', process.env, Config, createSweeper);
