/**
 * Where delegations are kept: facts, tasks and rows of activity, each change in one transaction.
 *
 *   B1. A key is held by one delegation of a workspace that has not failed: who comes second is told of the first (spec 2 §3.1).
 *   B2. Rows are written as long as the task's row is there: a purged workspace gets none (retention).
 */
import type { DelegationId, MessageId, WorkspaceId } from '@molecule/contracts';
import type { Tx } from '@molecule/event-store';
import { derivedId } from '@molecule/service';
import { sql } from 'kysely';
import { storable } from '../activity/row.ts';
import { putActivity } from '../activity/store.ts';
import type { DelegationStatus, Tables } from '../database.ts';
import type { OpenCall } from '../lineage/lineage.ts';
import type { Lineages } from '../lineage/lineages.ts';
import { storableKey } from '../mailbox/enqueue.ts';
import type { Parts } from '../parts.ts';
import { type About, type Decision, dispatch, type NextCall, queue, send, settle, stitch, tell } from './decisions.ts';
import { delegations } from './delegation.ts';
import { endingOf, requestRow, resultRow, type Told, taskPreview } from './rows.ts';

export interface Job {
  readonly about: About;
  readonly task: string;
  /** Of its first call. */
  readonly messageId: MessageId;
  /** The call that was open at the delegating workspace; `null`: it delegates of its own accord. */
  readonly origin: OpenCall | null;
}

export type Kept =
  | { readonly kind: 'sent'; readonly job: Job }
  | { readonly kind: 'hit'; readonly delegationId: string; readonly status: DelegationStatus }
  /** As many of the workspace wait to be begun as may. */
  | { readonly kind: 'full' };

export interface Asked {
  readonly workspaceId: WorkspaceId;
  readonly targetId: WorkspaceId;
  readonly task: string;
  /** `null`: none. */
  readonly key: string | null;
}

export interface BookParts extends Pick<Parts, 'ledger' | 'instants' | 'newId' | 'worker'> {
  readonly lineages: Pick<Lineages, 'originOf'>;
}

export class DelegationBook {
  readonly #parts: BookParts;
  readonly #limit: number;

  constructor(parts: BookParts, limit: number) {
    this.#parts = parts;
    this.#limit = limit;
  }

  /** What a delegation will be known by, before it is kept. */
  async draft({ workspaceId, targetId, task }: Asked): Promise<Job> {
    const id = this.#parts.newId();
    const about = { trackingId: id as DelegationId, delegationId: id, workspaceId, targetId };
    const origin = await this.#parts.lineages.originOf(workspaceId, targetId);
    return { about, task, messageId: this.#parts.newId() as MessageId, origin };
  }

  /** B1. */
  async send(asked: Asked, job: Job): Promise<Kept> {
    const key = asked.key === null ? null : storableKey(asked.key);
    for (let attempt = 1; ; attempt++) {
      const { holder, pending } = await this.#look(asked.workspaceId, key);
      if (holder !== null && holder.status !== 'failed') return { kind: 'hit', ...holder };
      if (pending >= this.#limit) return { kind: 'full' };
      try {
        await this.#keep(job, { key, by: 'platform', replaces: holder?.trackingId ?? null });
        return { kind: 'sent', job };
      } catch (error) {
        // Somebody with the same key was quicker: look again.
        if (!isKeyTaken(error) || attempt === 3) throw error;
      }
    }
  }

  /** An agent has sent the message itself, and tells of it. */
  async record({ workspaceId, targetId, task }: Omit<Asked, 'key'>, delegationId: string): Promise<void> {
    const trackingId = this.#parts.newId() as DelegationId;
    const about = { trackingId, delegationId: storable(delegationId), workspaceId, targetId };
    const job = { about, task, messageId: this.#parts.newId() as MessageId, origin: null };
    await this.#keep(job, { key: null, by: 'agent', replaces: null });
  }

  async #keep(
    { about, task, messageId, origin }: Job,
    { key, by, replaces }: { readonly key: string | null; readonly by: 'platform' | 'agent'; readonly replaces: string | null },
  ): Promise<void> {
    const { ledger, instants, newId } = this.#parts;
    const { trackingId, delegationId, workspaceId, targetId } = about;
    const where = { id: trackingId, atUs: instants.nowUs() };
    const resultId = newId();
    const decision = send(about, { taskPreview: taskPreview(task), by });
    await ledger.transact(delegations, { id: trackingId, commandId: 'send' }, decision, async (tx) => {
      if (replaces !== null) {
        await tx.query('delete from delegation_tasks where tracking_id = $1', [replaces]);
        await tx.query('delete from activity where id = $1', [replaces]);
      }
      await tx.db
        .insertInto('delegation_tasks')
        .values({
          tracking_id: trackingId,
          workspace_id: workspaceId,
          idempotency_key: key,
          task: by === 'platform' ? JSON.stringify(task) : null,
          message_id: messageId,
          result_id: resultId,
          origin: origin && JSON.stringify(origin),
        })
        .execute();
      await putActivity(tx, requestRow(where, about, task, by === 'platform' ? 'pending' : 'dispatched'));
      // Its message may have come back from a mailbox before anybody told of it (G4).
      if (by === 'agent')
        await tx.query(
          'update delegation_waits set handled = false where workspace_id = $1 and target_id = $2 and delegation_id = $3',
          [workspaceId, targetId, delegationId],
        );
    });
  }

  /** Who holds the key, and how many of the workspace wait to be begun: one look. */
  async #look(workspaceId: string, key: string | null) {
    const { rows } = await sql<{
      pending: number;
      trackingId: string | null;
      delegationId: string;
      status: DelegationStatus;
    }>`
      select (select count(*)::int from delegations
          where carried_out_by = 'platform' and status = 'pending' and workspace_id = ${workspaceId}) as pending,
        held.tracking_id as "trackingId", held.delegation_id as "delegationId", held.status
      from (select) one left join (
        select tracking_id, delegation_id, status from delegation_tasks join delegations using (tracking_id)
        where delegation_tasks.workspace_id = ${workspaceId} and idempotency_key = ${key}
      ) held on true
    `.execute(this.#parts.ledger.db);
    const [row] = rows;
    if (!row) throw new Error('the database answered nothing');
    const { pending, trackingId, delegationId, status } = row;
    return { pending, holder: trackingId === null ? null : { trackingId, delegationId, status } };
  }

  /** G2, G3. `false`: it is not ours to make. */
  async dispatch(about: About, call: Omit<NextCall, 'worker'>): Promise<boolean> {
    const decision = dispatch(about, { ...call, worker: this.#parts.worker });
    return this.#change(about, decision, (tx) => this.#requestIs(tx, about.trackingId, 'dispatched'));
  }

  queue(about: About, messageId: MessageId, worker = this.#parts.worker): Promise<boolean> {
    return this.#change(about, queue(about, { messageId, worker }), async (tx) => {
      await this.#requestIs(tx, about.trackingId, 'queued');
      await this.#result(tx, about, about.targetId, 'queued');
      await forgetTask(tx, about.trackingId);
    });
  }

  /** `worker`: who carried it out. */
  settle(
    about: About,
    told: Told,
    { worker = this.#parts.worker, via = 'direct' as 'direct' | 'recovery' } = {},
  ): Promise<boolean> {
    return this.end(about, settle(about, endingOf(told), { worker, via }), told);
  }

  stitch(about: About, told: Told): Promise<boolean> {
    return this.end(about, stitch(about, endingOf(told)), told);
  }

  end(about: About, decision: Decision, told: Told): Promise<boolean> {
    return this.#change(about, decision, async (tx) => {
      await this.#requestIs(tx, about.trackingId, told.outcome, told.outcome === 'failed' ? told.error : '');
      await this.#result(tx, about, about.targetId, told);
      await forgetTask(tx, about.trackingId);
    });
  }

  /** What the delegating agent says of the end (spec 2 §3.4): of its newest delegation of that id that is open, if there is any. */
  async tell(workspaceId: WorkspaceId, delegationId: string, told: Told, error: string): Promise<void> {
    const { ledger, instants } = this.#parts;
    const known = await ledger.db
      .selectFrom('delegations')
      .select(['tracking_id', 'target_id', 'status'])
      .where('workspace_id', '=', workspaceId)
      .where('delegation_id', '=', delegationId)
      .orderBy(sql`status in ('completed', 'failed')`)
      .orderBy('sent_at', 'desc')
      .executeTakeFirst();
    if (known?.status === 'completed' || known?.status === 'failed') return; // G1
    const trackingId = (known?.tracking_id ?? madeOf(workspaceId, delegationId)) as DelegationId;
    // Nobody said whom it went to; no event of what an agent tells names a target.
    const targetId = (known?.target_id ?? workspaceId) as WorkspaceId;
    const about = { trackingId, delegationId, workspaceId, targetId };
    await this.#change(about, tell(about, endingOf(told)), async (tx) => {
      await this.#requestIs(tx, trackingId, told.outcome, error);
      if (told.outcome === 'completed') {
        if (known) await this.#result(tx, about, null, told);
        else await putActivity(tx, resultRow({ id: trackingId, atUs: instants.nowUs() }, about, null, told));
      }
      await forgetTask(tx, trackingId);
    });
  }

  async #change(about: About, decision: Decision, alongside: (tx: Tx<Tables>) => Promise<void>): Promise<boolean> {
    const command = { id: about.trackingId, commandId: `change-${this.#parts.newId()}` };
    const { facts } = await this.#parts.ledger.transact(delegations, command, decision, alongside);
    return facts.length > 0;
  }

  /** An empty `error` keeps what is there. */
  async #requestIs(tx: Tx<Tables>, trackingId: string, status: DelegationStatus, error = ''): Promise<void> {
    await tx.query(
      "update activity set status = $2, error_detail = coalesce(nullif($3, ''), error_detail) where id = $1 and method = 'delegate'",
      [trackingId, status, storable(error)],
    );
  }

  /** B2. */
  async #result(tx: Tx<Tables>, about: About, targetId: string | null, told: Told | 'queued'): Promise<void> {
    const { rows } = await tx.query<{ result_id: string }>('select result_id from delegation_tasks where tracking_id = $1', [
      about.trackingId,
    ]);
    const id = rows[0]?.result_id;
    if (id !== undefined) await putActivity(tx, resultRow({ id, atUs: this.#parts.instants.nowUs() }, about, targetId, told));
  }
}

/** Nobody has to send it any more. */
const forgetTask = async (tx: Tx<Tables>, trackingId: string): Promise<void> => {
  await tx.query('update delegation_tasks set task = null where tracking_id = $1 and task is not null', [trackingId]);
};

/** The id of a delegation of which only the end was told: the same, however often it is told. */
export const madeOf = (workspaceId: string, delegationId: string): string => derivedId(`${workspaceId} ${delegationId}`);

function isKeyTaken(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    const { code, constraint } = current as { code?: unknown; constraint?: unknown };
    if (code === '23505' && constraint === 'delegation_tasks_key') return true;
  }
  return false;
}
