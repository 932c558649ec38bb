/** The mailbox of each workspace: which facts change an item, and how items are asked for. */
import type { A2aFact, Lineage, MessageId, MessageSource, RecordedA2aFact, WorkspaceId } from '@molecule/contracts';
import type { Projection } from '@molecule/event-store';
import { type Kysely, sql, type Updateable } from 'kysely';
import type { Tables } from '../../database.ts';

export const mailbox: Projection<Tables, A2aFact> = {
  name: 'a2a-proxy.mailbox.v1',
  tables: ['mailbox'],
  apply: async (db, fact: RecordedA2aFact) => {
    const change = (row: Updateable<Tables['mailbox']>, when: 'queued' | 'dispatched') =>
      db.updateTable('mailbox').set(row).where('message_id', '=', fact.data.messageId).where('status', '=', when).execute();

    switch (fact.type) {
      case 'a2a.queued': {
        const { messageId, workspaceId, callerId, source, priority, method, idempotencyKey, enqueuedAt, expiresAt, lineage } =
          fact.data;
        await db
          .insertInto('mailbox')
          .values({
            message_id: messageId,
            workspace_id: workspaceId,
            caller_id: callerId,
            source,
            priority,
            method,
            idempotency_key: idempotencyKey,
            sequence: BigInt(enqueuedAt).toString(),
            enqueued_at: fact.recordedAt,
            dispatched_at: null,
            completed_at: null,
            attempts: 0,
            status: 'queued',
            worker: null,
            last_error: null,
            expires_at: expiresAt ?? null,
            lineage: lineage ? JSON.stringify(lineage) : null,
          })
          .onConflict((row) => row.column('message_id').doNothing())
          .execute();
        return;
      }
      case 'a2a.dispatched':
        if (fact.data.via === 'direct') return;
        await change(
          { status: 'dispatched', dispatched_at: fact.recordedAt, attempts: fact.data.attempt, worker: fact.data.worker },
          'queued',
        );
        return;
      case 'a2a.requeued': {
        const { reason, error } = fact.data;
        const back = { status: 'queued' as const, worker: null, dispatched_at: null };
        // An attempt that found the agent busy does not count (M3), and is no error.
        if (reason === 'busy') {
          await db
            .updateTable('mailbox')
            .set((row) => ({ ...back, attempts: row('attempts', '-', 1) }))
            .where('message_id', '=', fact.data.messageId)
            .where('status', '=', 'dispatched')
            .execute();
        } else await change({ ...back, last_error: error ?? reason }, 'dispatched');
        return;
      }
      case 'a2a.completed':
        await change({ status: 'completed', completed_at: fact.recordedAt, worker: null }, 'dispatched');
        return;
      case 'a2a.failed':
        await change(
          { status: 'failed', completed_at: fact.recordedAt, worker: null, last_error: fact.data.error },
          'dispatched',
        );
        return;
      case 'a2a.dropped':
        await db
          .updateTable('mailbox')
          .set({ status: 'dropped', completed_at: fact.recordedAt, worker: null, last_error: fact.data.reason })
          .where('message_id', '=', fact.data.messageId)
          .where('status', 'in', ['queued', 'dispatched'])
          .execute();
        return;
      case 'a2a.answered':
      case 'a2a.unreached':
        return;
    }
  },
};

/** A waiting message with all that is needed to send it. */
export interface WaitingMessage {
  readonly messageId: MessageId;
  readonly workspaceId: WorkspaceId;
  readonly callerId: WorkspaceId | null;
  readonly source: MessageSource;
  readonly method: string;
  readonly body: string;
  readonly headers: readonly string[];
  readonly enqueuedAt: Date;
  /** Of the request, if it was part of a trace. */
  readonly traceparent: string | null;
  readonly lineage?: Lineage;
}

/** How full a workspace's mailbox is, and what comes next: priority, then age. `next` is absent when nothing waits. */
export async function nextWaiting(
  db: Kysely<Tables>,
  workspaceId: string,
): Promise<{ claimed: number; claimedLately: number; next: WaitingMessage | undefined }> {
  const { rows } = await sql<{
    claimed: number;
    claimedLately: number;
    messageId: MessageId | null;
    callerId: WorkspaceId | null;
    source: MessageSource;
    method: string;
    body: string;
    headers: string[];
    enqueuedAt: Date;
    traceparent: string | null;
    lineage: Lineage | null;
  }>`
    select c.claimed, c.lately as "claimedLately", n.message_id as "messageId", n.caller_id as "callerId", n.source, n.method, n.body, n.headers,
      n.enqueued_at as "enqueuedAt", n.traceparent, n.lineage
    from (
      select count(*)::int as claimed, (count(*) filter (where dispatched_at > now() - interval '5 seconds'))::int as lately
      from mailbox where workspace_id = ${workspaceId} and status = 'dispatched'
    ) c
    left join lateral (
      select mailbox.message_id, caller_id, source, method, body, headers, enqueued_at, traceparent, lineage
      from mailbox join messages on messages.message_id = mailbox.message_id
      where mailbox.workspace_id = ${workspaceId} and status = 'queued' and (expires_at is null or expires_at > now())
      order by priority desc, sequence
      limit 1
    ) n on true
  `.execute(db);
  const row = rows[0];
  if (!row) return { claimed: 0, claimedLately: 0, next: undefined };
  const { claimed, claimedLately, messageId, lineage, ...message } = row;
  if (messageId === null) return { claimed, claimedLately, next: undefined };
  return {
    claimed,
    claimedLately,
    next: { ...message, messageId, workspaceId: workspaceId as WorkspaceId, ...(lineage && { lineage }) },
  };
}

/** How many messages wait for a workspace. */
export async function depthOf(db: Kysely<Tables>, workspaceId: string): Promise<number> {
  const { depth } = await db
    .selectFrom('mailbox')
    .select(sql<number>`count(*)::int`.as('depth'))
    .where('workspace_id', '=', workspaceId)
    .where('status', '=', 'queued')
    .executeTakeFirstOrThrow();
  return depth;
}

/** Every workspace that messages wait for: one step of the index for each, however many messages wait there. */
export async function workspacesWaitedFor(db: Kysely<Tables>): Promise<string[]> {
  const { rows } = await sql<{ workspaceId: string }>`
    with recursive found as (
      (select workspace_id from mailbox where status = 'queued' order by workspace_id limit 1)
      union all
      select (
        select workspace_id from mailbox where status = 'queued' and workspace_id > found.workspace_id order by workspace_id limit 1
      ) from found where found.workspace_id is not null
    )
    select workspace_id as "workspaceId" from found where workspace_id is not null
  `.execute(db);
  return rows.map(({ workspaceId }) => workspaceId);
}

/** What waits for one workspace, in order. */
export const waitingFor = (
  db: Kysely<Tables>,
  workspaceId: string,
  limit: number,
): Promise<{ messageId: MessageId; workspaceId: WorkspaceId }[]> =>
  db
    .selectFrom('mailbox')
    .select([sql<MessageId>`message_id`.as('messageId'), sql<WorkspaceId>`workspace_id`.as('workspaceId')])
    .where('workspace_id', '=', workspaceId)
    .where('status', '=', 'queued')
    .orderBy('priority', 'desc')
    .orderBy('sequence')
    .limit(limit)
    .execute();
