import { createBasics, readConfig, run } from '@molecule/service';
import { Config } from './config.ts';
import { createGateway } from './service.ts';

const config = readConfig(Config, process.env);
const basics = createBasics('gateway', { level: config.LOG_LEVEL });

await run(basics.log, async (scope) => {
  await createGateway(config, basics, scope);
});
