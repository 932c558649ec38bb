/** `GET /workspaces/:id/delegations`: the rows that delegations left, as clients poll them (spec 2 §3.5). */
import { type Kysely, sql } from 'kysely';
import { preview } from '../activity/preview.ts';
import type { Tables } from '../database.ts';

const MAX_ROWS = 50;
const PREVIEW_BYTES = 300;

export interface DelegationEntry {
  readonly id: string;
  readonly type: string;
  readonly source_id: string;
  readonly target_id: string;
  readonly summary: string;
  readonly status: string;
  readonly created_at: string;
  readonly delegation_id?: string;
  readonly error?: string;
  readonly response_preview?: string;
}

interface Row extends Omit<DelegationEntry, 'type' | 'delegation_id' | 'error' | 'response_preview'> {
  readonly delegation_id: string | null;
  readonly error: string | null;
  /** A little more than is shown, so that what is longer shows. */
  readonly response: string | null;
}

export async function delegationsOf(db: Kysely<Tables>, workspaceId: string): Promise<DelegationEntry[]> {
  const { rows } = await sql<Row>`
    select id, coalesce(source_id::text, '') as source_id, coalesce(target_id::text, '') as target_id, coalesce(summary, '') as summary,
      status, to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as created_at,
      coalesce(request_body ->> 'delegation_id', response_body ->> 'delegation_id') as delegation_id, error_detail as error,
      left(coalesce(response_body ->> 'text', response_body::text), ${PREVIEW_BYTES + 1}) as response
    from activity
    where workspace_id = ${workspaceId} and activity_type = 'delegation'
    order by activity.created_at desc, id desc
    limit ${MAX_ROWS}
  `.execute(db);
  return rows.map(({ id, delegation_id, error, response, ...row }) => ({
    id,
    type: 'delegation',
    ...row,
    ...(delegation_id && { delegation_id }),
    ...(error && { error }),
    ...(response && { response_preview: preview(response, PREVIEW_BYTES, '...') }),
  }));
}
