/**
 * How far a reader has got with the beats of each gateway.
 *
 *   M1. A mark is passed when every beat up to it was given to all listeners, and what they promised for it is done.
 *   M2. A jump in the numbers holds the floor before it until the missing ones were read again, or given up.
 *   M3. Whoever waits for a mark waits a bounded time, once: a mark that did not come in time is given up for everybody.
 */
import type { BeatMark } from '@molecule/contracts';

interface Progress {
  /** Everything up to here was given on, or given up. */
  floor: number;
  /** The newest number seen. Above `floor` while something between is missing; below it after something was given up. */
  highest: number;
  /** Beats whose listeners are still at it. */
  readonly open: Set<number>;
  heardAt: number;
}

interface Waiter {
  readonly mark: BeatMark;
  readonly settle: (passed: boolean) => void;
}

/** Gateways that have not been heard of for a day are forgotten, when there are this many. */
const MAX_GATEWAYS = 1_000;

export class BeatMarks {
  readonly #gateways = new Map<string, Progress>();
  readonly #waiters = new Set<Waiter>();

  /** A beat that came live. `true`: some before it are missing (M2). Call `wake` when its listeners have it. */
  heard(gateway: string, seq: number): boolean {
    const progress = this.#of(gateway);
    progress.heardAt = performance.now();
    if (seq <= progress.highest) return false;
    const jumped = seq > progress.highest + 1;
    if (!jumped && progress.floor >= progress.highest) progress.floor = Math.max(progress.floor, seq);
    progress.highest = seq;
    return jumped;
  }

  /** A beat that was read again. What a gateway's older beats were is no matter once its newest is known. */
  reread(gateway: string, seq: number): void {
    const progress = this.#of(gateway);
    if (seq > progress.highest) progress.highest = seq;
  }

  /** The last beats were read again to the end: whatever jump was noticed before that is made good. */
  healed(): void {
    for (const progress of this.#gateways.values()) progress.floor = Math.max(progress.floor, progress.highest);
    this.wake();
  }

  opened(gateway: string, seq: number): void {
    this.#of(gateway).open.add(seq);
  }

  closed(gateway: string, seq: number): void {
    this.#gateways.get(gateway)?.open.delete(seq);
    this.wake();
  }

  passed({ gateway, seq }: BeatMark): boolean {
    const progress = this.#gateways.get(gateway);
    if (!progress || progress.floor < seq) return false;
    if (progress.open.size === 0) return true;
    for (const open of progress.open) if (open <= seq) return false;
    return true;
  }

  /** Resolves `true` when the mark is passed, `false` after `timeoutMs`; then it counts as passed for those who come later (M3). */
  wait(mark: BeatMark, timeoutMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const settle = (passed: boolean) => {
        clearTimeout(timer);
        this.#waiters.delete(waiter);
        resolve(passed);
      };
      const waiter: Waiter = { mark, settle };
      const timer = setTimeout(() => {
        this.#giveUp(mark);
        settle(false);
      }, timeoutMs);
      this.#waiters.add(waiter);
    });
  }

  wake(): void {
    if (this.#waiters.size === 0) return;
    for (const waiter of [...this.#waiters]) if (this.passed(waiter.mark)) waiter.settle(true);
  }

  /** Lets everybody go who waits. */
  close(): void {
    for (const waiter of [...this.#waiters]) waiter.settle(false);
  }

  /** `highest` stays: should the gateway go on without these, the jump is noticed (M2). */
  #giveUp({ gateway, seq }: BeatMark): void {
    const progress = this.#of(gateway);
    if (progress.floor < seq) progress.floor = seq;
    for (const open of progress.open) if (open <= seq) progress.open.delete(open);
  }

  #of(gateway: string): Progress {
    const known = this.#gateways.get(gateway);
    if (known) return known;
    if (this.#gateways.size >= MAX_GATEWAYS) this.#forgetOldest();
    const progress: Progress = { floor: 0, highest: 0, open: new Set(), heardAt: performance.now() };
    this.#gateways.set(gateway, progress);
    return progress;
  }

  #forgetOldest(): void {
    let oldest: [string, Progress] | undefined;
    for (const entry of this.#gateways) if (!oldest || entry[1].heardAt < oldest[1].heardAt) oldest = entry;
    if (oldest) this.#gateways.delete(oldest[0]);
  }
}
