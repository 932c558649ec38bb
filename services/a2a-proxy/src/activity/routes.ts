/** `GET /workspaces/:id/activity` (spec 2 §4.2). */
import { isWorkspaceId, Json, Refusal } from '@molecule/contracts';
import { auth, doc, JSON_TYPE, json, type WithContext } from '@molecule/http';
import type { Hono } from 'hono';
import { z } from 'zod';
import { orFail, pageLimit } from '../http.ts';
import type { Parts } from '../parts.ts';
import { activityPage } from './list.ts';

const LIMIT = { usual: 100, most: 500 };

const Activity = z
  .object({
    id: z.string(),
    workspace_id: z.string(),
    activity_type: z.string(),
    source_id: z.string().nullable(),
    target_id: z.string().nullable(),
    method: z.string().nullable(),
    summary: z.string().nullable(),
    duration_ms: z.number().nullable(),
    status: z.string(),
    error_detail: z.string().nullable(),
    created_at: z.iso.datetime(),
    request_body: Json.optional(),
    response_body: Json.optional(),
    tool_trace: Json.optional(),
  })
  .meta({ id: 'Activity' });

const NO_SOURCE = "source must be 'canvas' or 'agent'";

const activityDoc = doc({
  summary: 'List what a workspace did and was asked to do',
  source: 'spec 2 §4.2',
  query: z.object({
    type: z.string().optional().describe('Only activity of this type.'),
    source: z.enum(['canvas', 'agent']).optional().describe('Only what a person caused, or only what an agent did.'),
    limit: z.int().default(LIMIT.usual).describe(`At most ${LIMIT.most}.`),
  }),
  answers: { 200: { description: 'The newest first.', body: z.array(Activity) } },
  refusals: [
    ['invalid', NO_SOURCE],
    ['failed', 'query failed'],
  ],
});

export function activityRoutes(app: Hono<WithContext>, { ledger }: Pick<Parts, 'ledger'>): Hono<WithContext> {
  return app.get('/workspaces/:id/activity', activityDoc, auth.workspace, async (c) => {
    const id = c.req.param('id');
    const source = sourceOf(c.req.query('source') ?? '');
    if (source === undefined) throw new Refusal('invalid', NO_SOURCE);
    if (!isWorkspaceId(id)) throw new Refusal('failed', 'query failed');
    const type = c.req.query('type') || null;
    // Any text may be asked for (spec 2 §4.2), also one that PostgreSQL cannot hold and no row has.
    if (type?.includes('\0')) return json(c, []);
    const query = { type, source, limit: pageLimit(c.req.query('limit'), LIMIT) };
    const page = await orFail(c, 'query failed', () => activityPage(ledger.db, id, query));
    return c.body(page, 200, { 'content-type': JSON_TYPE });
  });
}

/** `undefined`: no source that there is. */
const sourceOf = (text: string): 'canvas' | 'agent' | null | undefined => {
  if (text === '') return null;
  return text === 'canvas' || text === 'agent' ? text : undefined;
};
