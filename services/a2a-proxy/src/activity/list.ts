/** How a workspace's activity is asked for (spec 2 §4.2). Bodies go out as they were written, without spaces between their parts. */
import { type Kysely, sql } from 'kysely';
import { compact } from '../call/json-text.ts';
import type { Tables } from '../database.ts';

export interface ActivityQuery {
  readonly type: string | null;
  readonly source: 'canvas' | 'agent' | null;
  readonly limit: number;
}

/** A page shows this many bytes of bodies; what is older than that shows none. */
const MAX_PAGE_BYTES = 32 * 1024 * 1024;

interface Shown {
  readonly row: string;
  readonly request_body: string | null;
  readonly response_body: string | null;
  readonly tool_trace: string | null;
}

/** The JSON array of the route, newest first. */
export async function activityPage(
  db: Kysely<Tables>,
  workspaceId: string,
  { type, source, limit }: ActivityQuery,
): Promise<string> {
  const ofType = type === null ? sql`true` : sql`activity_type = ${type}`;
  // What a system sender caused has no source, and is no user input for that (spec 2 §1.11).
  const ofSource =
    source === null
      ? sql`true`
      : source === 'agent'
        ? sql`source_id is not null`
        : sql`source_id is null and source_kind <> 'system'`;
  const { rows } = await sql<Shown>`
    select row_to_json(shown)::text as row,
      case when within then request_body::text end as request_body,
      case when within then response_body::text end as response_body,
      case when within then tool_trace::text end as tool_trace
    from (
      select *, sum(body_bytes) over (order by created_at desc, id desc) <= ${MAX_PAGE_BYTES} as within
      from activity
      where workspace_id = ${workspaceId} and ${ofType} and ${ofSource}
      order by created_at desc, id desc
      limit ${limit}
    ) page
    cross join lateral (
      select id, workspace_id, activity_type, source_id, target_id, method, summary, duration_ms, status, error_detail,
        to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as created_at
    ) shown
    order by page.created_at desc, page.id desc
  `.execute(db);
  return `[${rows.map(entry).join(',')}]`;
}

function entry({ row, request_body, response_body, tool_trace }: Shown): string {
  let text = row.slice(0, -1);
  if (request_body !== null) text += `,"request_body":${compact(request_body)}`;
  if (response_body !== null) text += `,"response_body":${compact(response_body)}`;
  if (tool_trace !== null) text += `,"tool_trace":${compact(tool_trace)}`;
  return `${text}}`;
}
