/**
 * Publishes the log: one relay at a time among the replicas of a service.
 *
 *   R1. A fact is passed over only after it was published, or because its audience is the owner alone. What a relay had not
 *       remembered when it died is published again under the same ids.
 *   R2. Facts go out in the order of the log; a batch that fails is tried again, whole, before anything after it.
 *   R3. The remembered place only moves forward, whoever writes it; but for R6.
 *   R4. A commit of this process wakes the relay at once; one of another replica does through `remoteNudge`; and without any
 *       nudge the log is looked at once a second at the latest.
 *   R5. Facts that may not be read yet (E3) are looked for again within milliseconds, for nobody nudges when the transaction they
 *       wait for ends: it may be another service's.
 *   R6. The stream may be lost, or come back from an older copy: seen when leading begins and after each lost link, by its id, or by
 *       its end before what it has acknowledged. Then everything that it would still keep is published again, under the same ids.
 *       A relay that does not know of the return moves the place no further.
 */
import { factContract, type RecordedFact } from '@molecule/contracts';
import { type Basics, backoff, type Loops, sleep } from '@molecule/service';
import type pg from 'pg';
import type { Logger } from 'pino';
import { whileLeading } from './leading.ts';
import { registerLag } from './metrics.ts';
import { Place, type TargetMark } from './relay-place.ts';
import type { LogCursor } from './types.ts';
import { Waker } from './waker.ts';

const BATCH = 256;
const POLL_MS = { first: 250, last: 1_000 };
const HIDDEN_MS = { first: 1, last: 100 };
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
  readonly publish: (facts: readonly RecordedFact[], until: AbortSignal) => Promise<number | undefined>;
  /** What is published into, where it can be lost by itself (R6); `publish` then resolves to the highest sequence it was given there. */
  readonly target?: RelayTarget;
  /** Tells the other replicas of commits here, and hears of theirs. */
  readonly remoteNudge?: { send(): void; onReceive(wake: () => void): void };
}

/** The stream that a relay publishes into. */
export interface RelayTarget {
  /** Waits until it is there. */
  mark(): Promise<TargetMark>;
  /** Called whenever it may have been lost since; returns the way to leave. */
  onReturn(listener: () => void): () => void;
}

/** Starts the relay as a loop of the service; it stops with the loops. */
export function startRelay({ ledger, loops, log, metrics, publish, target, remoteNudge }: RelayOptions): void {
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
          await relay({ ledger, log, publish, target, waker, signal: leadingSignal, tick });
        } finally {
          leading = false;
        }
      },
    }),
  );
}

interface Relaying extends Pick<RelayOptions, 'ledger' | 'log' | 'publish'> {
  readonly target: RelayTarget | undefined;
  readonly waker: Waker;
  readonly signal: AbortSignal;
  readonly tick: () => void;
}

async function relay(relaying: Relaying): Promise<void> {
  const { ledger, log, publish, target, waker, signal, tick } = relaying;
  const place = await Place.recall(ledger.pool);
  let unsure = target !== undefined;
  /** Aborted when the target may have been lost: what is on its way must not get ahead of what has to be published again. */
  let sure = new AbortController();
  const leave = target?.onReturn(() => {
    unsure = true;
    sure.abort();
    waker.wake();
  });
  /** R6. `true`: the place is another one now. */
  const lookAtTarget = async (): Promise<boolean> => {
    if (!unsure || target === undefined) return false;
    unsure = false;
    sure = new AbortController();
    try {
      const mark = await unlessAborted(target.mark(), signal);
      return mark !== undefined && (await place.meet(mark, log));
    } catch (error) {
      unsure = true;
      throw error;
    }
  };
  let failures = 0;
  let quiet = 0;
  while (!signal.aborted) {
    try {
      await lookAtTarget();
      if (signal.aborted) break;
      const page = await ledger.readFacts({ after: place.cursor, limit: BATCH });
      const audible = page.facts.filter(isForAll);
      if (audible.length > 0) place.acknowledged((await unlessAborted(publish(audible, sure.signal), signal)) ?? 0);
      if (signal.aborted) break;
      if (await lookAtTarget()) continue;
      place.cursor = page.cursor;
      await place.rememberWhenDue();
      tick();
      failures = 0;
      quiet = page.facts.length === 0 ? quiet + 1 : 0;
      if (page.facts.length < BATCH) await waker.wait(pause(page.hidden, quiet, place), signal);
    } catch (error) {
      if (signal.aborted) break;
      if (sure.signal.aborted) continue;
      failures++;
      log.warn({ err: error, failures }, 'the relay could not go on');
      await sleep(retryMs(failures), signal);
    }
  }
  leave?.();
  await place.remember().catch((error: unknown) => log.warn({ err: error }, 'the relay could not remember its place'));
}

/** R4, R5. */
const pause = (hidden: boolean, quiet: number, place: Place): number =>
  Math.min(hidden ? hiddenMs(quiet + 1) : pollMs(quiet), place.dueInMs());

/** What nobody here knows is for everybody: a newer replica wrote it, and its readers are newer too. */
const isForAll = ({ type }: RecordedFact): boolean => factContract(type)?.audience !== 'owner';

/** Waits for the work or the signal; the work itself goes on. */
async function unlessAborted<R>(work: Promise<R>, signal: AbortSignal): Promise<R | undefined> {
  const { promise: aborted, resolve } = Promise.withResolvers<undefined>();
  const stop = () => resolve(undefined);
  signal.addEventListener('abort', stop, { once: true });
  if (signal.aborted) stop();
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener('abort', stop);
    work.catch(() => {});
  }
}
