/** What the `main.ts` of a service does: configuration, then the service, then waiting to be told to stop. */
import { flushCompileCache } from 'node:module';
import type { ServiceName } from '@molecule/contracts';
import type { z } from 'zod';
import { type Basics, createBasics } from './basics.ts';
import { ConfigError, type LogLevel, readConfig } from './config.ts';
import { run } from './run.ts';
import type { Scope } from './scope.ts';
import { withTenantSettings } from './tenant-settings.ts';

/**
 * Runs one service in a process of its own. A configuration that is not valid is told on stderr, all mistakes at once, and ends the
 * process with code 1 before anything is opened.
 */
export async function runService<Schema extends z.ZodType<{ readonly LOG_LEVEL: LogLevel }>>(
  service: ServiceName,
  given: NodeJS.ProcessEnv,
  schema: Schema,
  create: (config: z.infer<Schema>, basics: Basics, scope: Scope) => Promise<unknown>,
): Promise<void> {
  try {
    const { env, tell } = await withTenantSettings(given);
    const config = readConfig(schema, env);
    const basics = createBasics(service, { level: config.LOG_LEVEL });
    tell(basics.log);
    await run(basics.log, async (scope) => {
      await create(config, basics, scope);
      flushCompileCache(); // now, since nothing is written when the process is killed
    });
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    process.stderr.write(`${service}: ${error.message}\n`);
    process.exitCode = 1;
  }
}
