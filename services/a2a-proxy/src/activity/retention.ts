/** Deletes what is older than it is kept (spec 2 §4.5): rows of activity, and the bodies of messages that have ended. */
import type { Log } from '@molecule/service';
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../database.ts';

const ROWS_AT_ONCE = 2_000;

export async function deleteOld(
  db: Kysely<Tables>,
  { days, log, signal }: { readonly days: number; readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  const rows = await inPortions(signal, () =>
    sql`delete from activity where ctid = any(array(
      select ctid from activity where created_at < now() - ${days} * interval '1 day' limit ${ROWS_AT_ONCE}))`.execute(db),
  );
  // From their end on: what waited for long ended just now, and who follows it has not read the reply yet.
  const bodies = await inPortions(signal, () =>
    sql`delete from messages where ctid = any(array(
      select messages.ctid from messages left join mailbox using (message_id)
      where not active and created_at < now() - ${days} * interval '1 day'
        and coalesce(completed_at, created_at) < now() - ${days} * interval '1 day'
      limit ${ROWS_AT_ONCE}))`.execute(db),
  );
  // The key of a delegation lives as long as its rows (spec 2 §3.1), and as long as it is open.
  await inPortions(signal, () =>
    sql`delete from delegation_tasks where ctid = any(array(
      select delegation_tasks.ctid from delegation_tasks left join delegations using (tracking_id)
      where created_at < now() - ${days} * interval '1 day' and coalesce(status in ('completed', 'failed'), true)
      limit ${ROWS_AT_ONCE}))`.execute(db),
  );
  await sql`delete from delegation_waits where handled and created_at < now() - ${days} * interval '1 day'`.execute(db);
  // A portion is sent again within minutes, or never.
  await sql`delete from usage_portions where added_at < now() - interval '1 day'`.execute(db);
  if (rows + bodies > 0) log.info({ rows, bodies, days }, 'deleted what is old');
}

/**
 * A purged workspace leaves nothing behind here but its mailbox's history, which is what the log says (spec 1 §1.7 step 7).
 * Resolves when all is gone; rejects when told to stop before, so that whoever told of the purge tells it again.
 */
export async function deleteAllOf(db: Kysely<Tables>, workspaceId: string, signal: AbortSignal): Promise<void> {
  // First: without its task a delegation writes no more rows.
  await db.deleteFrom('delegation_tasks').where('workspace_id', '=', workspaceId).execute();
  await db.deleteFrom('delegation_waits').where('workspace_id', '=', workspaceId).execute();
  await inPortions(signal, () =>
    sql`delete from activity where ctid = any(array(
      select ctid from activity where workspace_id = ${workspaceId} limit ${ROWS_AT_ONCE}))`.execute(db),
  );
  await inPortions(signal, () =>
    sql`delete from messages where ctid = any(array(
      select ctid from messages where not active and workspace_id = ${workspaceId} limit ${ROWS_AT_ONCE}))`.execute(db),
  );
  signal.throwIfAborted();
  await db.deleteFrom('a2a_outbound').where('workspace_id', '=', workspaceId).execute();
  await db.deleteFrom('token_usage').where('workspace_id', '=', workspaceId).execute();
}

async function inPortions(signal: AbortSignal, work: () => Promise<{ numAffectedRows?: bigint }>): Promise<number> {
  for (let total = 0; ; ) {
    const deleted = Number((await work()).numAffectedRows ?? 0n);
    total += deleted;
    if (deleted < ROWS_AT_ONCE || signal.aborted) return total;
  }
}
