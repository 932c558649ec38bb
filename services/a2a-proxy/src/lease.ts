/**
 * The right to deliver from the mailboxes: for as long as the other replicas must take this process for alive, and no longer.
 *
 *   H1. A lease that has ended never holds again: whoever began something under it cannot know who took it over. The next renewal
 *       brings a new lease.
 *   H2. It is measured on the monotonic clock from before the renewal was asked for, and ends EARLY before the others may think so:
 *       what is in flight under it is stopped by then, although timers are late and the answer of the database took a while.
 */
import type { Clock } from '@molecule/service';

/** What ends with the lease. */
export interface Held {
  stop(): void;
}

/** H2, as a part of the lease. */
const EARLY = 0.1;

export class Lease {
  readonly #clock: Clock;
  readonly #leaseMs: number;
  readonly #held = new Set<Held>();
  #endsMs = 0;
  #ended = false;
  #timer: NodeJS.Timeout | undefined;

  /** @param askedMs monotonic ms before the renewal was asked for */
  constructor(clock: Clock, leaseMs: number, askedMs: number) {
    this.#clock = clock;
    this.#leaseMs = leaseMs;
    this.extend(askedMs);
  }

  /** Whether it lasts. After a stop of the whole process the clock tells, not a timer that has not fired yet. */
  holds(): boolean {
    if (!this.#ended && this.#clock.monotonicMs() >= this.#endsMs) this.end();
    return !this.#ended;
  }

  extend(askedMs: number): void {
    this.#endsMs = askedMs + this.#leaseMs * (1 - EARLY);
    this.#watch();
  }

  /** From now on this is stopped when the lease ends; the function returned lets go of it. */
  hold(held: Held): () => void {
    if (this.holds()) this.#held.add(held);
    else held.stop();
    return () => this.#held.delete(held);
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
    for (const held of this.#held) held.stop();
    this.#held.clear();
  }

  #watch(): void {
    clearTimeout(this.#timer);
    if (!this.holds()) return;
    this.#timer = setTimeout(() => this.#watch(), Math.ceil(this.#endsMs - this.#clock.monotonicMs()));
    this.#timer.unref();
  }
}
