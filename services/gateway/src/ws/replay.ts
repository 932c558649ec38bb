/**
 * Catches up clients that come back: tells them from the log what they missed, then lets them hear things as they happen.
 *
 *   R1. A client is told the persisted events behind the place it came back with, in the order of the log, those and only those
 *       that it would have been told live by the rights of now; each once, and none is missing between them and what follows.
 *   R2. Where that cannot be, it is told one gap, with the reason, and hears from there on things as they happen.
 *   R3. It is bounded: how far back it goes, how many are caught up at a time and how long the others wait, how much is read ahead
 *       of a client, and what waits behind it (client.ts).
 */
import { type FactPlace, type FactsExtent, FactsGone, type PlacedFact } from '@molecule/bus';
import type { GapReason } from '@molecule/contracts';
import type { Log } from '@molecule/service';
import type { Client } from './client.ts';
import type { Fanout } from './fanout.ts';
import { type KnownPlace, parseSeq, seqOf, streamMark } from './seq.ts';
import { newsOf } from './stream.ts';

/** How many facts are told again at most. */
export const MAX_REPLAYED = 10_000;
/** How many clients are caught up at a time. */
const AT_A_TIME = 16;
/** How long a client waits for its turn, and for the directory to be there at all. */
const TURN_MS = 10_000;
/** How long a gateway may be behind the one that a client comes from. */
const BEHIND_MS = 2_000;
const LOOK_EVERY_MS = 10;

export interface ReplayParts {
  /** Where the facts that are told here have got to; `undefined` before any directory is there. */
  readonly place: () => FactPlace | undefined;
  readonly extent: () => Promise<FactsExtent>;
  readonly read: (from: {
    readonly epoch: string;
    readonly after: number;
    readonly upTo: number;
  }) => AsyncIterable<readonly PlacedFact[]>;
  readonly fanout: Fanout;
  readonly log: Log;
}

export class Replayer {
  /** How often it ended how. */
  readonly outcomes = { replayed: 0, gap: 0 };
  readonly #parts: ReplayParts;
  readonly #turns = new Turns(AT_A_TIME);

  constructor(parts: ReplayParts) {
    this.#parts = parts;
  }

  /** To be called as soon as the client has joined. Never rejects; ends when the client is live, or has left. */
  async catchUp(client: Client, since: string): Promise<void> {
    const reason = await this.#replay(client, since);
    if (client.hasLeft) return;
    if (reason === null) {
      this.outcomes.replayed++;
      return;
    }
    this.outcomes.gap++;
    const place = this.#parts.place();
    await client.goLiveBehindGap(reason, place === undefined ? '' : seqOf(place));
  }

  /** `null`: the client has everything and is live. Or it has left. */
  async #replay(client: Client, since: string): Promise<GapReason | null> {
    const known = parseSeq(since);
    if (known === undefined) return 'unreadable'; // R2
    const joinedAt = this.#parts.place();
    if (!(await this.#turns.take(TURN_MS))) return 'unavailable'; // R3
    try {
      const place = joinedAt ?? (await this.#beginning(client));
      if (place === undefined) return 'unavailable';
      const gap = gapBetween(known, place, await this.#parts.extent());
      if (gap !== null) return gap;
      return (await this.#tellAgain(client, known.sequence, place)) ?? (await this.#join(client, known.sequence, place));
    } catch (error) {
      if (!client.hasLeft) this.#parts.log.warn({ err: error }, 'facts could not be read again for a client');
      return error instanceof FactsGone ? 'expired' : 'unavailable';
    } finally {
      this.#turns.give();
    }
  }

  /** R1. */
  async #tellAgain(client: Client, after: number, { epoch, sequence: upTo }: FactPlace): Promise<GapReason | null> {
    const { fanout } = this.#parts;
    for await (const facts of this.#parts.read({ epoch, after, upTo })) {
      for (const { fact, place } of facts) {
        for (const event of newsOf(fact, place)) {
          if (!fanout.concerns(client, event.workspace_id)) continue;
          const seq = seqOf(place);
          if (!(await client.catchUpWith({ bytes: client.options.wire.encode(event, seq), seq, place }))) return null;
        }
      }
      if (client.interrupted !== undefined) return client.interrupted;
    }
    return null;
  }

  /** What is told here may still be behind what the client heard elsewhere: it is not told that twice. */
  async #join(client: Client, sequence: number, place: FactPlace): Promise<GapReason | null> {
    if (sequence <= place.sequence) return client.goLive(place);
    const until = performance.now() + BEHIND_MS;
    while (!client.hasLeft && (this.#parts.place()?.sequence ?? 0) < sequence) {
      if (performance.now() > until) return 'unavailable';
      await pause(LOOK_EVERY_MS);
    }
    return client.goLive({ epoch: place.epoch, sequence });
  }

  /** The gateway listens before its directory is there. */
  async #beginning(client: Client): Promise<FactPlace | undefined> {
    const until = performance.now() + TURN_MS;
    while (!client.hasLeft && performance.now() < until) {
      const place = this.#parts.place();
      if (place !== undefined) return place;
      await pause(LOOK_EVERY_MS);
    }
    return undefined;
  }
}

/** Why a client that comes back from `known` cannot be told everything up to `place`, or `null`. Pure. */
export function gapBetween(known: KnownPlace, place: FactPlace, { epoch, first, last }: FactsExtent): GapReason | null {
  if (known.stream !== streamMark(epoch) || known.sequence > last) return 'other-log';
  if (place.epoch !== epoch) return 'missed';
  if (place.sequence - known.sequence > MAX_REPLAYED) return 'too-far';
  return known.sequence + 1 < first ? 'expired' : null;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));

/** Lets so many at a time; the others wait in line, for a while. */
class Turns {
  #free: number;
  readonly #line: (() => void)[] = [];

  constructor(atATime: number) {
    this.#free = atATime;
  }

  /** `false`: none came free in time. */
  take(waitMs: number): Promise<boolean> {
    if (this.#free > 0) {
      this.#free--;
      return Promise.resolve(true);
    }
    return new Promise((resolve) => {
      const called = () => {
        clearTimeout(giveUp);
        resolve(true);
      };
      const giveUp = setTimeout(() => {
        this.#line.splice(this.#line.indexOf(called), 1);
        resolve(false);
      }, waitMs);
      giveUp.unref();
      this.#line.push(called);
    });
  }

  give(): void {
    const next = this.#line.shift();
    if (next) next();
    else this.#free++;
  }
}
