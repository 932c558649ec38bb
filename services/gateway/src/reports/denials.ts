/**
 * Who was not let in, and why: counted by reason for the metrics, and by reason, route and address for the registry, which keeps it.
 *
 *   D1. What is kept between two reports is bounded: so many different refusals, and a number for all others. A report fits into
 *       one message of the bus.
 *   D2. No credential, no concrete id and no text of a caller is in it (I10).
 */
import type { Bus } from '@molecule/bus';
import { type Denial, DenialReason, type DenialReport, type Principal, subjects, type Timestamp } from '@molecule/contracts';
import type { Clock } from '@molecule/service';

export const DENIALS_EVERY_MS = 60_000;
const MAX_KINDS = 250;

export interface Refused {
  readonly reason: DenialReason;
  readonly method: string;
  /** The route's pattern. */
  readonly path: string;
  readonly peer: string;
}

/**
 * What an answer says of who asked. An owner of a route answers 401 and 403 to nothing else; an agent behind the A2A proxy may, and
 * its refusals are counted as if they were ours.
 */
export function denialReason(status: number, { identity, invalidSession }: Principal): DenialReason | null {
  if (status === 403) return 'forbidden';
  if (status !== 401) return null;
  return identity.kind === 'anonymous' && !invalidSession ? 'missing' : 'invalid';
}

export class Denials {
  readonly #gateway: string;
  readonly #clock: Clock;
  readonly #maxKinds: number;
  readonly #totals = new Map<DenialReason, number>(DenialReason.options.map((reason) => [reason, 0]));
  #kinds = new Map<string, Denial>();
  #omitted = 0;
  #since: Date;

  constructor({ gateway, clock, maxKinds = MAX_KINDS }: { gateway: string; clock: Clock; maxKinds?: number }) {
    this.#gateway = gateway;
    this.#clock = clock;
    this.#maxKinds = maxKinds;
    this.#since = clock.now();
  }

  /** Since the start, by reason; each is there. */
  get totals(): ReadonlyMap<DenialReason, number> {
    return this.#totals;
  }

  add({ reason, method, path, peer }: Refused): void {
    this.#totals.set(reason, (this.#totals.get(reason) ?? 0) + 1);
    const key = `${reason} ${method} ${path} ${peer}`;
    const known = this.#kinds.get(key);
    if (known !== undefined) known.count++;
    else if (this.#kinds.size < this.#maxKinds) this.#kinds.set(key, { reason, method, path, peer, count: 1 });
    else this.#omitted++; // D1
  }

  /** What was not taken yet; `null`: nothing. */
  take(): DenialReport | null {
    const [since, until] = [this.#since, this.#clock.now()];
    this.#since = until;
    if (this.#kinds.size === 0) return null;
    const report: DenialReport = {
      gateway: this.#gateway,
      since: since.toISOString() as Timestamp,
      until: until.toISOString() as Timestamp,
      denials: [...this.#kinds.values()],
      omitted: this.#omitted,
    };
    this.#kinds = new Map();
    this.#omitted = 0;
    return report;
  }
}

/** One round of telling. What cannot be told now is told later. */
export const tellDenials = (bus: Bus, denials: Denials) => async (): Promise<void> => {
  if (!bus.connected) return;
  const report = denials.take();
  if (report !== null) bus.nats.publish(subjects.denials, JSON.stringify(report));
};
