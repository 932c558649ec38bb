/**
 * Writes down what direct calls were and how they ended, in batches: the hot path never waits for the database (ADR 0003).
 *
 *   R1. Every call that began ends in one terminal fact, or is given back (`withdraw`) to be queued instead.
 *   R2. A call that is still open when its batch is written gets `a2a.dispatched` first, so that a dead process leaves a trace of it;
 *       a call that ended before gets its end only.
 *   R3. One batch is written at a time, as it was made, until it is stored: ids and command ids make repeats harmless, and what
 *       comes later counts on what went before.
 *   R4. What the database refuses for what it says never holds up the rest: it is set aside, logged and counted.
 *   R5. At the bound (`isFull`) nothing new is taken on (I12). Rows count too, with all that they say.
 *   R6. Large bodies cannot bring it there: while half of it is taken, rows are written without them.
 */
import { randomUUID } from 'node:crypto';
import type { A2aFact, LiveEvent } from '@molecule/contracts';
import type { Entry, Ledger } from '@molecule/event-store';
import { backoff, type Clock, type Log, sleep } from '@molecule/service';
import { type ActivityRow, activityLogged, sizeOf } from '../activity/row.ts';
import { insertActivity, touchOutbound, withoutBodies, withoutLargeBodies } from '../activity/store.ts';
import type { Tables } from '../database.ts';
import type { Envelope } from '../message/decisions.ts';
import { calls } from '../message/message.ts';
import { addUsage } from '../usage/store.ts';
import { type Usage, UsageSum } from '../usage/usage.ts';

export interface RecorderOptions {
  readonly ledger: Ledger<Tables>;
  readonly log: Log;
  readonly clock: Clock;
  readonly worker: string;
  /** Tells canvases and idle timers, once the row is stored. */
  readonly say: (event: LiveEvent) => void;
  readonly isUnavailable: (error: unknown) => boolean;
  readonly onLost?: (what: 'fenced' | 'refused' | 'bodies', count: number) => void;
  /** How long a call may be open before it is written down as dispatched, and how long an end may wait, in ms. */
  readonly windowMs?: number;
  readonly maxEntries?: number;
  readonly maxBytes?: number;
}

const BATCH_ENTRIES = 64;
const MAX_BATCH_ENTRIES = 512;
const MAX_BATCH_BYTES = 8 * 1024 * 1024;
const retryMs = backoff({ firstMs: 50, lastMs: 1_000 });

/** A direct call, from its dial to its end in the log. */
export class Recording {
  readonly envelope: Envelope;
  readonly startedMs: number;
  /** Whether `a2a.dispatched` is in the log. */
  dispatched: 'no' | 'storing' | 'yes';
  /** Set when it ended. */
  end: A2aFact | null = null;
  withdrawn = false;

  constructor(envelope: Envelope, startedMs: number, dispatched: 'no' | 'yes') {
    this.envelope = envelope;
    this.startedMs = startedMs;
    this.dispatched = dispatched;
  }
}

interface Batch {
  readonly opened: readonly Recording[];
  readonly ended: readonly Recording[];
  readonly rows: readonly ActivityRow[];
  readonly outbound: ReadonlyMap<string, number>;
  readonly usage: UsageSum;
  readonly bytes: number;
}

export class Recorder {
  readonly #ledger: Ledger<Tables>;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #worker: string;
  readonly #say: (event: LiveEvent) => void;
  readonly #isUnavailable: (error: unknown) => boolean;
  readonly #onLost: NonNullable<RecorderOptions['onLost']>;
  readonly #windowMs: number;
  readonly #maxEntries: number;
  readonly #maxBytes: number;

  /** Open, and not yet written down; oldest first. Those that ended or were withdrawn are skipped. */
  #fresh: Recording[] = [];
  #ended: Recording[] = [];
  #rows: ActivityRow[] = [];
  #rowBytes = 0;
  #outbound = new Map<string, number>();
  #usage = new UsageSum();
  /** Written down as dispatched, and not yet as ended; oldest first. */
  readonly #open = new Set<Recording>();
  #batch: Batch | undefined;
  #timer: NodeJS.Timeout | undefined;
  #flushing: Promise<void> | undefined;
  readonly #closing = new AbortController();

  constructor(options: RecorderOptions) {
    this.#ledger = options.ledger;
    this.#log = options.log;
    this.#clock = options.clock;
    this.#worker = options.worker;
    this.#say = options.say;
    this.#isUnavailable = options.isUnavailable;
    this.#onLost = options.onLost ?? (() => {});
    this.#windowMs = options.windowMs ?? 20;
    this.#maxEntries = options.maxEntries ?? 10_000;
    this.#maxBytes = options.maxBytes ?? 64 * 1024 * 1024;
  }

  /** How much waits to be written. */
  get backlog(): number {
    const writing = this.#batch ? this.#batch.opened.length + this.#batch.ended.length : 0;
    return this.#fresh.length + this.#ended.length + writing;
  }

  /** R5. */
  get isFull(): boolean {
    return Math.max(this.backlog, this.#rows.length) >= this.#maxEntries || this.#pendingBytes >= this.#maxBytes;
  }

  /** How long ago the oldest open call that is written down began, in ms; 0 if there is none. */
  get oldestOpenMs(): number {
    for (const { startedMs } of this.#open) return Math.max(0, this.#clock.monotonicMs() - startedMs);
    return 0;
  }

  /** A call begins. `durable`: its `a2a.dispatched` is in the log already. */
  begin(envelope: Envelope, { durable = false } = {}): Recording {
    const recording = new Recording(envelope, this.#clock.monotonicMs(), durable ? 'yes' : 'no');
    if (durable) this.#open.add(recording);
    else {
      this.#fresh.push(recording);
      this.#arm();
    }
    return recording;
  }

  /** A call ended (R1). */
  end(recording: Recording, end: A2aFact, row: ActivityRow | null): void {
    if (recording.end) return;
    recording.end = end;
    this.#ended.push(recording);
    if (row) this.#addRow(row);
    this.#arm();
  }

  /** A row that belongs to no end of a direct call. */
  row(row: ActivityRow): void {
    this.#addRow(row);
    this.#arm();
  }

  /** This workspace has reached another. */
  outbound(workspaceId: string, atUs: number): void {
    this.#outbound.set(workspaceId, atUs);
    this.#arm();
  }

  /** A reply of this workspace's agent says what it took. */
  used(workspaceId: string, usage: Usage): void {
    this.#usage.add(workspaceId, usage, this.#clock.now());
    this.#arm();
  }

  /** Gives a call back, to be decided on otherwise: from here it is not written down by us. `false`: not within `timeoutMs`. */
  async withdraw(recording: Recording, timeoutMs: number): Promise<boolean> {
    const giveUpAt = this.#clock.monotonicMs() + timeoutMs;
    while (recording.dispatched === 'storing') {
      const left = giveUpAt - this.#clock.monotonicMs();
      if (left <= 0 || !this.#flushing) return false;
      const late = new AbortController();
      await Promise.race([this.#flushing, sleep(left, late.signal)]);
      late.abort();
    }
    recording.withdrawn = true;
    this.#open.delete(recording);
    return true;
  }

  /** Takes a withdrawn call back: it could not be decided on otherwise. */
  endWithdrawn(recording: Recording, end: A2aFact, row: ActivityRow | null): void {
    recording.withdrawn = false;
    this.end(recording, end, row);
  }

  #addRow(row: ActivityRow): void {
    const added = this.#pendingBytes + sizeOf(row) > this.#maxBytes / 2 ? withoutLargeBodies(row) : row; // R6
    if (added !== row) this.#onLost('bodies', 1);
    this.#rows.push(added);
    this.#rowBytes += sizeOf(added);
  }

  get #pendingBytes(): number {
    return this.#rowBytes + (this.#batch?.bytes ?? 0);
  }

  #arm(): void {
    if (this.#flushing) return;
    if (this.#ended.length >= BATCH_ENTRIES || this.#rows.length >= BATCH_ENTRIES) this.#flush();
    else this.#timer ??= setTimeout(this.#onTimer, this.#windowMs);
  }

  readonly #onTimer = (): void => this.#flush();

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (this.#flushing) return;
    const batch = this.#nextBatch();
    if (batch) {
      this.#batch = batch;
      this.#flushing = this.#store(batch).finally(() => {
        this.#batch = undefined;
        this.#flushing = undefined;
        this.#armAgain();
      });
    } else this.#armAgain();
  }

  #armAgain(): void {
    if (this.#fresh.length > 0 || this.#hasRecords()) this.#arm();
  }

  #hasRecords(): boolean {
    return this.#ended.length > 0 || this.#rows.length > 0 || this.#outbound.size > 0 || this.#usage.size > 0;
  }

  #nextBatch(): Batch | null {
    const ended = this.#ended.splice(0, MAX_BATCH_ENTRIES);
    const opened: Recording[] = [];
    const before = this.#clock.monotonicMs() - this.#windowMs;
    let seen = 0;
    for (const recording of this.#fresh) {
      const over = recording.end !== null || recording.withdrawn;
      if (!over && (recording.startedMs > before || opened.length >= MAX_BATCH_ENTRIES)) break;
      seen++;
      if (over) continue;
      recording.dispatched = 'storing';
      opened.push(recording);
    }
    if (seen > 0) this.#fresh = this.#fresh.slice(seen);

    let bytes = 0;
    let count = 0;
    for (const row of this.#rows) {
      const size = sizeOf(row);
      if (count >= MAX_BATCH_ENTRIES || (count > 0 && bytes + size > MAX_BATCH_BYTES)) break;
      bytes += size;
      count++;
    }
    const rows = this.#rows.splice(0, count);
    this.#rowBytes -= bytes;
    const outbound = this.#outbound;
    if (outbound.size > 0) this.#outbound = new Map();
    const usage = this.#usage;
    if (usage.size > 0) this.#usage = new UsageSum();
    if (ended.length + opened.length + rows.length + outbound.size + usage.size === 0) return null;
    return { opened, ended, rows, outbound, usage, bytes };
  }

  /** R3. Never rejects. */
  async #store(batch: Batch): Promise<void> {
    const entries = [...batch.opened.map((call) => this.#opening(call)), ...batch.ended.map(ending)];
    await Promise.all([
      this.#stubbornly(entries, (some) => this.#append(some)),
      this.#stubbornly(batch.rows, (some) => insertActivity(this.#ledger.pool, some), withoutBodies).then((stored) => {
        for (const row of stored) if (!row.quiet) this.#say(activityLogged(row));
      }),
      this.#stubbornly(batch.outbound.size > 0 ? [batch.outbound] : [], async ([at]) => {
        if (at) await touchOutbound(this.#ledger.pool, at);
      }),
      this.#storeUsage(batch.usage),
    ]);
    for (const recording of batch.opened) {
      recording.dispatched = 'yes';
      if (recording.end === null && !recording.withdrawn) this.#open.add(recording);
    }
    for (const recording of batch.ended) this.#open.delete(recording);
  }

  /**
   * Writes all in one, again and again while the database is away (R3). If it refuses them for what they say, one by one, each
   * made harmless if that can be, else set aside (R4). Answers what was stored.
   */
  async #stubbornly<Item>(
    items: readonly Item[],
    write: (items: readonly Item[]) => Promise<void>,
    harmless?: (item: Item) => Item,
  ): Promise<readonly Item[]> {
    if (items.length === 0) return items;
    for (let failures = 1; ; failures++) {
      try {
        await write(items);
        return items;
      } catch (error) {
        if (!this.#isUnavailable(error)) {
          this.#log.error({ err: error, count: items.length }, 'the database refuses a record');
          const [only] = items;
          if (items.length === 1 && only !== undefined) {
            if (harmless) return this.#stubbornly([harmless(only)], write);
            this.#onLost('refused', 1);
            return [];
          }
          const stored: Item[] = [];
          for (const item of items) stored.push(...(await this.#stubbornly([item], write, harmless)));
          return stored;
        }
        if (failures === 1) this.#log.warn({ err: error, backlog: this.backlog }, 'records wait for the database');
        if (this.#closing.signal.aborted) {
          this.#log.error({ count: items.length }, 'records are lost: the database was away when the service stopped');
          this.#onLost('refused', items.length);
          return [];
        }
        await sleep(retryMs(failures), this.#closing.signal);
      }
    }
  }

  /** Under one id, so that a portion whose answer was lost counts once (R3). */
  async #storeUsage(sum: UsageSum): Promise<void> {
    if (sum.size === 0) return;
    const portionId = randomUUID();
    await this.#stubbornly([sum], async ([portion]) => {
      if (portion) await addUsage(this.#ledger.pool, portionId, portion);
    });
  }

  async #append(entries: readonly Entry<A2aFact>[]): Promise<void> {
    const outcomes = await this.#ledger.appendMany(calls, entries);
    const fenced = outcomes.filter((outcome) => outcome === 'conflict').length;
    if (fenced === 0) return;
    // Somebody took us for dead and ended these calls as interrupted (M2): their word stands.
    this.#log.warn({ count: fenced }, 'calls had been ended by another worker');
    this.#onLost('fenced', fenced);
  }

  #opening({ envelope }: Recording): Entry<A2aFact> {
    return {
      id: envelope.messageId,
      expectedVersion: 0,
      commandId: 'dispatch',
      facts: [{ type: 'a2a.dispatched', data: { ...envelope, attempt: 1, via: 'direct', worker: this.#worker } }],
    };
  }

  /** Writes what there is, within `graceMs`; what the database does not take by then is lost, and said so. */
  async close(graceMs: number): Promise<void> {
    const late = setTimeout(() => this.#closing.abort(), graceMs);
    while (this.#flushing || this.#hasRecords()) {
      if (!this.#flushing) this.#flush();
      await this.#flushing;
    }
    clearTimeout(late);
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }
}

function ending({ envelope, end, dispatched }: Recording): Entry<A2aFact> {
  if (!end) throw new TypeError('a call that has not ended was taken for one that has');
  return { id: envelope.messageId, expectedVersion: dispatched === 'yes' ? 1 : 0, commandId: 'end', facts: [end] };
}
