import { createBasics, readConfig, run } from '@molecule/service';
import { Config } from './config.ts';
import { createRegistry } from './service.ts';

const config = readConfig(Config, process.env);
const basics = createBasics('registry', { level: config.LOG_LEVEL });

await run(basics.log, async (scope) => {
  await createRegistry(config, basics, scope);
});
