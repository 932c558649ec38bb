/** `GET /workspaces/:id/activity` (spec 2 §4.2). */
import { isWorkspaceId, platformUnavailable, Refusal } from '@molecule/contracts';
import { isUnavailable } from '@molecule/event-store';
import { auth, JSON_TYPE, json, type WithContext } from '@molecule/http';
import type { Hono } from 'hono';
import type { Parts } from '../parts.ts';
import { activityPage } from './list.ts';

const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 500;

export function activityRoutes(app: Hono<WithContext>, { ledger }: Pick<Parts, 'ledger'>): Hono<WithContext> {
  return app.get('/workspaces/:id/activity', auth.workspace, async (c) => {
    const id = c.req.param('id');
    const source = sourceOf(c.req.query('source') ?? '');
    if (source === undefined) throw new Refusal('invalid', "source must be 'canvas' or 'agent'");
    if (!isWorkspaceId(id)) throw new Refusal('failed', 'query failed');
    const type = c.req.query('type') || null;
    // Any text may be asked for (spec 2 §4.2), also one that PostgreSQL cannot hold and no row has.
    if (type?.includes('\0')) return json(c, []);
    const query = { type, source, limit: limitOf(c.req.query('limit') ?? '') };
    const page = await activityPage(ledger.db, id, query).catch((error: unknown) => {
      if (isUnavailable(error)) throw platformUnavailable(error);
      c.get('log').error({ err: error }, 'activity could not be read');
      throw new Refusal('failed', 'query failed', { cause: error });
    });
    return c.body(page, 200, { 'content-type': JSON_TYPE });
  });
}

/** A whole number above 0, at most MAX_LIMIT; anything else is the default. */
export function limitOf(text: string): number {
  const value = /^\+?\d+$/.test(text) ? Number(text) : 0;
  return value > 0 ? Math.min(value, MAX_LIMIT) : DEFAULT_LIMIT;
}

/** `undefined`: no source that there is. */
const sourceOf = (text: string): 'canvas' | 'agent' | null | undefined => {
  if (text === '') return null;
  return text === 'canvas' || text === 'agent' ? text : undefined;
};
