/** Runs the a2a-proxy as a process of its own. */
import { createBasics, readConfig, run } from '@molecule/service';
import { Config } from './config.ts';
import { createA2aProxy } from './service.ts';

const config = readConfig(Config, process.env);
const basics = createBasics('a2a-proxy', { level: config.LOG_LEVEL });

await run(basics.log, async (scope) => {
  await createA2aProxy(config, basics, scope);
});
