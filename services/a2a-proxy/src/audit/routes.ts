/** `GET /admin/audit`: our addition; what `molecule audit` shows. */
import { platformUnavailable } from '@molecule/contracts';
import { isUnavailable } from '@molecule/event-store';
import { auth, doc, json, type WithContext } from '@molecule/http';
import type { Hono } from 'hono';
import { z } from 'zod';
import type { Parts } from '../parts.ts';
import { auditMessages } from './audit.ts';

const auditDoc = doc({
  summary: 'Prove from the log that every accepted message ended once, or is open',
  source: 'addition',
  answers: {
    200: {
      description: 'accepted = completed + failed + dropped + open, if it is balanced.',
      body: z.object({
        accepted: z.int(),
        completed: z.int(),
        failed: z.int(),
        dropped: z.int(),
        open: z.int(),
        byOutcome: z.record(z.string(), z.int()),
        balanced: z.boolean(),
        unbalanced: z.array(z.object({ messageId: z.string(), facts: z.array(z.string()) })),
      }),
    },
  },
});

export const auditRoutes = (app: Hono<WithContext>, { ledger }: Pick<Parts, 'ledger'>): Hono<WithContext> =>
  app.get('/admin/audit', auditDoc, auth.admin, async (c) => {
    const audit = await auditMessages(ledger.db).catch((error: unknown) => {
      throw isUnavailable(error) ? platformUnavailable(error) : error;
    });
    return json(c, audit);
  });
