/**
 * The background loops of one service, and how they are doing (I11).
 *
 *   L1. A round that throws is logged and never the last: the next comes after 1 s, then 2 s … 30 s; a good round resets this.
 *   L2. A tick is a round that ended well (or what a long task says is one). A loop that hangs or only fails grows stale, visibly.
 *   L3. A nudge during a round means one more round, however many nudges there were. After a failure it waits at least 1 s.
 *   L4. `stop` tells the running round through its signal, and resolves when that round has ended.
 */
import type { Log } from './log.ts';
import { backoff, type Clock, sleep } from './time.ts';

export interface Loop {
  /** Another round now, or right after the running one. */
  nudge(): void;
  stop(): Promise<void>;
}

export type LoopSnapshot = Record<string, { lastTickAt: string; intervalMs: number; ticked: boolean }>;

const FIRST_RETRY_MS = 1_000;
const retryMs = backoff({ firstMs: FIRST_RETRY_MS, lastMs: 30_000 });

export class Loops {
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #loops = new Set<RunningLoop>();

  /** `signal` stops all of them; nobody waits for them then, so prefer `stop()`. */
  constructor({ log, clock, signal }: { readonly log: Log; readonly clock: Clock; readonly signal?: AbortSignal }) {
    this.#log = log;
    this.#clock = clock;
    signal?.addEventListener('abort', () => void this.stop(), { once: true });
  }

  /** Repeats `work` every `intervalMs`, counted from the end of a round. The first round comes after one interval, or at once. */
  every(
    name: string,
    intervalMs: number,
    work: (signal: AbortSignal) => Promise<void>,
    { immediately = false }: { readonly immediately?: boolean } = {},
  ): Loop {
    const loop = this.#add(name, intervalMs);
    return loop.start(async () => {
      let failures = 0;
      if (!immediately) await loop.pause(intervalMs);
      while (!loop.signal.aborted) {
        try {
          await work(loop.signal);
          loop.tick();
          failures = 0;
        } catch (error) {
          if (loop.signal.aborted) break;
          failures++;
          this.#log.error({ err: error, loop: name, failures, retryMs: retryMs(failures) }, 'a round of a loop failed');
          await sleep(FIRST_RETRY_MS, loop.signal);
        }
        await loop.pause(failures === 0 ? intervalMs : retryMs(failures) - FIRST_RETRY_MS);
      }
    });
  }

  /** Keeps a long task running: when it throws or ends by itself, it is started again, later each time until it ticks. */
  supervise(name: string, intervalMs: number, task: (signal: AbortSignal, tick: () => void) => Promise<void>): Loop {
    const loop = this.#add(name, intervalMs);
    return loop.start(async () => {
      let failures = 0;
      const tick = () => {
        failures = 0;
        loop.tick();
      };
      while (!loop.signal.aborted) {
        try {
          await task(loop.signal, tick);
          if (loop.signal.aborted) break;
          failures++;
          this.#log.warn({ loop: name, retryMs: retryMs(failures) }, 'a task ended by itself, and is started again');
        } catch (error) {
          if (loop.signal.aborted) break;
          failures++;
          this.#log.error(
            { err: error, loop: name, failures, retryMs: retryMs(failures) },
            'a task failed, and is started again',
          );
        }
        await sleep(FIRST_RETRY_MS, loop.signal);
        await loop.pause(retryMs(failures) - FIRST_RETRY_MS);
      }
    });
  }

  /** When each loop last ticked. A loop that never did is there with the time of its start, and says so. */
  snapshot(): LoopSnapshot {
    return Object.fromEntries(
      [...this.#loops].map(({ name, intervalMs, lastTick, ticked }) => [
        name,
        { lastTickAt: lastTick.toISOString(), intervalMs, ticked },
      ]),
    );
  }

  /** Stops every loop; resolves when all running rounds have ended. */
  async stop(): Promise<void> {
    await Promise.all([...this.#loops].map((loop) => loop.stop()));
  }

  #add(name: string, intervalMs: number): RunningLoop {
    const loop = new RunningLoop(name, intervalMs, this.#clock, () => this.#loops.delete(loop));
    this.#loops.add(loop);
    return loop;
  }
}

class RunningLoop implements Loop {
  readonly name: string;
  readonly intervalMs: number;
  lastTick: Date;
  ticked = false;
  readonly #clock: Clock;
  readonly #onEnd: () => void;
  readonly #stopping = new AbortController();
  #nudged = false;
  #wake: (() => void) | undefined;
  #ended: Promise<void> = Promise.resolve();

  constructor(name: string, intervalMs: number, clock: Clock, onEnd: () => void) {
    this.name = name;
    this.intervalMs = intervalMs;
    this.#clock = clock;
    this.#onEnd = onEnd;
    this.lastTick = clock.now();
  }

  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  start(body: () => Promise<void>): this {
    this.#ended = body().finally(this.#onEnd);
    return this;
  }

  tick(): void {
    this.ticked = true;
    this.lastTick = this.#clock.now();
  }

  nudge(): void {
    this.#nudged = true;
    this.#wake?.();
  }

  stop(): Promise<void> {
    this.#stopping.abort();
    return this.#ended;
  }

  /** Waits `ms`, or until nudged or stopped. */
  async pause(ms: number): Promise<void> {
    if (!this.#nudged && ms > 0) {
      const woken = new AbortController();
      const wake = () => woken.abort();
      this.#wake = wake;
      this.signal.addEventListener('abort', wake, { once: true });
      if (!this.signal.aborted) await sleep(ms, woken.signal);
      this.signal.removeEventListener('abort', wake);
      this.#wake = undefined;
    }
    this.#nudged = false;
  }
}
