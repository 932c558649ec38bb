/** Does the same again when somebody else was faster, or the database went away: a few times, and not for long. */
import { setTimeout as delay } from 'node:timers/promises';
import { isConnectionLost, isContended, VersionConflict } from './errors.ts';

const ATTEMPTS = 4;
/** A restart of PostgreSQL takes a tenth of a second or two; a caller shall know within two seconds that it does not come back. */
const PATIENCE_MS = 1_500;

/** `attempt` gets 1, 2, 3, 4. What cannot be mended by trying again is thrown at once. */
export async function retrying<R>(attempt: (count: number) => Promise<R>): Promise<R> {
  const started = performance.now();
  for (let count = 1; ; count++) {
    try {
      return await attempt(count);
    } catch (error) {
      const waitMs = waitBefore(error, count);
      if (waitMs === undefined || count === ATTEMPTS || performance.now() - started > PATIENCE_MS) throw error;
      await delay(waitMs);
    }
  }
}

function waitBefore(error: unknown, count: number): number | undefined {
  // Replicas that met once shall not meet again.
  if (error instanceof VersionConflict || isContended(error)) return count === 1 ? 0 : Math.random() * 10 * count;
  if (isConnectionLost(error)) return 50 * 3 ** (count - 1);
  return undefined;
}
