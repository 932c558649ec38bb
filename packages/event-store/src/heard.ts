/**
 * Which facts of others a reader has taken, kept with the rows it made of them (D9). By id, not by their place in the stream: a stream
 * that was lost and filled again, or came back older than it was, has the same facts at other places, and other facts at the same.
 */
import type { QueryExecutorProvider } from 'kysely';
import { sql } from 'kysely';

/** Longer than a fact can come again: what is older than the stream keeps is not published anew. */
const KEPT_DAYS = 30;
/** With each fact taken so many old ones are forgotten at most: the table shrinks faster than it grows, and no statement is long. */
const FORGET = 8;

/**
 * Says whether the reader takes this fact for the first time, and notes it. To be called in the transaction that stores what was heard.
 * It is a write, so in a `transaction` it comes after all loads (E7).
 */
export async function takeOnce(
  target: QueryExecutorProvider,
  { reader, factId }: { readonly reader: string; readonly factId: string },
): Promise<boolean> {
  const { numAffectedRows } = await sql`
    with old as (
      select fact_id from heard
      where reader = ${reader} and heard_at < now() - make_interval(days => ${KEPT_DAYS})
      order by heard_at limit ${FORGET}
    ), forgotten as (
      delete from heard using old where heard.reader = ${reader} and heard.fact_id = old.fact_id and heard.fact_id <> ${factId}
    )
    insert into heard (reader, fact_id) values (${reader}, ${factId}) on conflict do nothing
  `.execute(target);
  return numAffectedRows === 1n;
}
