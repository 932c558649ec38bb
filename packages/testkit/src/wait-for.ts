/** Waits for what no event tells: asks again every few milliseconds, up to a deadline, and says what it waited for. */
import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** Default 5 s. */
  readonly timeoutMs?: number;
  /** Ends the sentence "waited 5000 ms for …". */
  readonly what?: string;
}

const ASK_EVERY_MS = 5;

/**
 * Resolves with the first value that is neither `false` nor `undefined` nor `null`. What `probe` throws ends the waiting.
 *
 * @throws Error that says what was waited for, how long, and the last value seen
 */
export async function waitFor<Value>(
  probe: () => Value | Promise<Value>,
  { timeoutMs = 5_000, what = 'a condition' }: WaitOptions = {},
): Promise<Exclude<Value, false | undefined | null>> {
  const deadline = performance.now() + timeoutMs;
  for (;;) {
    const value = await probe();
    if (value !== false && value !== undefined && value !== null) return value as Exclude<Value, false | undefined | null>;
    if (performance.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}; the last answer was ${String(value)}`);
    await delay(ASK_EVERY_MS);
  }
}
