/** Time enters here, and nowhere else (D11). */
import { randomUUID } from 'node:crypto';

export interface Clock {
  now(): Date;
  /** Milliseconds that never go backwards: for leases, timeouts and durations. */
  monotonicMs(): number;
}

export const systemClock: Clock = { now: () => new Date(), monotonicMs: () => performance.now() };

/** A UUID v4, lower case. */
export const newId: () => string = () => randomUUID();

/** Sleeps, and wakes early when told to stop. Never rejects. */
export const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const wake = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', wake);
      resolve();
    };
    const timer = setTimeout(wake, ms);
    signal.addEventListener('abort', wake);
  });

/** How long to wait before attempt 1, 2, 3 …: `firstMs`, doubling up to `lastMs`. */
export const backoff =
  ({ firstMs, lastMs }: { readonly firstMs: number; readonly lastMs: number }) =>
  (attempt: number): number =>
    Math.min(firstMs * 2 ** Math.min(Math.max(attempt - 1, 0), 52), lastMs);
