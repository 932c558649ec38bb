/**
 * Beats in: every replica hears every beat, and knows at once when it does not.
 *
 *   F1. It starts with the last beat of every workspace that beat within a day, then follows live (D7).
 *   F2. A beat that is read again never overwrites a newer one: same gateway by number, different ones by time of receipt.
 *   F3. A jump in a gateway's numbers, or a link that was lost, is noticed, counted, and made good by reading the last beats again.
 *   F4. `caughtUp(mark)`: everything up to the mark was given to all listeners, and what they promised is done; or 500 ms are over.
 *   F5. What a beat declared is not lost behind a newer one that declares nothing: read again, it is told as `outdated` to whoever
 *       asked for that.
 *   F6. A beat that cannot be read is dropped, counted, and parked (at most one a second); a listener that throws harms nobody else.
 */
import { type Beat, type BeatMark, STREAMS, subjects } from '@molecule/contracts';
import { type Log, sleep } from '@molecule/service';
import type { Msg, Subscription } from '@nats-io/transport-node';
import { BeatMarks } from './beat-marks.ts';
import type { Bus } from './connection.ts';
import { OrderedFeed } from './ordered-feed.ts';
import { park } from './parked.ts';
import { parseBeat } from './parse-beat.ts';

export interface HowHeard {
  /** From what the bus kept, not live. */
  readonly replayed: boolean;
  /** A newer beat of the workspace was given on before: only what this one declares still counts. */
  readonly outdated?: boolean;
}

export type BeatListener = (beat: Beat, how: HowHeard) => void | Promise<void>;

interface Listening {
  readonly listener: BeatListener;
  /** It has not been told of the last beats yet. */
  fresh: boolean;
  readonly wantsOutdated: boolean;
}

/** Which beat of a workspace was given on last. */
interface Seen {
  receivedAt: number;
  gateway: string;
  seq: number;
  /** When the newest of its beats that declared something was received; 0 when none was given on. */
  declaredAt: number;
}

const CAUGHT_UP_MS = 500;
/** How long the beats that were read at the start are kept for listeners that come right after it. */
const RETAIN_MS = 30_000;
const PARK_EVERY_MS = 1_000;
const FLUSH_MS = 2_000;
const HEAL_EVERY_MS = 2_000;
/** Workspaces that were silent for longer than the stream remembers are forgotten here too. */
const FORGET_MS = 26 * 60 * 60 * 1_000;
const LIVE = { replayed: false } as const;
const REPLAYED = { replayed: true } as const;
const OUTDATED = { replayed: true, outdated: true } as const;

export class BeatFeed {
  readonly #bus: Bus;
  readonly #log: Log;
  readonly #marks = new BeatMarks();
  readonly #seen = new Map<string, Seen>();
  readonly #listening: Listening[] = [];
  readonly #stopping = new AbortController();
  #subscription: Subscription | undefined;
  #leave: () => void = () => {};
  #retained: Map<string, Beat> | undefined = new Map();
  /** Of the retained ones that declare nothing: the last beat before them that did. */
  readonly #retainedDeclarations = new Map<string, Beat>();
  #retainTimer: NodeJS.Timeout | undefined;
  #replaying: Promise<void> | undefined;
  #parkedAt = Number.NEGATIVE_INFINITY;
  #forgetAbove = 10_000;
  #healing = false;
  #healedAt = Number.NEGATIVE_INFINITY;

  private constructor(bus: Bus, log: Log) {
    this.#bus = bus;
    this.#log = log;
  }

  /** Resolves when the last beats were read; listeners added then are told of them at once. Rejects only when `signal` is aborted. */
  static async open(bus: Bus, { log, signal }: { readonly log: Log; readonly signal?: AbortSignal }): Promise<BeatFeed> {
    const feed = new BeatFeed(bus, log);
    const stop = () => void feed.stop();
    signal?.throwIfAborted();
    signal?.addEventListener('abort', stop, { once: true });
    feed.#subscription = bus.nats.subscribe(subjects.everyHeartbeat, {
      callback: (error, message) => feed.#take(error, message),
    });
    feed.#leave = bus.onReconnect(() => void feed.#replay('reconnected'));
    // What the server routed before it knew of us is in the stream by the time it answers this.
    const bound = new AbortController();
    await Promise.race([bus.nats.flush().catch(() => {}), sleep(FLUSH_MS, bound.signal)]);
    bound.abort();
    await feed.#replay('started');
    signal?.throwIfAborted();
    feed.#retainTimer = setTimeout(() => {
      feed.#retained = undefined;
      feed.#retainedDeclarations.clear();
    }, RETAIN_MS);
    feed.#retainTimer.unref();
    return feed;
  }

  /**
   * Hears the last beats of every workspace (`replayed`), then every beat. A promise it returns holds `caughtUp` until it is settled.
   * `outdated`: it also hears of older beats that declared something (F5).
   */
  onBeat(listener: BeatListener, { outdated = false }: { readonly outdated?: boolean } = {}): void {
    const listening: Listening = { listener, fresh: this.#retained === undefined, wantsOutdated: outdated };
    this.#listening.push(listening);
    if (!this.#retained) return void this.#replay('another listener');
    for (const beat of this.#retained.values()) {
      const declaration = this.#retainedDeclarations.get(beat.workspaceId);
      if (declaration && beat.runtimeMetadata === undefined) this.#tell(declaration, REPLAYED, [listening]);
      this.#tell(beat, REPLAYED, [listening]);
    }
  }

  /** `true` at once when this reader is there already, as nearly always; else a promise of whether it came there in time (F4). */
  caughtUp(mark: BeatMark | null, timeoutMs = CAUGHT_UP_MS): Promise<boolean> | true {
    if (mark === null || this.#marks.passed(mark)) return true;
    return this.#waitFor(mark, timeoutMs);
  }

  async stop(): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    this.#stopping.abort();
    this.#leave();
    this.#subscription?.unsubscribe();
    clearTimeout(this.#retainTimer);
    this.#retained = undefined;
    this.#retainedDeclarations.clear();
    this.#marks.close();
    await this.#replaying;
  }

  async #waitFor(mark: BeatMark, timeoutMs: number): Promise<boolean> {
    const passed = await this.#marks.wait(mark, timeoutMs);
    if (!passed && !this.#stopping.signal.aborted) {
      this.#bus.counts.beatWaitsLate++;
      this.#log.warn({ gateway: mark.gateway, seq: mark.seq, timeoutMs }, 'a beat did not come in time; going on without it');
    }
    return passed;
  }

  #take(error: Error | null, message: Msg): void {
    if (error) {
      this.#log.error({ err: error }, 'the subscription to beats failed');
      return;
    }
    const beat = parseBeat(message.string());
    if (!beat) {
      this.#drop(message);
      return;
    }
    if (this.#isNew(beat, LIVE)) {
      this.#retain(beat);
      this.#tell(beat, LIVE, this.#listening);
    }
    if (this.#marks.heard(beat.gateway, beat.seq)) {
      this.#bus.counts.beatGaps++;
      void this.#heal();
    }
    this.#marks.wake();
  }

  #reread(message: Msg): void {
    const beat = parseBeat(message.string());
    if (!beat) return;
    const isNew = this.#isNew(beat, REPLAYED);
    const declares = isNew || this.#declaresAnew(beat); // F5
    if (declares) this.#retain(beat, { outdated: !isNew });
    const told = isNew ? this.#listening : this.#listening.filter(({ fresh }) => fresh);
    if (told.length > 0) this.#tell(beat, REPLAYED, told);
    if (!isNew && declares) {
      const older = this.#listening.filter(({ fresh, wantsOutdated }) => wantsOutdated && !fresh);
      if (older.length > 0) this.#tell(beat, OUTDATED, older);
    }
    this.#marks.reread(beat.gateway, beat.seq);
  }

  #retain(beat: Beat, { outdated = false } = {}): void {
    if (!this.#retained) return;
    if (beat.runtimeMetadata !== undefined) this.#retainedDeclarations.set(beat.workspaceId, beat);
    if (!outdated) this.#retained.set(beat.workspaceId, beat);
  }

  /** Whether an older beat declares something that was not given on; it counts as given on from here. */
  #declaresAnew({ workspaceId, receivedAt, runtimeMetadata }: Beat): boolean {
    const seen = this.#seen.get(workspaceId);
    if (!seen || runtimeMetadata === undefined || receivedAt <= seen.declaredAt) return false;
    seen.declaredAt = receivedAt;
    return true;
  }

  /** F2. Live beats of different gateways count in the order they arrive. */
  #isNew({ workspaceId, receivedAt, gateway, seq, runtimeMetadata }: Beat, { replayed }: HowHeard): boolean {
    const declaredAt = runtimeMetadata === undefined ? 0 : receivedAt;
    const seen = this.#seen.get(workspaceId);
    if (!seen) {
      this.#seen.set(workspaceId, { receivedAt, gateway, seq, declaredAt });
      if (this.#seen.size > this.#forgetAbove) this.#forget(receivedAt);
      return true;
    }
    if (seen.gateway === gateway ? seq <= seen.seq : replayed && receivedAt <= seen.receivedAt) return false;
    seen.receivedAt = receivedAt;
    seen.gateway = gateway;
    seen.seq = seq;
    seen.declaredAt = Math.max(seen.declaredAt, declaredAt);
    return true;
  }

  #tell(beat: Beat, how: HowHeard, told: readonly Listening[]): void {
    let promised: Promise<void>[] | undefined;
    for (const { listener } of told) {
      try {
        const promise = listener(beat, how);
        if (promise) {
          promised ??= [];
          promised.push(promise);
        }
      } catch (error) {
        this.#failed(error, beat);
      }
    }
    if (promised) this.#await(promised, beat);
  }

  #await(promised: readonly Promise<void>[], beat: Beat): void {
    this.#marks.opened(beat.gateway, beat.seq);
    void Promise.allSettled(promised).then((outcomes) => {
      for (const outcome of outcomes) if (outcome.status === 'rejected') this.#failed(outcome.reason, beat);
      this.#marks.closed(beat.gateway, beat.seq);
    });
  }

  #failed(error: unknown, { workspaceId }: Beat): void {
    this.#log.error({ err: error, workspaceId }, 'a listener to beats failed');
  }

  /** At once, but not again and again: beats that are lost all the time shall not cost a reading each. */
  async #heal(): Promise<void> {
    if (this.#replaying || this.#healing) return;
    this.#healing = true;
    const early = this.#healedAt + HEAL_EVERY_MS - performance.now();
    if (early > 0) await sleep(early, this.#stopping.signal);
    this.#healing = false;
    this.#healedAt = performance.now();
    await this.#replay('beats are missing');
  }

  /** Reads the last beat of every workspace again (F3). One at a time: what is asked for meanwhile is covered by the one under way. */
  #replay(why: string): Promise<void> {
    const untilAllAreTold = async () => {
      do await this.#readAll(why);
      while (!this.#stopping.signal.aborted && this.#listening.some(({ fresh }) => fresh));
    };
    this.#replaying ??= untilAllAreTold().finally(() => {
      this.#replaying = undefined;
    });
    return this.#replaying;
  }

  async #readAll(why: string): Promise<void> {
    const { signal } = this.#stopping;
    if (signal.aborted) return;
    const began = performance.now();
    const covered = this.#listening.filter(({ fresh }) => fresh);
    let read = 0;
    let atTheEnd: () => void = () => {};
    const end = new Promise<void>((resolve) => {
      atTheEnd = resolve;
    });
    signal.addEventListener('abort', atTheEnd, { once: true });
    const opening = OrderedFeed.open(
      this.#bus,
      {
        stream: STREAMS.heartbeats,
        log: this.#log,
        from: 'all',
        contiguous: false,
        onMessage: (message, { pending }) => {
          this.#reread(message);
          read++;
          if (pending === 0) atTheEnd();
        },
        onGap: () => {},
        onIdle: atTheEnd,
      },
      signal,
    );
    try {
      await Promise.all([end, opening]);
    } catch {
      // Opening fails only when this feed is stopped.
    } finally {
      signal.removeEventListener('abort', atTheEnd);
      await opening.then(
        (feed) => feed.stop(),
        () => {},
      );
    }
    if (signal.aborted) return;
    for (const listening of covered) listening.fresh = false;
    this.#bus.counts.beatReplays++;
    this.#marks.healed();
    this.#log.info({ why, workspaces: read, ms: Math.round(performance.now() - began) }, 'read the last beats');
  }

  #drop(message: Msg): void {
    this.#bus.counts.beatsMalformed++;
    const now = performance.now();
    if (now - this.#parkedAt < PARK_EVERY_MS) return;
    this.#parkedAt = now;
    this.#log.error({ subject: message.subject }, 'a beat cannot be read');
    const origin = { stream: '', sequence: 0, subject: message.subject, body: message.string() };
    park(this.#bus, { consumer: 'beats', error: 'not a beat', origin }).catch((error: unknown) =>
      this.#log.warn({ err: error }, 'a beat could not be parked'),
    );
  }

  #forget(now: number): void {
    for (const [workspaceId, { receivedAt }] of this.#seen) if (receivedAt < now - FORGET_MS) this.#seen.delete(workspaceId);
    this.#forgetAbove = Math.max(10_000, 2 * this.#seen.size);
  }
}
