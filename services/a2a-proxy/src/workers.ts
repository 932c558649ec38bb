/**
 * Which proxy processes are alive, and what becomes of what the dead ones held.
 *
 *   L1. A worker that has not renewed its lease within LEASE_MS is dead for everybody, by the database's clock.
 *   L2. Who takes over does so through the log: a worker that was only slow finds its word refused there (M2).
 *   L3. After its own start, and after it could not renew in time, a worker grants everybody one whole lease before it takes
 *       anything over: what kept it may have kept the others too.
 */
import type { A2aFact } from '@molecule/contracts';
import type { Ledger } from '@molecule/event-store';
import type { Clock, Log } from '@molecule/service';
import { sql } from 'kysely';
import type { Tables } from './database.ts';
import { Lease } from './lease.ts';
import { release } from './mailbox/enqueue.ts';
import { type Envelope, INTERRUPTED, recover } from './message/decisions.ts';
import { calls, messages } from './message/message.ts';

export interface WorkersOptions {
  readonly ledger: Ledger<Tables>;
  readonly log: Log;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly worker: string;
  readonly leaseMs: number;
  /** How long ago the oldest direct call of this process that is written down as open began, in ms. */
  readonly oldestOpenMs: () => number;
  /** Whether this process is delivering that message from the mailbox. */
  readonly isDelivering: (messageId: string) => boolean;
  /** Messages wait again for that workspace. */
  readonly onRequeued: (workspaceId: string) => void;
  /** There is a lease again, after a time without. */
  readonly onRegained: () => void;
}

const CALLS_AT_ONCE = 200;
/** Clocks and batches: what a worker says is open may have begun this much earlier. */
const MARGIN_MS = 60_000;
/** A claim of ours that nobody runs is taken for a claim whose answer was lost, after this long. */
const ORPHAN_SECONDS = 15;

export class Workers {
  readonly #options: WorkersOptions;
  #lease: Lease;
  #graceUntilMs = Number.POSITIVE_INFINITY;
  #others = 0;

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#lease = new Lease(options.clock, options.leaseMs, Number.NEGATIVE_INFINITY);
  }

  /** The latest one; it may have ended. */
  get lease(): Lease {
    return this.#lease;
  }

  /** L3: what dead workers held may be taken over by this process. */
  get mayTakeOver(): boolean {
    return this.#lease.holds() && this.#options.clock.monotonicMs() >= this.#graceUntilMs;
  }

  /** Whether other processes were alive when it was last looked. */
  get hasOthers(): boolean {
    return this.#others > 0;
  }

  async renew(): Promise<void> {
    const { ledger, clock, worker, leaseMs, oldestOpenMs } = this.#options;
    const asked = clock.monotonicMs();
    const { rows } = await sql<{ others: number }>`
      insert into workers (worker, alive_until, open_since)
      values (${worker}, now() + ${leaseMs} * interval '1 millisecond', now() - ${oldestOpenMs() + MARGIN_MS} * interval '1 millisecond')
      on conflict (worker) do update set alive_until = excluded.alive_until, open_since = excluded.open_since
      returning (select count(*)::int from workers others where others.worker <> ${worker} and others.alive_until > now()) as others
    `.execute(ledger.db);
    this.#others = rows[0]?.others ?? 0;
    // What ended while we asked stays ended: the others may have acted in between.
    if (this.#lease.holds()) return this.#lease.extend(asked);
    this.#lease = new Lease(clock, leaseMs, asked);
    this.#graceUntilMs = clock.monotonicMs() + leaseMs; // L3
    this.#options.onRegained();
  }

  async isLive(worker: string): Promise<boolean> {
    const row = await this.#options.ledger.db
      .selectFrom('workers')
      .select('worker')
      .where('worker', '=', worker)
      .where('alive_until', '>', sql<Date>`now()`)
      .executeTakeFirst();
    return row !== undefined;
  }

  /** L1, L2: one round. */
  async recover(): Promise<void> {
    await this.#recoverOwnOrphans();
    if (this.#options.clock.monotonicMs() < this.#graceUntilMs) return; // L3
    for (const dead of await this.#deadWorkers()) {
      await this.#endCallsOf(dead);
      await this.#requeueClaimsOf(dead);
      await this.#options.ledger.db
        .deleteFrom('workers')
        .where('worker', '=', dead)
        .where('alive_until', '<', sql<Date>`now()`)
        .execute();
    }
  }

  /** At a clean stop, when nothing is held any more: nobody need wait for the lease to run out. */
  async leave(): Promise<void> {
    const { ledger, worker } = this.#options;
    this.#lease.end();
    await sql`update workers set alive_until = now() where worker = ${worker}`.execute(ledger.db);
  }

  async #deadWorkers(): Promise<string[]> {
    const { ledger, worker } = this.#options;
    const { rows } = await sql<{ worker: string }>`
      select worker from workers where alive_until < now() and worker <> ${worker}
      union
      select worker from mailbox where status = 'dispatched' and worker <> ${worker}
        and not exists (select from workers where workers.worker = mailbox.worker)
    `.execute(ledger.db);
    return rows.map((row) => row.worker);
  }

  /** Direct calls that somebody waited for, and whose end nobody knows: they end as interrupted. */
  async #endCallsOf(dead: string): Promise<void> {
    const { ledger, log } = this.#options;
    for (let ended = 0; ; ) {
      const { rows } = await sql<{ data: Extract<A2aFact, { type: 'a2a.dispatched' }>['data'] }>`
        select data from events
        where type = 'a2a.dispatched' and data ->> 'worker' = ${dead} and data ->> 'via' = 'direct'
          and recorded_at >= coalesce((select open_since from workers where worker = ${dead}), '-infinity')
          and not exists (select from events later where later.stream = events.stream and later.version = events.version + 1)
        limit ${CALLS_AT_ONCE}
      `.execute(ledger.db);
      if (rows.length > 0) {
        const outcomes = await ledger.appendMany(
          calls,
          rows.map(({ data: { attempt: _attempt, via: _via, worker: _worker, ...envelope } }) => ({
            id: envelope.messageId,
            expectedVersion: 1,
            commandId: 'interrupt',
            facts: [{ type: 'a2a.unreached', data: { ...envelope, httpStatus: 502, error: INTERRUPTED } }] as const,
          })),
        );
        ended += outcomes.filter((outcome) => outcome === 'stored').length;
      }
      if (rows.length < CALLS_AT_ONCE) {
        if (ended > 0) log.warn({ dead, ended }, 'ended the open calls of a worker that died');
        return;
      }
    }
  }

  async #requeueClaimsOf(dead: string): Promise<void> {
    const { ledger, log } = this.#options;
    const claimed = await this.#claimsOf(dead, 0);
    for (const envelope of claimed) await this.#takeOver(envelope, dead);
    if (claimed.length > 0)
      log.warn({ dead, claimed: claimed.length, schema: ledger.schema }, 'took over the messages of a worker that died');
  }

  /** Claims of this process that it does not know of: their commit was stored, but its answer was lost. */
  async #recoverOwnOrphans(): Promise<void> {
    const { worker, isDelivering } = this.#options;
    for (const envelope of await this.#claimsOf(worker, ORPHAN_SECONDS))
      if (!isDelivering(envelope.messageId)) await this.#takeOver(envelope, worker);
  }

  async #claimsOf(worker: string, olderThanSeconds: number): Promise<Envelope[]> {
    const { rows } = await sql<Envelope>`
      select message_id as "messageId", workspace_id as "workspaceId", caller_id as "callerId", source, method
      from mailbox
      where status = 'dispatched' and worker = ${worker} and dispatched_at <= now() - ${olderThanSeconds} * interval '1 second'
      order by workspace_id, priority desc, sequence
    `.execute(this.#options.ledger.db);
    return rows;
  }

  async #takeOver(envelope: Envelope, dead: string): Promise<void> {
    const { ledger, newId, onRequeued } = this.#options;
    const command = { id: envelope.messageId, commandId: `recover-${newId()}` };
    const { facts } = await ledger.transact(messages, command, recover(envelope, dead), async (tx, { facts: stored }) => {
      if (stored.some(({ type }) => type === 'a2a.failed')) await release(tx, envelope.messageId);
    });
    if (facts.some(({ type }) => type === 'a2a.requeued')) onRequeued(envelope.workspaceId);
  }
}
