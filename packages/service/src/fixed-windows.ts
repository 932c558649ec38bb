/**
 * Counting what comes from whom, in windows of fixed length that begin with the first request (spec 1 §4.12).
 *
 *   F1. Time is monotonic and given: a wall clock that jumps opens and closes nothing (F16).
 *   F2. What is kept is bounded: windows that are over go when new ones come, and beyond `maxKeys` the oldest goes early.
 */

export interface Admission {
  readonly allowed: boolean;
  readonly limit: number;
  /** What is left after this request. */
  readonly remaining: number;
  /** Whole seconds until the window is refilled, at least 1. */
  readonly resetSeconds: number;
}

export interface FixedWindowsOptions {
  readonly limit: number;
  readonly windowMs: number;
  readonly nowMs: () => number;
  readonly maxKeys?: number;
}

interface Window {
  readonly since: number;
  used: number;
}

const MAX_KEYS = 100_000;

export class FixedWindows {
  readonly #limit: number;
  readonly #windowMs: number;
  readonly #nowMs: () => number;
  readonly #maxKeys: number;
  /** In the order in which they began. */
  readonly #windows = new Map<string, Window>();

  constructor({ limit, windowMs, nowMs, maxKeys = MAX_KEYS }: FixedWindowsOptions) {
    this.#limit = limit;
    this.#windowMs = windowMs;
    this.#nowMs = nowMs;
    this.#maxKeys = maxKeys;
  }

  get size(): number {
    return this.#windows.size;
  }

  /** Counts one request. */
  take(key: string): Admission {
    const now = this.#nowMs();
    let window = this.#windows.get(key);
    if (window === undefined || now - window.since >= this.#windowMs) window = this.#begin(key, now);
    const allowed = window.used < this.#limit;
    if (allowed) window.used++;
    return {
      allowed,
      limit: this.#limit,
      remaining: this.#limit - window.used,
      resetSeconds: Math.max(1, Math.ceil((this.#windowMs - (now - window.since)) / 1000)),
    };
  }

  #begin(key: string, now: number): Window {
    this.#windows.delete(key);
    for (const [oldest, { since }] of this.#windows) {
      if (now - since < this.#windowMs && this.#windows.size < this.#maxKeys) break;
      this.#windows.delete(oldest); // F2
    }
    const window = { since: now, used: 0 };
    this.#windows.set(key, window);
    return window;
  }
}
