/** `node packages/runtime/src/main.ts`: one agent, from the environment, until SIGTERM or Ctrl-C. Exit code 1 when it cannot start. */
import { createLog } from './log.ts';
import { startRuntime } from './runtime.ts';

const GRACE_MS = 4_000;
const LONGEST_STOP_MS = 8_000;
const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

const log = createLog(process.stdout, { service: 'runtime', workspace: process.env['WORKSPACE_ID'] });
const told = new Promise<NodeJS.Signals>((resolve) => {
  for (const signal of SIGNALS) process.once(signal, resolve);
});
try {
  const runtime = await startRuntime(process.env, log);
  log.info({ signal: await told }, 'stopping');
  for (const signal of SIGNALS) process.once(signal, () => process.exit(1));
  setTimeout(() => process.exit(1), LONGEST_STOP_MS).unref();
  await runtime.stop(GRACE_MS);
  log.info({}, 'stopped');
} catch (error) {
  log.error({ err: error }, 'the agent could not start');
  process.exitCode = 1;
}
