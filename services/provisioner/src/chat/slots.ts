/** So many transfers at a time (I12): who comes when all slots are taken is told to come again, and nobody waits. */
import { Refusal } from '@molecule/contracts';
import { type Basics, Counter, exposeGauge } from '@molecule/service';

const COME_AGAIN_SECONDS = '5';

export class Slots {
  readonly #most: number;
  readonly #refused: () => void;
  #taken = 0;

  /** `transfer`: what they are for, in figures: `upload`. */
  constructor(transfer: 'upload' | 'download', most: number, metrics: Basics['metrics']) {
    this.#most = most;
    exposeGauge(metrics, {
      name: `molecule_chat_${transfer}s_running`,
      help: `Chat files on their way: ${transfer}s that have not ended.`,
      read: () => this.#taken,
    });
    const refused = new Counter({
      name: `molecule_chat_${transfer}s_refused_total`,
      help: `Chat files that were refused because too many were on their way: ${transfer}s.`,
      registers: [metrics],
    });
    this.#refused = () => refused.inc();
  }

  /** @throws Refusal when all are taken, and what `transfer` throws */
  async use<Result>(transfer: () => Promise<Result>): Promise<Result> {
    if (this.#taken >= this.#most) {
      this.#refused();
      throw tooMany();
    }
    this.#taken++;
    try {
      return await transfer();
    } finally {
      this.#taken--;
    }
  }
}

const tooMany = () =>
  new Refusal('unavailable', 'too many file transfers — retry shortly', {
    body: { code: 'transfers_busy' },
    headers: { 'retry-after': COME_AGAIN_SECONDS },
  });
