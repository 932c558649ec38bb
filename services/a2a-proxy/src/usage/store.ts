/** The sums of token usage in the database: each portion is added once, however often it is sent. */
import { type Kysely, sql } from 'kysely';
import type pg from 'pg';
import type { Tables } from '../database.ts';
import type { UsageSum } from './usage.ts';

/** A portion that was added before is known by its id, and adds nothing: the answer of the first time may have been lost. */
const ADD = {
  name: 'add-usage',
  text: `
    with fresh as (insert into usage_portions (id) values ($1::uuid) on conflict do nothing returning id)
    insert into token_usage (workspace_id, day, input_tokens, output_tokens, call_count)
    select workspace_id::uuid, day::date, input, output, calls
    from json_to_recordset($2::json) as row(workspace_id text, day text, input bigint, output bigint, calls bigint)
    where exists (select from fresh)
    order by 1, 2
    on conflict (workspace_id, day) do update set
      input_tokens = token_usage.input_tokens + excluded.input_tokens,
      output_tokens = token_usage.output_tokens + excluded.output_tokens,
      call_count = token_usage.call_count + excluded.call_count`,
};

export async function addUsage(pool: pg.Pool, portionId: string, sum: UsageSum): Promise<void> {
  const rows = sum.rows().map(({ workspaceId, ...row }) => ({ workspace_id: workspaceId, ...row }));
  await pool.query({ ...ADD, values: [portionId, JSON.stringify(rows)] });
}

/** What a workspace used on a UTC day (`YYYY-MM-DD`). */
export async function usageOn(
  db: Kysely<Tables>,
  workspaceId: string,
  day: string,
): Promise<{ readonly inputTokens: bigint; readonly outputTokens: bigint; readonly calls: bigint }> {
  const row = await db
    .selectFrom('token_usage')
    .select(['input_tokens', 'output_tokens', 'call_count'])
    .where('workspace_id', '=', workspaceId)
    .where(sql<boolean>`day = ${day}::date`)
    .executeTakeFirst();
  return {
    inputTokens: BigInt(row?.input_tokens ?? 0),
    outputTokens: BigInt(row?.output_tokens ?? 0),
    calls: BigInt(row?.call_count ?? 0),
  };
}
