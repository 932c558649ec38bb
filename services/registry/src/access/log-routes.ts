/** Who was given access and who was refused, for the operator to read. */
import { auth, doc, json, type WithContext } from '@molecule/http';
import { Hono } from 'hono';
import { z } from 'zod';
import { orFail } from '../http.ts';
import type { Parts } from '../parts.ts';
import { AccessLogEntry, newestAccess } from './projections/access-log.ts';

export const accessLogRoutes = ({ ledger }: Pick<Parts, 'ledger'>) =>
  new Hono<WithContext>().get(
    '/admin/access',
    doc({
      summary: 'List the newest 100 of what was minted, revoked, opened, closed and refused',
      description: 'Newest first. No token, no hash; prefixes tell tokens apart.',
      source: 'addition',
      answers: { 200: { description: 'Newest first', body: z.array(AccessLogEntry) } },
      refusals: [['failed', 'query failed']],
    }),
    auth.admin,
    async (c) => json(c, await orFail(c, 'query failed', () => newestAccess(ledger.db))),
  );
