/** What the sweeper found and did, for operators (our addition). */
import { Json } from '@molecule/contracts';
import { auth, doc, json, serviceApp } from '@molecule/http';
import { z } from 'zod';
import type { Parts } from '../parts.ts';
import { latestFindings } from './projections/finding-list.ts';

/** As many as `GET /events` shows (spec 1 §6.1). */
const SHOWN = 100;

const Finding = z
  .object({
    id: z.string(),
    kind: z.string(),
    about: z.string().describe('The workspace, or the prefix of the resource, that it is about.'),
    evidence: Json,
    found_at: z.iso.datetime(),
  })
  .meta({ id: 'Finding' });

const sweepsDoc = doc({
  summary: 'List what the sweeper found and did, with its evidence',
  source: 'addition',
  answers: { 200: { description: `The newest first, ${SHOWN} at most.`, body: z.array(Finding) } },
});

export const findingRoutes = ({ ledger, log }: Pick<Parts, 'ledger' | 'log'>) =>
  serviceApp(log).get('/admin/sweeps', sweepsDoc, auth.admin, async (c) => json(c, await latestFindings(ledger.db, SHOWN)));
