/** Compares a rebuilt table (`pg_temp`) with the live one, row by row as JSON, and mends the live one. Within one transaction. */
import type { RebuildReport } from '@molecule/contracts';
import type pg from 'pg';

type Comparison = Pick<RebuildReport['projections'][number], 'rows' | 'missing' | 'unexpected' | 'examples'>;

const EXAMPLES = 3;
const MAX_EXAMPLE = 400;

export async function compareTable(client: pg.ClientBase, schema: string, table: string): Promise<Comparison> {
  const [rebuilt, live] = [`pg_temp.${table}`, `${schema}.${table}`];
  const [missing, unexpected] = [await difference(client, rebuilt, live), await difference(client, live, rebuilt)];
  const { rows } = await client.query<{ count: number }>(`select count(*)::int as count from ${rebuilt}`);
  return {
    rows: rows[0]?.count ?? 0,
    missing: missing.count,
    unexpected: unexpected.count,
    examples: [
      ...missing.examples.map((row) => `missing: ${row.slice(0, MAX_EXAMPLE)}`),
      ...unexpected.examples.map((row) => `unexpected: ${row.slice(0, MAX_EXAMPLE)}`),
    ],
  };
}

/** The rows of one table that the other lacks. */
async function difference(client: pg.ClientBase, one: string, other: string): Promise<{ count: number; examples: string[] }> {
  const { rows } = await client.query<{ count: number; examples: string[] | null }>(`
    with differing as materialized (
      select to_jsonb(a)::text as row from ${one} a except all select to_jsonb(b)::text from ${other} b
    )
    select (select count(*)::int from differing) as count,
      (select array_agg(row) from (select row from differing order by row limit ${EXAMPLES}) shown) as examples`);
  return { count: rows[0]?.count ?? 0, examples: rows[0]?.examples ?? [] };
}

/** Makes the live table equal to the rebuilt one; rows that are equal already are not touched. */
export async function mendTable(client: pg.ClientBase, schema: string, table: string): Promise<void> {
  const [rebuilt, live] = [`pg_temp.${table}`, `${schema}.${table}`];
  await client.query(`
    delete from ${live} l where to_jsonb(l)::text in
      (select to_jsonb(a)::text from ${live} a except all select to_jsonb(b)::text from ${rebuilt} b)`);
  const { rows } = await client.query<{ columns: string }>(
    `select string_agg(quote_ident(attname), ', ' order by attnum) as columns from pg_attribute
      where attrelid = $1::regclass and attnum > 0 and not attisdropped and attgenerated = ''`,
    [live],
  );
  const columns = rows[0]?.columns ?? '';
  // Equal rows are told apart by counting them, for tables without a key.
  const counted = (from: string) =>
    `(select t.*, to_jsonb(t)::text as molecule_row, row_number() over (partition by to_jsonb(t)::text) as molecule_nth from ${from} t)`;
  await client.query(`
    insert into ${live} (${columns}) overriding system value
    select ${columns} from ${counted(rebuilt)} r where not exists (
      select from ${counted(live)} l where l.molecule_row = r.molecule_row and l.molecule_nth = r.molecule_nth)`);
}
