/** What became of a task: a delegation of the workspace (spec 2 §7.11), else one that this endpoint has sent (ADR 20). */
import { isWorkspaceId, type WorkspaceId } from '@molecule/contracts';
import type { Ledger } from '@molecule/event-store';
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../database.ts';
import { itemOf } from '../mailbox/items.ts';

export interface TaskStatus {
  readonly status: string;
  readonly error: string | null;
  /** JSON. */
  readonly result: unknown;
}

export interface Asked {
  readonly caller: WorkspaceId;
  readonly target: string;
  readonly taskId: string;
}

/** `null`: nobody knows of it. */
export async function taskStatus(ledger: Ledger<Tables>, asked: Asked): Promise<TaskStatus | null> {
  if (!isWorkspaceId(asked.target)) return null;
  return (await delegated(ledger.db, asked)) ?? (isWorkspaceId(asked.taskId) ? await sent(ledger, asked) : null);
}

/** The newest row of a delegation, with the reply of its result row. Bodies of other rows are not looked into: they may be anything. */
async function delegated(db: Kysely<Tables>, { caller, target, taskId }: Asked): Promise<TaskStatus | null> {
  const { rows } = await sql<{ status: string; error: string | null; result: string | null }>`
    select status, error_detail as error, coalesce(response_body::text, (
        select response_body::text from activity
         where workspace_id = ${caller} and activity_type = 'delegation' and response_body->>'delegation_id' = ${taskId}
           and (target_id = ${target} or target_id is null)
         order by created_at desc, id desc limit 1)) as result
      from activity
     where workspace_id = ${caller} and activity_type = 'delegation' and target_id = ${target}
       and request_body->>'delegation_id' = ${taskId}
     order by created_at desc, id desc limit 1
  `.execute(db);
  const [row] = rows;
  return row ? { status: row.status, error: row.error, result: json(row.result) } : null;
}

/** A task that was not waited for has its id for its message; one that waits in a mailbox was told with its id there. */
async function sent(ledger: Ledger<Tables>, { caller, target, taskId }: Asked): Promise<TaskStatus | null> {
  const item = await itemOf(ledger.db, target, taskId);
  if (item) return item.callerId === caller ? ofItem(item) : null;
  const { rows } = await sql<{ status: string; error: string | null; result: string | null }>`
    select case status when 'ok' then 'completed' else 'failed' end as status, error_detail as error, response_body::text as result
      from activity where id = ${taskId} and workspace_id = ${target} and source_id = ${caller}
  `.execute(ledger.db);
  const [row] = rows;
  if (row) return { status: row.status, error: row.error, result: json(row.result) };
  return await logged(ledger.db, { caller, target, taskId });
}

/** What the log says of a task without a row: it is on its way, or ended with the process that had it. */
async function logged(db: Kysely<Tables>, { caller, target, taskId }: Asked): Promise<TaskStatus | null> {
  const { rows } = await sql<{ type: string; error: string | null }>`
    select type, data ->> 'error' as error from events
     where stream = ${`message.${taskId.toLowerCase()}`} and data ->> 'callerId' = ${caller} and data ->> 'workspaceId' = ${target}
     order by version desc limit 1
  `.execute(db);
  const [last] = rows;
  if (last?.type === 'a2a.dispatched') return { status: 'dispatched', error: null, result: null };
  return last?.type === 'a2a.unreached' ? { status: 'failed', error: last.error, result: null } : null;
}

function ofItem({ state, lastError, reply }: NonNullable<Awaited<ReturnType<typeof itemOf>>>): TaskStatus {
  const status = state === 'dropped' ? 'failed' : state;
  const error = state === 'completed' ? null : lastError;
  return { status, error, result: reply.isJson ? json(reply.text) : reply.text };
}

/** An agent's own JSON, however deep, was read before it was stored. */
const json = (text: string | null): unknown => (text === null ? null : JSON.parse(text));
