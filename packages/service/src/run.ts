/**
 * Runs a service until it is told to stop, then stops it in order.
 *
 *   R1. A start that fails half-way closes what it had opened.
 *   R2. The first signal closes the scope; a second one, or `graceMs`, ends the process at once.
 *   R3. The exit code is 0 only when everything was closed.
 *   R4. A promise that nobody awaited is logged, and ends nothing. An exception that nobody caught stops the process in
 *       order, with code 1: what it left behind cannot be trusted.
 */
import type { Log } from './log.ts';
import { Scope } from './scope.ts';

const SIGNALS = ['SIGINT', 'SIGTERM'] as const;

export interface RunOptions {
  /** How long closing may take, in milliseconds. */
  readonly graceMs?: number;
}

/** Resolves when everything is closed; the exit code is then in `process.exitCode`. Never rejects. */
export async function run(
  log: Log,
  start: (scope: Scope) => Promise<void>,
  { graceMs = 10_000 }: RunOptions = {},
): Promise<void> {
  const scope = new Scope();
  const told = nextSignal();
  const crashed = watchForCrashes(log);
  const over = Promise.race([told.heard, crashed.heard]).then((cause) => {
    void nextSignal().heard.then(() => process.exit(1)); // R2
    setTimeout(() => process.exit(1), graceMs).unref(); // R2
    return cause;
  });
  void over.then(() => scope.stopOpening());

  try {
    await start(scope);
    const cause = await over;
    if (cause === 'crash') process.exitCode = 1;
    log.info({ cause }, 'stopping');
  } catch (error) {
    if (scope.signal.aborted) {
      log.info('told to stop while starting');
    } else {
      process.exitCode = 1;
      log.fatal({ err: error }, 'could not start');
    }
  }
  await scope.close().catch((error: unknown) => {
    process.exitCode = 1;
    log.error({ err: error }, 'could not stop cleanly');
  });
  told.forget();
  crashed.forget();
  log.info('stopped');
}

function nextSignal(): { heard: Promise<NodeJS.Signals>; forget: () => void } {
  const { promise, resolve } = Promise.withResolvers<NodeJS.Signals>();
  const forget = () => {
    for (const name of SIGNALS) process.off(name, heard);
  };
  const heard = (signal: NodeJS.Signals) => {
    forget();
    resolve(signal);
  };
  for (const name of SIGNALS) process.on(name, heard);
  return { heard: promise, forget };
}

function watchForCrashes(log: Log): { heard: Promise<'crash'>; forget: () => void } {
  const { promise, resolve } = Promise.withResolvers<'crash'>();
  const onRejection = (error: unknown) => log.error({ err: error }, 'a promise was rejected and nobody awaited it');
  const onException = (error: unknown) => {
    log.fatal({ err: error }, 'an exception was not caught');
    resolve('crash');
  };
  process.on('unhandledRejection', onRejection);
  process.on('uncaughtException', onException);
  const forget = () => {
    process.off('unhandledRejection', onRejection);
    process.off('uncaughtException', onException);
  };
  return { heard: promise, forget };
}
