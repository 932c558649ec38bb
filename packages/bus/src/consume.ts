/**
 * Facts in, for whoever stores or does something because of them: a durable consumer shared by the replicas of a service.
 *
 *   D1. Facts are handed on in the order of the stream, none left out: what a lost link or a dead process had in its hands
 *       is read again from the stream itself, before anything newer (I2).
 *   D2. A fact is settled after `handle` resolved, or after it was parked: in one place, here.
 *   D3. A batch that throws is tried fact by fact. A fact that fails five times within a second, or that cannot be read, is
 *       parked with error and origin, and passed: nothing stands still behind it (F20).
 *   D4. A failure that passes by itself (the database is away) is no fault of the fact: it is waited for, and never parked.
 *   D5. A repeat that the server did not recognise is dropped by the fact's id as far as this process remembers; beyond that,
 *       handlers are idempotent.
 */

import { type AnyRecordedFact, type FactType, STREAMS } from '@molecule/contracts';
import { backoff, type Log, sleep } from '@molecule/service';
import type { ConsumerInfo, ConsumerNotification, JsMsg } from '@nats-io/jetstream';
import type { Bus } from './connection.ts';
import { ACK_WAIT_MS, BATCH, ensureConsumer } from './durable.ts';
import { decodeFact, HEADERS, RecentIds, typeOfSubject } from './envelope.ts';
import { isPassing } from './errors.ts';
import { Intake, keepWorking } from './intake.ts';
import { park, storedMessage } from './parked.ts';

/** A fact with its place in FACTS. */
export type DeliveredFact = AnyRecordedFact & {
  /** Sequence in the stream: what a reader stores with its rows. */
  readonly position: bigint;
  /** Names the stream the position counts in; a stream made anew has another name. */
  readonly source: string;
};

export interface ConsumeFactsOptions {
  /** Durable name: the service's. */
  readonly consumer: string;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Only these; all if absent. */
  readonly types?: readonly FactType[];
  /** Resolves when everything is stored. Must bear a repeat. */
  readonly handle: (facts: readonly DeliveredFact[]) => Promise<void>;
  /** Called after each settled batch, and every few seconds while there is none. */
  readonly tick?: () => void;
  /** More errors that pass by themselves, beside those known here (D4). */
  readonly isPassing?: (error: unknown) => boolean;
}

const TRIES = 5;
const IDLE_TICK_MS = 5_000;
const WORKING_MS = ACK_WAIT_MS / 3;
/** A longer hole is looked at from its far end: most likely nothing of it is stored any more. */
const LONG_HOLE = 1_000;
const retryMs = backoff({ firstMs: 50, lastMs: 400 });
const passingMs = backoff({ firstMs: 200, lastMs: 5_000 });
const sessionMs = backoff({ firstMs: 100, lastMs: 2_000 });

/** Feeds facts to `handle` until `signal` is aborted, or the bus closed, then resolves when the batch in hand is done. */
export async function consumeFacts(bus: Bus, options: ConsumeFactsOptions): Promise<void> {
  const { consumer, log, signal } = options;
  const reader = new Reader(bus, options);
  for (let failures = 0; !signal.aborted; ) {
    await sleep(failures === 0 ? 0 : sessionMs(failures), signal);
    try {
      await reader.session(() => {
        failures = 0;
      });
    } catch (error) {
      if (signal.aborted || bus.nats.isClosed()) return;
      failures++;
      if (failures === 3 || failures % 30 === 0)
        log.warn({ err: error, consumer, failures }, 'facts cannot be read; trying again');
    }
  }
}

/** How far a consumer is behind the stream. */
export interface ConsumerLag {
  /** Facts that it has still before it, or has not settled. */
  readonly facts: number;
  /** Age of the oldest of them. */
  readonly seconds: number;
}

/** Rejects when there is no such consumer, or nobody who could be asked. `now`: milliseconds since the epoch. */
export async function consumerLag(bus: Bus, consumer: string, now: number = Date.now()): Promise<ConsumerLag> {
  const { num_pending, num_ack_pending, ack_floor } = await bus.jsm.consumers.info(STREAMS.facts, consumer);
  const facts = num_pending + num_ack_pending;
  if (facts === 0) return { facts: 0, seconds: 0 };
  const { state } = await bus.jsm.streams.info(STREAMS.facts);
  const oldest = await bus.jsm.streams.getMessage(STREAMS.facts, { seq: Math.max(ack_floor.stream_seq + 1, state.first_seq) });
  return { facts, seconds: oldest === null ? 0 : Math.max(0, (now - oldest.time.getTime()) / 1000) };
}

interface Stored {
  readonly sequence: number;
  readonly subject: string;
  readonly body: string;
  /** The one consumer a redriven fact is meant for. */
  readonly onlyFor: string | undefined;
}

class Reader {
  readonly #bus: Bus;
  readonly #options: ConsumeFactsOptions;
  readonly #seen = new RecentIds();
  readonly #unknown = new Set<string>();
  readonly #types: ReadonlySet<string> | undefined;
  #source = '';
  /** Everything up to here is settled. */
  #done = 0;

  constructor(bus: Bus, options: ConsumeFactsOptions) {
    this.#bus = bus;
    this.#options = options;
    this.#types = options.types && new Set<string>(options.types);
  }

  /** Reads until the link or the consumer is not what it was, or until told to stop. */
  async session(established: () => void): Promise<void> {
    const { consumer, signal, tick } = this.#options;
    const info = await this.#begin();
    await this.#catchUpTo(info.delivered.stream_seq);
    if (signal.aborted) return;
    const intake = new Intake(BATCH);
    const end = () => intake.end();
    const handle = await this.#bus.js.consumers.get(STREAMS.facts, consumer);
    const messages = await handle.consume({
      max_messages: BATCH,
      expires: ACK_WAIT_MS,
      idle_heartbeat: IDLE_TICK_MS,
      callback: (message) => intake.put(message),
    });
    established();
    signal.addEventListener('abort', end, { once: true });
    const leave = this.#bus.onReconnect(end);
    let isIdle = true;
    void watchFor(messages.status(), end, (delivered) => {
      if (isIdle && intake.peek().length === 0 && delivered > this.#done) end(); // D1: the last ones got lost on the way
    });
    void messages.closed().then(end, end);
    const stopWorking = keepWorking(() => intake.peek(), WORKING_MS);
    try {
      if (signal.aborted) end();
      while (!intake.ended) {
        const batch = await intake.take(IDLE_TICK_MS);
        isIdle = false;
        await this.#work(batch);
        isIdle = true;
        if (this.#bus.connected) tick?.();
      }
    } finally {
      stopWorking();
      leave();
      signal.removeEventListener('abort', end);
      messages.stop();
    }
  }

  /** Makes or corrects the durable consumer, and finds out where it stands. */
  async #begin(): Promise<ConsumerInfo> {
    const { consumer, log } = this.#options;
    const { created, state } = await this.#bus.jsm.streams.info(STREAMS.facts);
    const info = await ensureConsumer(this.#bus, consumer);
    const source = `${STREAMS.facts}@${created}`;
    if (source !== this.#source) this.#done = 0;
    this.#source = source;
    const floor = Math.max(info.ack_floor.stream_seq, (info.config.opt_start_seq ?? 1) - 1);
    this.#done = Math.max(Math.min(this.#done, state.last_seq), floor);
    if (this.#done > 0 && state.first_seq > this.#done + 1) {
      this.#bus.counts.factGaps++;
      log.error(
        { consumer, from: this.#done + 1, to: state.first_seq - 1 },
        'facts were dropped by the stream before they were read',
      );
    }
    this.#done = Math.max(this.#done, state.first_seq - 1);
    return info;
  }

  /** D1: what was delivered to somebody and never settled is read at once, not when the server remembers it. */
  async #catchUpTo(sequence: number): Promise<void> {
    while (this.#done < sequence && !this.#options.signal.aborted) {
      const to = Math.min(sequence, this.#done + BATCH);
      await this.#settle(await this.#read(this.#done + 1, to));
      this.#done = to;
      this.#options.tick?.();
    }
  }

  async #work(batch: readonly JsMsg[]): Promise<void> {
    const ordered = [...batch].sort((a, b) => a.seq - b.seq);
    const last = ordered.at(-1);
    if (!last) return;
    const stored: Stored[] = [];
    let next = this.#done + 1;
    for (const message of ordered) {
      if (message.seq < next) continue; // delivered again
      if (message.seq > next) stored.push(...(await this.#read(next, message.seq - 1))); // D1
      const onlyFor = message.headers?.get(HEADERS.onlyFor) || undefined;
      stored.push({ sequence: message.seq, subject: message.subject, body: message.string(), onlyFor });
      next = message.seq + 1;
    }
    const stopWorking = keepWorking(() => batch, WORKING_MS);
    try {
      await this.#settle(stored);
    } finally {
      stopWorking();
    }
    this.#done = Math.max(this.#done, next - 1);
    last.ack(); // D2: settles all before it too
  }

  /** What the stream still holds between two sequences, both included. */
  async #read(from: number, to: number): Promise<Stored[]> {
    let first = from;
    if (to - from > LONG_HOLE) first = Math.max(from, (await this.#bus.jsm.streams.info(STREAMS.facts)).state.first_seq);
    const found: Stored[] = [];
    for (let sequence = first; sequence <= to; sequence++) {
      const message = await storedMessage(this.#bus, STREAMS.facts, sequence);
      if (message) found.push({ sequence, ...message });
    }
    return found;
  }

  /** Resolves when each of these was handled, parked, or is none of ours. Rejects when told to stop before that. */
  async #settle(stored: readonly Stored[]): Promise<void> {
    const facts: { fact: DeliveredFact; stored: Stored }[] = [];
    const ids = new Set<string>();
    for (const one of stored) {
      const fact = await this.#decode(one);
      if (!fact || (one.onlyFor === undefined && (this.#seen.has(fact.id) || ids.has(fact.id)))) continue; // D5
      ids.add(fact.id);
      facts.push({ fact, stored: one });
    }
    if (facts.length === 0) return;
    if (!(await this.#tryBatch(facts.map(({ fact }) => fact)))) {
      for (const { fact, stored: one } of facts) await this.#tryOne(fact, one);
    }
    for (const { fact } of facts) this.#seen.add(fact.id);
  }

  async #decode(stored: Stored): Promise<DeliveredFact | undefined> {
    const { consumer, log } = this.#options;
    if (stored.onlyFor !== undefined && stored.onlyFor !== consumer) return undefined;
    if (this.#types && !this.#types.has(typeOfSubject(stored.subject))) return undefined;
    const decoded = decodeFact(stored.body);
    if (decoded.kind === 'unknown') {
      if (!this.#unknown.has(decoded.type))
        log.warn({ consumer, type: decoded.type }, 'a fact of a type not known here; passed over');
      this.#unknown.add(decoded.type);
      return undefined;
    }
    if (decoded.kind === 'unparsable') {
      await this.#park(stored, decoded.reason);
      return undefined;
    }
    return { ...decoded.fact, position: BigInt(stored.sequence), source: this.#source };
  }

  /** `false`: one of them is to blame. */
  async #tryBatch(facts: readonly DeliveredFact[]): Promise<boolean> {
    try {
      await this.#handle(facts);
      return true;
    } catch (error) {
      this.#options.signal.throwIfAborted();
      this.#options.log.warn(
        { err: error, consumer: this.#options.consumer, facts: facts.length },
        'a batch of facts failed; one by one',
      );
      return false;
    }
  }

  async #tryOne(fact: DeliveredFact, stored: Stored): Promise<void> {
    const { signal } = this.#options;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#handle([fact]);
      } catch (error) {
        signal.throwIfAborted();
        if (attempt === TRIES)
          return this.#park(stored, error instanceof Error ? `${error.name}: ${error.message}` : String(error));
        await sleep(retryMs(attempt), signal);
      }
    }
  }

  /** D4: waits out what passes by itself; everything else it throws. */
  async #handle(facts: readonly DeliveredFact[]): Promise<void> {
    const { consumer, handle, log, signal } = this.#options;
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        await handle(facts);
        if (attempt > 1) this.#bus.complain(`consuming facts as ${consumer}`, null);
        return;
      } catch (error) {
        if (!isPassing(error) && !this.#options.isPassing?.(error)) throw error;
        if (attempt === 1) log.warn({ err: error, consumer }, 'facts cannot be stored just now; waiting');
        if (attempt === 3) this.#bus.complain(`consuming facts as ${consumer}`, 'waiting for what its handler needs');
        await sleep(passingMs(attempt), signal);
      }
    }
  }

  async #park(stored: Stored, error: string): Promise<void> {
    const { consumer, log, signal } = this.#options;
    const { sequence, subject, body } = stored;
    log.error({ consumer, sequence, subject, reason: error }, 'a fact was set aside');
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        await park(this.#bus, { consumer, error, origin: { stream: STREAMS.facts, sequence, subject, body } });
        this.#bus.counts.factsParked++;
        return;
      } catch (failure) {
        if (attempt === 3) log.error({ err: failure, consumer }, 'PARKED does not take anything; trying again');
        await sleep(passingMs(attempt), signal);
      }
    }
  }
}

/** Calls `end` at the first sign that the consumer is not delivering any more; tells what it says it has delivered, when it is idle. */
async function watchFor(
  notices: AsyncIterable<ConsumerNotification>,
  end: () => void,
  onHeartbeat: (delivered: number) => void,
): Promise<void> {
  for await (const notice of notices) {
    switch (notice.type) {
      case 'heartbeat':
        onHeartbeat(notice.lastStreamSequence);
        break;
      case 'heartbeats_missed':
      case 'consumer_not_found':
      case 'consumer_deleted':
      case 'stream_not_found':
      case 'no_responders':
      case 'exceeded_limits':
        end();
    }
  }
}
