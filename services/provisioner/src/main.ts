import { createBasics, readConfig, run } from '@molecule/service';
import { Config } from './config.ts';
import { createProvisioner } from './service.ts';

const config = readConfig(Config, process.env);
const basics = createBasics('provisioner', { level: config.LOG_LEVEL });

await run(basics.log, async (scope) => {
  await createProvisioner(config, basics, scope);
});
