/** Chance that comes again: whatever is random in a run is drawn from one seed, which is printed when the run fails. */
import { randomInt } from 'node:crypto';

export class Chance {
  readonly seed: number;
  #state: number;

  constructor(seed: number) {
    this.seed = seed;
    this.#state = seed;
  }

  /** From the environment, to see a run again; else a new one. */
  static fromEnv(variable: string): Chance {
    return new Chance(Number(process.env[variable] ?? randomInt(2 ** 31)));
  }

  /** From 0 up to 1, which it never is. (The generator is mulberry32.) */
  share(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number below this one. */
  below(count: number): number {
    return Math.floor(this.share() * count);
  }

  pick<Item>(items: readonly Item[]): Item {
    if (items.length === 0) throw new RangeError('there is nothing to pick from');
    return items[this.below(items.length)] as Item;
  }

  /** The same items in some other order. */
  shuffle<Item>(items: readonly Item[]): Item[] {
    const left = [...items];
    return items.map(() => left.splice(this.below(left.length), 1)[0] as Item);
  }
}
