/** How many messages an agent works on at a time. One more waits its turn, or is turned away. */
import type { Concurrency } from '../adapter.ts';

export type Admission =
  | { readonly kind: 'admitted'; readonly leave: () => void }
  | { readonly kind: 'refused' }
  | { readonly kind: 'gone' };

export class Gate {
  readonly #concurrency: () => Concurrency;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  constructor(concurrency: () => Concurrency) {
    this.#concurrency = concurrency;
  }

  /** First come, first served. Who goes away while waiting (`gone`) is never let in: their message was not taken. */
  async enter(gone: AbortSignal): Promise<Admission> {
    if (gone.aborted) return { kind: 'gone' };
    const { max, whenBusy } = this.#concurrency();
    if (this.#inside >= max) {
      if (whenBusy === 'reset') return { kind: 'refused' };
      if (!(await this.#turn(gone))) return { kind: 'gone' };
    } else {
      this.#inside += 1;
    }
    return { kind: 'admitted', leave: once(() => this.#leave()) };
  }

  /** The place of who leaves goes to the next in line, so that nobody slips in between. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#inside -= 1;
    else next();
  }

  #turn(gone: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const admit = () => {
        gone.removeEventListener('abort', giveUp);
        resolve(true);
      };
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(admit), 1);
        resolve(false);
      };
      this.#waiting.push(admit);
      gone.addEventListener('abort', giveUp, { once: true });
    });
  }
}

const once = (work: () => void): (() => void) => {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    work();
  };
};
