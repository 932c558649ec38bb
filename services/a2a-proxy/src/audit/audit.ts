/**
 * The proof of conservation from the log (I1): every accepted message ended exactly once, or is open.
 * A message is unbalanced when it ended twice, when anything follows its end, when its versions have a gap, or when the mailbox
 * says something else than the log.
 */
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../database.ts';

export interface Audit {
  readonly accepted: number;
  /** Answered directly or from the mailbox. */
  readonly completed: number;
  /** Not delivered: the sender was told, or the mailbox gave up. */
  readonly failed: number;
  readonly dropped: number;
  readonly open: number;
  readonly byOutcome: Readonly<Record<string, number>>;
  readonly balanced: boolean;
  /** Up to MAX_SHOWN of them. */
  readonly unbalanced: readonly { readonly messageId: string; readonly facts: readonly string[] }[];
}

const MAX_SHOWN = 100;
/** Reading the whole log may take longer than other statements. */
const TIMEOUT = '60s';

export async function auditMessages(db: Kysely<Tables>): Promise<Audit> {
  return db.transaction().execute(async (tx) => {
    await sql`set local statement_timeout = ${sql.lit(TIMEOUT)}`.execute(tx);
    const { rows } = await sql<{
      outcome: string | null;
      messages: number;
      examples: { messageId: string; facts: string[] }[] | null;
    }>`
      with per_message as (
        select substr(stream, 9)::uuid as message_id,
          count(*) as facts,
          count(*) filter (where ends) as endings,
          max(version) as last,
          max(version) filter (where ends) as ended_at,
          max(type) filter (where ends) as ending,
          bool_or(type = 'a2a.queued') as queued,
          array_agg(type order by version) as types
        from (select *, type in ('a2a.answered', 'a2a.unreached', 'a2a.completed', 'a2a.failed', 'a2a.dropped') as ends from events) e
        where stream like 'message.%'
        group by stream
      ), judged as (
        select per_message.*,
          case
            when endings > 1 or (endings = 1 and ended_at < last) or facts <> last then 'unbalanced'
            when queued and (mailbox.status is null or (mailbox.status in ('queued', 'dispatched')) <> (endings = 0)) then 'unbalanced'
            when endings = 0 then 'open'
            else ending
          end as outcome
        from per_message left join mailbox using (message_id)
      )
      select outcome, count(*)::int as messages,
        case when outcome = 'unbalanced'
          then to_json((array_agg(json_build_object('messageId', message_id, 'facts', types)))[1:${sql.lit(MAX_SHOWN)}]) end as examples
      from judged group by outcome
    `.execute(tx);

    const count = (outcome: string) => rows.find((row) => row.outcome === outcome)?.messages ?? 0;
    const byOutcome = Object.fromEntries(rows.map(({ outcome, messages }) => [outcome ?? 'unknown', messages]));
    return {
      accepted: rows.reduce((sum, { messages }) => sum + messages, 0),
      completed: count('a2a.answered') + count('a2a.completed'),
      failed: count('a2a.unreached') + count('a2a.failed'),
      dropped: count('a2a.dropped'),
      open: count('open'),
      byOutcome,
      balanced: count('unbalanced') === 0,
      unbalanced: rows.find(({ outcome }) => outcome === 'unbalanced')?.examples ?? [],
    };
  });
}
