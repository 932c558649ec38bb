/**
 * How many sockets and event streams one address may have open at a time: each costs memory for as long as it is there, and the limit
 * on requests says only how fast they come.
 *
 *   O1. The bound is exact: who asks and counts does so without a turn of the event loop in between.
 *   O2. Nothing is kept of an address that has none open. An IPv6 address counts with its /64, which one host may have whole.
 */
import { Refusal } from '@molecule/contracts';
import { networkOf } from './lockout.ts';

export class OpenConnections {
  readonly #most: number;
  readonly #open = new Map<string, number>();

  /** `most`: for each address. */
  constructor(most: number) {
    this.#most = most;
  }

  /** Addresses that have any. */
  get size(): number {
    return this.#open.size;
  }

  /** Why an address may not open one more, or `null`. */
  judge(peer: string): Refusal | null {
    return this.#count(networkOf(peer)) < this.#most ? null : new Refusal('too-many', TOO_MANY);
  }

  /** Counts one that was opened. Answers what is to be called once it is closed. */
  opened(peer: string): () => void {
    const network = networkOf(peer);
    this.#open.set(network, this.#count(network) + 1);
    let closed = false;
    return () => {
      if (closed) return;
      closed = true;
      const left = this.#count(network) - 1;
      if (left === 0) this.#open.delete(network);
      else this.#open.set(network, left);
    };
  }

  #count(network: string): number {
    return this.#open.get(network) ?? 0;
  }
}

export const TOO_MANY = 'too many open connections';
