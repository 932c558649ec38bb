/**
 * Publishes the log: one relay at a time among the replicas of a service.
 *
 *   R1. A fact is passed over only after it was published, or because its audience is the owner alone. What a relay had not
 *       remembered when it died is published again under the same ids.
 *   R2. Facts go out in the order of the log; a batch that fails is tried again, whole, before anything after it.
 *   R3. The remembered place only moves forward, whoever writes it.
 *   R4. A commit of this process wakes the relay at once; one of another replica does through `remoteNudge`; and without any
 *       nudge the log is looked at once a second at the latest.
 *   R5. Facts that may not be read yet (E3) are looked for again within milliseconds, for nobody nudges when the transaction they
 *       wait for ends: it may be another service's.
 */
import { factContract, type RecordedFact } from '@molecule/contracts';
import { type Basics, backoff, type Loops, sleep } from '@molecule/service';
import type pg from 'pg';
import type { Logger } from 'pino';
import { runOn } from './connection.ts';
import { whileLeading } from './leading.ts';
import { BEGINNING, placeOf } from './log.ts';
import { registerLag } from './metrics.ts';
import type { LogCursor } from './types.ts';
import { Waker } from './waker.ts';

const BATCH = 256;
const POLL_MS = { first: 250, last: 1_000 };
const HIDDEN_MS = { first: 1, last: 100 };
/** How long a place may go unremembered: what a killed relay publishes again. */
const REMEMBER_AFTER_MS = 200;
const retryMs = backoff({ firstMs: 100, lastMs: 5_000 });
const hiddenMs = backoff({ firstMs: HIDDEN_MS.first, lastMs: HIDDEN_MS.last });
const pollMs = backoff({ firstMs: POLL_MS.first, lastMs: POLL_MS.last });

/** What the relay needs of a ledger. */
export interface RelayedLedger {
  readonly pool: pg.Pool;
  readonly schema: string;
  readFacts(options: { readonly after?: LogCursor; readonly limit: number }): Promise<{
    readonly facts: readonly RecordedFact[];
    readonly cursor: LogCursor;
    readonly hidden: boolean;
  }>;
  onNudge(listener: () => void): () => void;
}

export interface RelayOptions {
  readonly ledger: RelayedLedger;
  readonly loops: Loops;
  readonly log: Logger;
  readonly metrics: Basics['metrics'];
  /** Resolves when every one of them is stored by the bus. May be called again with facts that it had before. */
  readonly publish: (facts: readonly RecordedFact[]) => Promise<void>;
  /** Tells the other replicas of commits here, and hears of theirs. */
  readonly remoteNudge?: { send(): void; onReceive(wake: () => void): void };
}

/** Starts the relay as a loop of the service; it stops with the loops. */
export function startRelay({ ledger, loops, log, metrics, publish, remoteNudge }: RelayOptions): void {
  const waker = new Waker();
  let leading = false;
  let telling = false;
  const tell = () => {
    telling = false;
    remoteNudge?.send();
  };
  ledger.onNudge(() => {
    if (leading) return waker.wake();
    if (telling || !remoteNudge) return;
    // However many commits there are in one turn of the event loop, one word is enough.
    telling = true;
    setImmediate(tell);
  });
  remoteNudge?.onReceive(() => waker.wake());
  registerLag(metrics, ledger.pool);

  loops.supervise('relay', POLL_MS.last, (signal, tick) =>
    whileLeading({
      ledger,
      key: 'relay',
      log,
      signal,
      tick,
      task: async (leadingSignal) => {
        leading = true;
        try {
          await relay({ ledger, log, publish, waker, signal: leadingSignal, tick });
        } finally {
          leading = false;
        }
      },
    }),
  );
}

interface Relaying extends Pick<RelayOptions, 'ledger' | 'log' | 'publish'> {
  readonly waker: Waker;
  readonly signal: AbortSignal;
  readonly tick: () => void;
}

async function relay({ ledger, log, publish, waker, signal, tick }: Relaying): Promise<void> {
  const place = await Place.recall(ledger.pool);
  let failures = 0;
  let quiet = 0;
  while (!signal.aborted) {
    try {
      const page = await ledger.readFacts({ after: place.cursor, limit: BATCH });
      const audible = page.facts.filter(isForAll);
      if (audible.length > 0) await unlessAborted(publish(audible), signal);
      if (signal.aborted) break;
      place.cursor = page.cursor;
      await place.rememberWhenDue();
      tick();
      failures = 0;
      quiet = page.facts.length === 0 ? quiet + 1 : 0;
      if (page.facts.length < BATCH) await waker.wait(pause(page.hidden, quiet, place), signal);
    } catch (error) {
      if (signal.aborted) break;
      failures++;
      log.warn({ err: error, failures }, 'the relay could not go on');
      await sleep(retryMs(failures), signal);
    }
  }
  await place.remember().catch((error: unknown) => log.warn({ err: error }, 'the relay could not remember its place'));
}

/** R4, R5. */
const pause = (hidden: boolean, quiet: number, place: Place): number =>
  Math.min(hidden ? hiddenMs(quiet + 1) : pollMs(quiet), place.dueInMs());

/** What nobody here knows is for everybody: a newer replica wrote it, and its readers are newer too. */
const isForAll = ({ type }: RecordedFact): boolean => factContract(type)?.audience !== 'owner';

/** Waits for the work or the signal; the work itself goes on. */
async function unlessAborted(work: Promise<void>, signal: AbortSignal): Promise<void> {
  const { promise: aborted, resolve } = Promise.withResolvers<void>();
  const stop = () => resolve();
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
    work.catch(() => {});
  }
}

const NAME = 'bus';

/** How far the log has been published (R3). */
class Place {
  cursor: LogCursor;
  readonly #pool: pg.Pool;
  #remembered: LogCursor;
  #rememberedAt = performance.now();

  private constructor(pool: pg.Pool, cursor: LogCursor) {
    this.#pool = pool;
    this.cursor = cursor;
    this.#remembered = cursor;
  }

  static async recall(pool: pg.Pool): Promise<Place> {
    const query = {
      name: 'molecule-relay-recall',
      text: 'select transaction_id::text, position::text from relay where name = $1',
    };
    const { rows } = await runOn<{ transaction_id: string; position: string }>(pool, query, [NAME]);
    return new Place(pool, rows[0] ? `${rows[0].transaction_id}.${rows[0].position}` : BEGINNING);
  }

  /** Milliseconds until the place should be remembered; for ever, if it is. */
  dueInMs(): number {
    if (this.cursor === this.#remembered) return Number.POSITIVE_INFINITY;
    return Math.max(this.#rememberedAt + REMEMBER_AFTER_MS - performance.now(), 0);
  }

  async rememberWhenDue(): Promise<void> {
    if (this.dueInMs() === 0) await this.remember();
  }

  async remember(): Promise<void> {
    const { cursor } = this;
    if (cursor === this.#remembered) return;
    const query = {
      name: 'molecule-relay-remember',
      text: `
        insert into relay (name, transaction_id, position) values ($1, $2::text::xid8, $3)
        on conflict (name) do update set transaction_id = excluded.transaction_id, position = excluded.position
        where (relay.transaction_id, relay.position) < (excluded.transaction_id, excluded.position)`,
    };
    await runOn(this.#pool, query, [NAME, ...placeOf(cursor)]);
    this.#remembered = cursor;
    this.#rememberedAt = performance.now();
  }
}
