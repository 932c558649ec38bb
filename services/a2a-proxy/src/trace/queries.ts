/** What is known of an id: the messages and delegations it stands for, and everything that hangs together with them. */
import { isWorkspaceId, type RecordedA2aFact, type RecordedDelegationFact } from '@molecule/contracts';
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../database.ts';
import { asTree, type DelegationWay, delegationWay, type MessageWay, messageWay, type Row } from './way.ts';

/** A beginning that led to more than this many calls is told in part. */
const MAX_MESSAGES = 200;
/** One key of a sender may have been used again and again. */
const MAX_ASKED = 20;

export interface Trace {
  /** The messages that the id stands for. */
  readonly asked: readonly string[];
  /** They, what led to them, and what they led to: a tree from the root, each before what it led to. */
  readonly messages: readonly MessageWay[];
  readonly delegations: readonly DelegationWay[];
  readonly truncated: boolean;
}

type Db = Kysely<Tables>;

/** `id`: of a message (`queue_id`, or of its row of activity), of a delegation, or a `messageId` that a sender gave. */
export async function traceOf(db: Db, id: string): Promise<Trace | null> {
  const delegations = await trackingIds(db, id);
  const asked = [...new Set([...(await messagesOf(db, id)), ...(await callsOf(db, delegations))])].slice(0, MAX_ASKED);
  if (asked.length === 0 && delegations.length === 0) return null;
  const together = await relatives(db, asked);
  const ids = together.slice(0, MAX_MESSAGES);
  const [messages, belonging] = await Promise.all([waysOf(db, ids), delegationsAround(db, ids, delegations)]);
  return { asked, messages: asTree(messages), delegations: belonging, truncated: together.length > MAX_MESSAGES };
}

/** The message itself, or those that were queued under a sender's `messageId`, newest first. */
async function messagesOf(db: Db, id: string): Promise<string[]> {
  const uuid = isWorkspaceId(id) ? id.toLowerCase() : null;
  const { rows } = await sql<{ id: string }>`
    select substr(stream, 9) as id from events where stream = ${`message.${uuid}`} and version = 1
    union all
    (select message_id::text as id from messages where idempotency_key = ${id} order by created_at desc limit ${MAX_ASKED})
  `.execute(db);
  return rows.map((row) => row.id);
}

async function trackingIds(db: Db, delegationId: string): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    select data ->> 'trackingId' as id from events
    where type = 'delegation.sent' and data ->> 'delegationId' = ${delegationId}
    order by recorded_at desc limit ${MAX_ASKED}
  `.execute(db);
  return rows.map((row) => row.id);
}

async function callsOf(db: Db, trackings: readonly string[]): Promise<string[]> {
  if (trackings.length === 0) return [];
  const { rows } = await sql<{ id: string }>`
    select data ->> 'messageId' as id from events
    where stream = any (${trackings.map((id) => `delegation.${id}`)}::text[]) and type = 'delegation.dispatched'
    order by recorded_at
  `.execute(db);
  return rows.map((row) => row.id);
}

/** Those asked for, their beginnings, and all that these led to, one more than are told. */
async function relatives(db: Db, asked: readonly string[]): Promise<string[]> {
  const { rows } = await sql<{ id: string }>`
    with roots as (
      select distinct coalesce(data -> 'lineage' ->> 'rootId', substr(stream, 9)) as id from events
      where stream = any (${asked.map((id) => `message.${id}`)}::text[]) and version = 1
    ), calls as (
      select substr(stream, 9) as id from events
      where data ? 'lineage' and data -> 'lineage' ->> 'rootId' in (select id from roots)
      group by 1 order by min(recorded_at) limit ${MAX_MESSAGES + 1}
    )
    select id from roots union all select id from calls
  `.execute(db);
  return [...new Set([...asked, ...rows.map((row) => row.id)])];
}

interface FactRow {
  readonly stream: string;
  readonly type: string;
  readonly data: unknown;
  readonly recorded_at: Date;
}

/** As far as a way is told from it. */
const factOf = <Fact>({ stream, type, data, recorded_at }: FactRow): Fact =>
  ({ stream, type, data, recordedAt: recorded_at.toISOString() }) as Fact;

async function factsOf<Fact extends { readonly stream: string }>(
  db: Db,
  streams: readonly string[],
): Promise<Map<string, Fact[]>> {
  const { rows } = await sql<FactRow>`
    select stream, type, data, recorded_at from events where stream = any (${streams}::text[]) order by stream, version
  `.execute(db);
  return Map.groupBy(rows.map(factOf<Fact>), ({ stream }) => stream);
}

async function waysOf(db: Db, ids: readonly string[]): Promise<MessageWay[]> {
  const [facts, activity] = await Promise.all([
    factsOf<RecordedA2aFact>(
      db,
      ids.map((id) => `message.${id}`),
    ),
    db
      .selectFrom('activity')
      .select(['id', 'status', 'error_detail as errorDetail', 'duration_ms as durationMs'])
      .where(sql<boolean>`id = any (${ids}::uuid[])`)
      .execute(),
  ]);
  const rows = new Map<string, Row>(activity.map((row) => [row.id, row]));
  return ids.flatMap((id) => messageWay(facts.get(`message.${id}`) ?? [], rows.get(id)) ?? []);
}

/** Those asked for, and those whose calls are told. */
async function delegationsAround(db: Db, messageIds: readonly string[], asked: readonly string[]): Promise<DelegationWay[]> {
  const { rows } = await sql<{ stream: string }>`
    select distinct stream from events
    where type = 'delegation.dispatched' and data ->> 'messageId' = any (${messageIds}::text[])
  `.execute(db);
  const streams = [...new Set([...asked.map((id) => `delegation.${id}`), ...rows.map((row) => row.stream)])];
  const facts = await factsOf<RecordedDelegationFact>(db, streams);
  return streams.flatMap((stream) => delegationWay(facts.get(stream) ?? []) ?? []);
}
