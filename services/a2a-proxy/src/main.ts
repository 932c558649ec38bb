/** Runs the a2a-proxy as a process of its own. What was compiled once is kept: the next start is quicker. */
import { enableCompileCache } from 'node:module';

enableCompileCache();
const [{ runService }, { Config, createA2aProxy }] = await Promise.all([import('@molecule/service'), import('./index.ts')]);
await runService('a2a-proxy', process.env, Config, createA2aProxy);
