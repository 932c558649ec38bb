/**
 * What a process remembers of streams: their last state, and who is writing. Neither is ever needed for correctness.
 *
 *   T1. A remembered state may be out of date. What is decided on it is stored only if its version is still the head; that it
 *       yields nothing, or a refusal, counts only when decided again on a state read from the database.
 *   T2. Commands on one stream take turns within a process, so that they do not fail each other. Nobody waits for a turn when the
 *       database is away, or for too long: then they go on without one.
 */
import type { Loaded } from './types.ts';

/** The states of the streams used last, whichever aggregate they belong to. */
export class RecentStates {
  readonly #max: number;
  readonly #entries = new Map<string, Loaded<unknown> & { readonly aggregate: object }>();

  constructor(max: number) {
    this.#max = max;
  }

  get<State>(aggregate: object, stream: string): Loaded<State> | undefined {
    const entry = this.#entries.get(stream);
    if (entry?.aggregate !== aggregate) return undefined;
    this.#entries.delete(stream);
    this.#entries.set(stream, entry);
    return entry as Loaded<State>;
  }

  set(aggregate: object, stream: string, { state, version }: Loaded<unknown>): void {
    this.#entries.delete(stream);
    this.#entries.set(stream, { aggregate, state, version });
    if (this.#entries.size <= this.#max) return;
    for (const oldest of this.#entries.keys()) {
      this.#entries.delete(oldest);
      break;
    }
  }

  forget(stream: string): void {
    this.#entries.delete(stream);
  }

  clear(): void {
    this.#entries.clear();
  }
}

/** One at a time per stream, in the order they came (T2). */
export class Turns {
  readonly #maxWaitMs: number;
  readonly #isHopeless: (error: unknown) => boolean;
  readonly #last = new Map<string, Promise<void>>();
  #alarm = Promise.withResolvers<void>();

  /** `isHopeless` tells the failures that the next in turn would only repeat. */
  constructor({ maxWaitMs, isHopeless }: { readonly maxWaitMs: number; readonly isHopeless: (error: unknown) => boolean }) {
    this.#maxWaitMs = maxWaitMs;
    this.#isHopeless = isHopeless;
  }

  async take<R>(stream: string, work: () => Promise<R>): Promise<R> {
    const before = this.#last.get(stream);
    const { promise: done, resolve: end } = Promise.withResolvers<void>();
    // Whoever comes next waits for all before us, also when we did not.
    const tail = before ? before.then(() => done) : done;
    this.#last.set(stream, tail);
    try {
      if (before) await this.#wait(before);
      return await work();
    } catch (error) {
      if (this.#isHopeless(error)) this.#raiseAlarm();
      throw error;
    } finally {
      end();
      if (this.#last.get(stream) === tail) this.#last.delete(stream);
    }
  }

  async #wait(before: Promise<void>): Promise<void> {
    const { promise: tired, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#maxWaitMs);
    await Promise.race([before, this.#alarm.promise, tired]);
    clearTimeout(timer);
  }

  #raiseAlarm(): void {
    this.#alarm.resolve();
    this.#alarm = Promise.withResolvers<void>();
  }
}
