/** Which tokens opened a door lately: said to the registry now and then, best effort (spec 1 §4.7). A request costs one look at a set. */
import type { Bus } from '@molecule/bus';
import { type TokenUses as Report, subjects } from '@molecule/contracts';
import type { Clock } from '@molecule/service';

/** How often it is said; a use is told to that precision. */
export const TOKEN_USES_EVERY_MS = 5_000;
/** Beyond this many within one interval, the rest is not told. */
const MAX_KEPT = 100_000;
/** What fits into one message of the bus. */
const PER_MESSAGE = 500;

export class TokenUses {
  #used = new Set<string>();
  readonly #maxKept: number;

  constructor(maxKept: number = MAX_KEPT) {
    this.#maxKept = maxKept;
  }

  /** A token let somebody in. */
  opened(tokenId: string): void {
    if (this.#used.size < this.#maxKept) this.#used.add(tokenId);
  }

  /** What was not taken yet, in messages of bounded size. */
  take(at: Date): Report[] {
    if (this.#used.size === 0) return [];
    const uses = [...this.#used].map((tokenId) => ({ tokenId, at: at.toISOString() }) as Report[number]);
    this.#used = new Set();
    return Array.from({ length: Math.ceil(uses.length / PER_MESSAGE) }, (_, index) =>
      uses.slice(index * PER_MESSAGE, (index + 1) * PER_MESSAGE),
    );
  }
}

/** One round of telling. What cannot be told now is told later. */
export const tellTokenUses = (bus: Bus, uses: TokenUses, clock: Clock) => async (): Promise<void> => {
  if (!bus.connected) return;
  for (const message of uses.take(clock.now())) bus.nats.publish(subjects.tokenUses, JSON.stringify(message));
};
