/** When things happened, by the clock of this process, so that no two of them happened at once and rows keep their order. */
import type { Clock } from '@molecule/service';

export class Instants {
  readonly #clock: Pick<Clock, 'now'>;
  #lastUs = 0;

  constructor(clock: Pick<Clock, 'now'>) {
    this.#clock = clock;
  }

  /** Microseconds since the epoch; each later than the one before. */
  nowUs(): number {
    this.#lastUs = Math.max(this.#lastUs + 1, this.#clock.now().getTime() * 1000);
    return this.#lastUs;
  }
}
