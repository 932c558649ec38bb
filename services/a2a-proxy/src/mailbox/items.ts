/** What is told of the messages in a mailbox, while they wait and after they have ended: for whoever follows them. */
import type { MessageId, MessageSource, WorkspaceId } from '@molecule/contracts';
import { type Kysely, type RawBuilder, sql } from 'kysely';
import type { ItemStatus, Tables } from '../database.ts';

export interface Item {
  readonly messageId: MessageId;
  readonly workspaceId: WorkspaceId;
  readonly callerId: WorkspaceId | null;
  readonly source: MessageSource;
  readonly state: ItemStatus;
  /** 1: the next to be dispatched; `null` unless it waits. */
  readonly position: number | null;
  readonly priority: number;
  readonly method: string;
  readonly attempts: number;
  readonly enqueuedAt: Date;
  readonly dispatchedAt: Date | null;
  readonly completedAt: Date | null;
  readonly expiresAt: Date | null;
  readonly lastError: string | null;
}

/** What the agent answered, as far as it is kept. */
export interface KeptReply {
  /** As it was written; `null`: none, or larger than is kept. */
  readonly text: string | null;
  readonly isJson: boolean;
  readonly bytes: number | null;
}

const COLUMNS = sql`
  mailbox.message_id as "messageId", mailbox.workspace_id as "workspaceId", caller_id as "callerId", source, status as state,
  priority, method, attempts, enqueued_at as "enqueuedAt", dispatched_at as "dispatchedAt", completed_at as "completedAt",
  expires_at as "expiresAt", last_error as "lastError"`;

/** `undefined`: there is no such message, or it is not kept any longer. */
export async function itemOf(
  db: Kysely<Tables>,
  workspaceId: string,
  messageId: string,
): Promise<(Item & { readonly reply: KeptReply }) | undefined> {
  const { rows } = await sql<Item & { reply: string | null; replyIsJson: boolean | null; replyBytes: number | null }>`
    select ${COLUMNS}, messages.reply, reply_is_json as "replyIsJson", reply_bytes as "replyBytes",
      case when status = 'queued' then (
        select count(*)::int from mailbox other
        where other.workspace_id = mailbox.workspace_id and other.status = 'queued'
          and (other.priority > mailbox.priority or (other.priority = mailbox.priority and other.sequence <= mailbox.sequence))
      ) end as position
    from mailbox join messages on messages.message_id = mailbox.message_id
    where mailbox.message_id = ${messageId} and mailbox.workspace_id = ${workspaceId}
  `.execute(db);
  const [row] = rows;
  if (!row) return undefined;
  const { reply, replyIsJson, replyBytes, ...item } = row;
  return { ...item, reply: { text: reply, isJson: replyIsJson ?? false, bytes: replyBytes } };
}

export const hasEnded = ({ state }: Pick<Item, 'state'>): boolean => state !== 'queued' && state !== 'dispatched';

/** Which messages are listed: those that have not ended, or those in one state. */
export type Listed = 'open' | ItemStatus;

/** What waits in the order in which it is dispatched, after what is being dispatched; what has ended, the last first. */
export async function listItems(
  db: Kysely<Tables>,
  workspaceId: string,
  { state, limit }: { readonly state: Listed; readonly limit: number },
): Promise<Item[]> {
  switch (state) {
    case 'queued':
      return waiting(db, workspaceId, limit);
    case 'dispatched':
      return dispatched(db, workspaceId, limit);
    case 'open': {
      const first = await dispatched(db, workspaceId, limit);
      return first.length === limit ? first : [...first, ...(await waiting(db, workspaceId, limit - first.length))];
    }
    default:
      return page(
        db,
        sql`mailbox.workspace_id = ${workspaceId} and status = ${state} and completed_at is not null
          order by completed_at desc, mailbox.message_id`,
        limit,
      );
  }
}

const dispatched = (db: Kysely<Tables>, workspaceId: string, limit: number): Promise<Item[]> =>
  page(db, sql`mailbox.workspace_id = ${workspaceId} and status = 'dispatched' order by dispatched_at, sequence`, limit);

async function waiting(db: Kysely<Tables>, workspaceId: string, limit: number): Promise<Item[]> {
  const items = await page(
    db,
    sql`mailbox.workspace_id = ${workspaceId} and status = 'queued' order by priority desc, sequence`,
    limit,
  );
  return items.map((item, index) => ({ ...item, position: index + 1 }));
}

/** Only of what is kept: a message whose body is gone, by its age or with its workspace, is told nothing of. */
async function page(db: Kysely<Tables>, which: RawBuilder<unknown>, limit: number): Promise<Item[]> {
  const { rows } = await sql<Item>`
    select ${COLUMNS}, null::int as position
    from mailbox join messages on messages.message_id = mailbox.message_id
    where ${which}
    limit ${limit}
  `.execute(db);
  return rows;
}

export interface Mailboxes {
  readonly workspaceId: WorkspaceId;
  readonly queued: number;
  readonly dispatched: number;
  readonly oldest: Date | null;
}

/** Every mailbox that holds something that has not ended; the fullest first. For an operator: it counts what is there. */
export async function openMailboxes(db: Kysely<Tables>, limit: number): Promise<Mailboxes[]> {
  const { rows } = await sql<Mailboxes>`
    select workspace_id as "workspaceId", (count(*) filter (where status = 'queued'))::int as queued,
      (count(*) filter (where status = 'dispatched'))::int as dispatched, min(enqueued_at) as oldest
    from mailbox
    where status = 'queued' or status = 'dispatched'
    group by workspace_id
    order by count(*) desc, workspace_id
    limit ${limit}
  `.execute(db);
  return rows;
}

/** Whose message it is; `undefined`: there is no such message, or it is not kept any longer. */
export async function ownerOfItem(db: Kysely<Tables>, messageId: string): Promise<string | undefined> {
  const row = await db
    .selectFrom('mailbox')
    .innerJoin('messages', 'messages.message_id', 'mailbox.message_id')
    .select('mailbox.workspace_id')
    .where('mailbox.message_id', '=', messageId)
    .executeTakeFirst();
  return row?.workspace_id;
}
