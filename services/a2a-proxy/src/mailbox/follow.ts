/**
 * Wakes those who wait for a message to end, so that nobody need ask again and again.
 *
 *   F1. Whoever begins to follow before they look misses no end: a fact is heard after it can be read.
 *   F2. No more than `max` wait in one process (I12); who comes on top is answered at once.
 *   F3. Nobody waits beyond their time, beyond their connection, or beyond this process.
 */

export interface Following {
  /** Resolves when the message may have ended, after `ms`, when `signal` says so, or when the process stops. */
  ended(ms: number, signal: AbortSignal): Promise<void>;
  stop(): void;
}

export class Followers {
  readonly #max: number;
  readonly #wakers = new Map<string, Set<() => void>>();
  #size = 0;
  #closed = false;

  constructor(max = 1_000) {
    this.#max = max;
  }

  get size(): number {
    return this.#size;
  }

  /** `undefined`: too many wait already (F2), or the process stops. */
  follow(messageId: string): Following | undefined {
    if (this.#closed || this.#size >= this.#max) return undefined;
    let wake: () => void = () => undefined;
    const woken = new Promise<void>((resolve) => {
      wake = resolve;
    });
    this.#add(messageId, wake);
    let timer: NodeJS.Timeout | undefined;
    return {
      async ended(ms, signal) {
        timer = setTimeout(wake, ms);
        signal.addEventListener('abort', wake, { once: true });
        if (signal.aborted) wake();
        await woken;
        signal.removeEventListener('abort', wake);
      },
      stop: () => {
        clearTimeout(timer);
        this.#remove(messageId, wake);
      },
    };
  }

  /** The message has ended. */
  wake(messageId: string): void {
    for (const wake of this.#wakers.get(messageId) ?? []) wake();
  }

  /** Something may have been missed: everybody looks again. */
  wakeAll(): void {
    for (const wakers of this.#wakers.values()) for (const wake of wakers) wake();
  }

  close(): void {
    this.#closed = true;
    this.wakeAll();
  }

  #add(messageId: string, wake: () => void): void {
    this.#size++;
    const wakers = this.#wakers.get(messageId);
    if (wakers) wakers.add(wake);
    else this.#wakers.set(messageId, new Set([wake]));
  }

  #remove(messageId: string, wake: () => void): void {
    const wakers = this.#wakers.get(messageId);
    if (!wakers?.delete(wake)) return;
    this.#size--;
    if (wakers.size === 0) this.#wakers.delete(messageId);
  }
}
