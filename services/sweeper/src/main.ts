import { createBasics, readConfig, run } from '@molecule/service';
import { Config } from './config.ts';
import { createSweeper } from './service.ts';

const config = readConfig(Config, process.env);
const basics = createBasics('sweeper', { level: config.LOG_LEVEL });

await run(basics.log, async (scope) => {
  await createSweeper(config, basics, scope);
});
