/** Runs the gateway as a process of its own. What was compiled once is kept: the next start is quicker. */
import { enableCompileCache } from 'node:module';

enableCompileCache();
const [{ runService }, { Config, createGateway }] = await Promise.all([import('@molecule/service'), import('./index.ts')]);
await runService('gateway', process.env, Config, createGateway);
