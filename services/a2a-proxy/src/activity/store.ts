/** Rows of activity into the database, many in one statement; each id once, however often it is sent. */
import type { Tx } from '@molecule/event-store';
import type pg from 'pg';
import type { Tables } from '../database.ts';
import type { ActivityRow } from './row.ts';

/** Bodies travel as text inside the text, so that no escape in them meets the parser of the whole batch. */
const INSERT = {
  name: 'insert-activity',
  text: `
    insert into activity (id, workspace_id, activity_type, source_kind, source_id, target_id, method, summary,
      request_body, response_body, tool_trace, duration_ms, status, error_detail, created_at, body_bytes)
    select id, workspace_id, activity_type, source_kind, source_id, target_id, method, summary,
      request_body::json, response_body::json, tool_trace::json, duration_ms, status, error_detail,
      timestamptz 'epoch' + created_us * interval '1 microsecond', body_bytes
    from json_to_recordset($1::json) as row(id uuid, workspace_id uuid, activity_type text, source_kind text, source_id uuid,
      target_id uuid, method text, summary text, request_body text, response_body text, tool_trace text, duration_ms int,
      status text, error_detail text, created_us bigint, body_bytes int)
    on conflict (id) do nothing`,
};

export async function insertActivity(pool: pg.Pool, rows: readonly ActivityRow[]): Promise<void> {
  await pool.query({ ...INSERT, values: [`[${rows.map(rowJson).join(',')}]`] });
}

/**
 * A summary has an arrow in it. One character beyond Latin-1 makes a string of two bytes a character, and whatever is joined with it:
 * escaped, it leaves the bodies as they are, and the whole batch is written and sent at half the cost.
 */
const rowJson = ({ summary, ...row }: ActivityRow): string =>
  summary === null ? JSON.stringify(row) : `{"summary":${narrowJson(summary)},${JSON.stringify(row).slice(1)}`;

const WIDE = /[\u0100-\uffff]/g;

/** Text as JSON in Latin-1. */
function narrowJson(text: string): string {
  const escaped = JSON.stringify(text).replace(WIDE, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);
  return Buffer.from(escaped, 'latin1').toString('latin1');
}

/** The same in a transaction. A row that is there already tells of the outcome from then on. */
export async function putActivity(tx: Pick<Tx<Tables>, 'query'>, row: ActivityRow): Promise<void> {
  const update = `${INSERT.text.slice(0, INSERT.text.lastIndexOf('do nothing'))} do update
      set status = excluded.status, summary = excluded.summary, response_body = excluded.response_body,
        error_detail = excluded.error_detail, body_bytes = excluded.body_bytes`;
  await tx.query(update, [JSON.stringify([row])]);
}

/** The same row without what an agent or a caller wrote: what is left when the database refuses their text. */
export const withoutBodies = (row: ActivityRow): ActivityRow => ({
  ...row,
  request_body: row.request_body === null ? null : 'null',
  response_body: row.response_body === null ? null : 'null',
  tool_trace: null,
  body_bytes: 8,
});

/** Beyond this a body may be left out when there is too much to write. */
const LARGE_BODY = 64 * 1024;

const isLarge = (body: string | null): boolean => body !== null && body.length > LARGE_BODY;

/** The same row without its large bodies; the very same if it has none. */
export function withoutLargeBodies(row: ActivityRow): ActivityRow {
  if (![row.request_body, row.response_body, row.tool_trace].some(isLarge)) return row;
  const request_body = isLarge(row.request_body) ? 'null' : row.request_body;
  const response_body = isLarge(row.response_body) ? 'null' : row.response_body;
  const tool_trace = isLarge(row.tool_trace) ? null : row.tool_trace;
  const body_bytes = [request_body, response_body, tool_trace].reduce((sum, body) => sum + (body?.length ?? 0), 0);
  return { ...row, request_body, response_body, tool_trace, body_bytes };
}

const OUTBOUND = {
  name: 'touch-outbound',
  text: `
    insert into a2a_outbound (workspace_id, last_outbound_at)
    select workspace_id::uuid, timestamptz 'epoch' + at_us * interval '1 microsecond'
    from json_to_recordset($1::json) as row(workspace_id text, at_us bigint)
    order by workspace_id
    on conflict (workspace_id) do update
      set last_outbound_at = greatest(a2a_outbound.last_outbound_at, excluded.last_outbound_at)`,
};

/** These workspaces have reached somebody; microseconds since the epoch by workspace. */
export async function touchOutbound(pool: pg.Pool, at: ReadonlyMap<string, number>): Promise<void> {
  const rows = [...at].map(([workspace_id, at_us]) => ({ workspace_id, at_us }));
  await pool.query({ ...OUTBOUND, values: [JSON.stringify(rows)] });
}
