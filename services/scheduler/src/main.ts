import { createBasics, readConfig, run } from '@molecule/service';
import { Config } from './config.ts';
import { createScheduler } from './service.ts';

const config = readConfig(Config, process.env);
const basics = createBasics('scheduler', { level: config.LOG_LEVEL });

await run(basics.log, async (scope) => {
  await createScheduler(config, basics, scope);
});
