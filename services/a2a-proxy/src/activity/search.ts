/** `GET /workspaces/:id/session-search`: what a workspace did and what it remembers, in one list (spec 2 §4.6). */
import { ask, type Bus } from '@molecule/bus';
import { ask as asks, isWorkspaceId, Json, Refusal, type WorkspaceId } from '@molecule/contracts';
import { auth, doc, JSON_TYPE, json, type WithContext } from '@molecule/http';
import type { Hono } from 'hono';
import { type Kysely, sql } from 'kysely';
import { z } from 'zod';
import { compact } from '../call/json-text.ts';
import type { Tables } from '../database.ts';
import { orFail, pageLimit } from '../http.ts';
import type { Parts } from '../parts.ts';

const LIMIT = { usual: 50, most: 200 };
const FAILED = 'session search failed';
/** Bodies that a page shows; what is older than that shows none, as in the list of activity. */
const MAX_PAGE_BYTES = 32 * 1024 * 1024;
const ASK_MS = 5_000;

const Found = z.object({
  kind: z.enum(['activity', 'memory']),
  id: z.string(),
  workspace_id: z.string(),
  label: z.string(),
  content: z.string(),
  method: z.string(),
  status: z.string(),
  created_at: z.iso.datetime(),
  request_body: Json.optional(),
  response_body: Json.optional(),
});

const searchDoc = doc({
  summary: 'Search what a workspace did and remembers',
  description: 'Texts, labels, methods, states and bodies that contain `q`, in any case; everything without it.',
  source: 'spec 2 §4.6',
  query: z.object({
    q: z.string().optional(),
    limit: z.int().default(LIMIT.usual).describe(`At most ${LIMIT.most}.`),
  }),
  answers: { 200: { description: 'The newest first', body: z.array(Found) } },
  refusals: [['failed', FAILED]],
});

/** One entry of the answer, as JSON text, and where it stands. */
interface Entry {
  readonly createdAt: string;
  readonly text: string;
}

export function searchRoutes(app: Hono<WithContext>, { ledger, bus }: Pick<Parts, 'ledger'> & { readonly bus: Bus }): void {
  app.get('/workspaces/:id/session-search', searchDoc, auth.workspace, async (c) => {
    const id = c.req.param('id').toLowerCase();
    if (!isWorkspaceId(id)) throw new Refusal('failed', FAILED);
    const query = (c.req.query('q') ?? '').trim();
    // No text that is kept holds a NUL.
    if (query.includes('\0')) return json(c, []);
    const limit = pageLimit(c.req.query('limit'), LIMIT);
    const found = await orFail(c, FAILED, () =>
      Promise.all([searchActivity(ledger.db, id, query, limit), searchMemories(bus, id, query, limit)]),
    );
    const newest = found.flat().toSorted((a, b) => (instantOf(b) < instantOf(a) ? -1 : 1));
    const page = newest.slice(0, limit).map(({ text }) => text);
    return c.body(`[${page.join(',')}]`, 200, { 'content-type': JSON_TYPE });
  });
}

/** Comparable as text, however many digits of a second it has. */
const instantOf = ({ createdAt }: Entry): string => createdAt.replace('Z', '').padEnd(26, '0');

/** What `%`, `_` and the backslash mean to `like` is taken from them. */
export const likePattern = (query: string): string => `%${query.replaceAll(/[\\%_]/g, '\\$&')}%`;

async function searchActivity(db: Kysely<Tables>, workspaceId: WorkspaceId, query: string, limit: number): Promise<Entry[]> {
  const pattern = likePattern(query);
  const matches =
    query === ''
      ? sql`true`
      : sql`(summary ilike ${pattern} or activity_type ilike ${pattern} or method ilike ${pattern} or status ilike ${pattern}
          or request_body::text ilike ${pattern} or response_body::text ilike ${pattern})`;
  const { rows } = await sql<{ row: string; created_at: string; request_body: string | null; response_body: string | null }>`
    select row_to_json(shown)::text as row, shown.created_at,
      case when within then request_body::text end as request_body,
      case when within then response_body::text end as response_body
    from (
      select *, sum(body_bytes) over (order by created_at desc, id desc) <= ${MAX_PAGE_BYTES} as within
      from activity where workspace_id = ${workspaceId} and ${matches}
      order by created_at desc, id desc
      limit ${limit}
    ) page
    cross join lateral (
      select 'activity' as kind, id, workspace_id, activity_type as label, coalesce(summary, '') as content,
        coalesce(method, '') as method, status,
        to_char(created_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"') as created_at
    ) shown
    order by page.created_at desc, page.id desc
  `.execute(db);
  return rows.map(({ row, created_at: createdAt, request_body, response_body }) => {
    let text = row.slice(0, -1);
    if (request_body !== null) text += `,"request_body":${compact(request_body)}`;
    if (response_body !== null) text += `,"response_body":${compact(response_body)}`;
    return { createdAt, text: `${text}}` };
  });
}

/** The registry keeps them. */
async function searchMemories(bus: Bus, workspaceId: WorkspaceId, query: string, limit: number): Promise<Entry[]> {
  const input = { workspaceId, scope: 'ALL', query, limit } as const;
  const { memories } = await ask(bus, asks.registry.recall, input, { timeoutMs: ASK_MS });
  return memories.map(({ id, content, scope, createdAt }) => {
    const entry = { kind: 'memory', id, workspace_id: workspaceId, label: scope, content, method: '', status: '' };
    return { createdAt, text: JSON.stringify({ ...entry, created_at: createdAt }) };
  });
}
