/** The structure-event log (spec 1 §6.1). */
import { isWorkspaceId, Refusal } from '@molecule/contracts';
import { auth, json, type WithContext } from '@molecule/http';
import { Hono } from 'hono';
import { orFail } from '../http.ts';
import type { Parts } from '../parts.ts';
import { eventDocs } from './docs.ts';
import { listEvents } from './projections/structure-events.ts';

export const eventRoutes = ({ ledger }: Parts) =>
  new Hono<WithContext>()
    .get('/events', eventDocs.all, auth.admin, async (c) => json(c, await orFail(c, 'query failed', () => listEvents(ledger.db))))

    .get('/events/:workspaceId', eventDocs.ofWorkspace, auth.admin, async (c) => {
      const id = c.req.param('workspaceId');
      if (!isWorkspaceId(id)) throw new Refusal('failed', 'query failed');
      return json(c, await orFail(c, 'query failed', () => listEvents(ledger.db, id.toLowerCase())));
    });
