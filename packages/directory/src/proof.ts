/**
 * Whether a directory has heard what happened, proven again and again: a link that is silently cut looks like a quiet one.
 *
 *   P1. A proof is that the stream said where it ends, and everything up to there was heard. It counts from when it was begun.
 *   P2. It holds for less time than barriers go on waiting for a directory that fell silent: who is no longer waited for, knows
 *       by itself that it may be behind, and lets no token in on old knowledge (I9).
 */
import type { Bus, Following } from '@molecule/bus';
import { STREAMS } from '@molecule/contracts';
import { type Log, sleep } from '@molecule/service';
import { FORGOTTEN_AFTER_MS, PRESENCE_EVERY_MS } from './presence.ts';

/**
 * How long a proof holds. The last beat that a barrier heard may be older than the last proof by one interval of beats, and a
 * little more when this process is busy.
 */
export const TRUSTED_FOR_MS = FORGOTTEN_AFTER_MS - PRESENCE_EVERY_MS - 500;

const PROVE_EVERY_MS = TRUSTED_FOR_MS / 4;
/** Until it holds again. */
const RETRY_EVERY_MS = 250;
/** How long one attempt waits for facts that are on their way. */
const CATCH_UP_MS = 2_000;

export interface ProofOptions {
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly following: Following;
  /** Whether facts were missed that were not read again yet. */
  readonly missing: () => boolean;
}

export class Proof {
  readonly #bus: Bus;
  readonly #options: ProofOptions;
  /** `performance.now()` milliseconds, as barriers count. */
  #provenAt = Number.NEGATIVE_INFINITY;

  constructor(bus: Bus, options: ProofOptions) {
    this.#bus = bus;
    this.#options = options;
  }

  get holds(): boolean {
    return this.ageMs < TRUSTED_FOR_MS;
  }

  /** How long ago it was last proven; endless before that. */
  get ageMs(): number {
    return performance.now() - this.#provenAt;
  }

  /** One attempt, bounded by seconds (P1). Never rejects. */
  async renew(): Promise<void> {
    const { log, signal, following, missing } = this.#options;
    const began = performance.now();
    try {
      if (!this.#bus.connected || !following.alive) return;
      const { state } = await this.#bus.jsm.streams.info(STREAMS.facts);
      while (following.sequence < state.last_seq) {
        if (signal.aborted || performance.now() - began >= CATCH_UP_MS) return;
        await sleep(2, signal);
      }
      if (following.alive && !missing()) this.#provenAt = began;
    } catch (error) {
      if (!signal.aborted) log.debug({ err: error }, 'the end of the facts is not known');
    }
  }

  /** Renews it until stopped. */
  async keep(): Promise<void> {
    const { signal } = this.#options;
    while (!signal.aborted) {
      await sleep(this.holds ? PROVE_EVERY_MS : RETRY_EVERY_MS, signal);
      if (!signal.aborted) await this.renew();
    }
  }
}
