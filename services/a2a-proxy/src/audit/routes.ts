/** `GET /admin/audit`: our addition; what `molecule audit` shows. */
import { platformUnavailable } from '@molecule/contracts';
import { isUnavailable } from '@molecule/event-store';
import { auth, json, type WithContext } from '@molecule/http';
import type { Hono } from 'hono';
import type { Parts } from '../parts.ts';
import { auditMessages } from './audit.ts';

export const auditRoutes = (app: Hono<WithContext>, { ledger }: Pick<Parts, 'ledger'>): Hono<WithContext> =>
  app.get('/admin/audit', auth.admin, async (c) => {
    const audit = await auditMessages(ledger.db).catch((error: unknown) => {
      throw isUnavailable(error) ? platformUnavailable(error) : error;
    });
    return json(c, audit);
  });
