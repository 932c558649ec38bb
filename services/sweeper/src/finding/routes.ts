/** What the sweeper found and did, for operators (our addition). */
import { auth, json, serviceApp } from '@molecule/http';
import type { Parts } from '../parts.ts';
import { latestFindings } from './projections/finding-list.ts';

/** As many as `GET /events` shows (spec 1 §6.1). */
const SHOWN = 100;

export const findingRoutes = ({ ledger, log }: Pick<Parts, 'ledger' | 'log'>) =>
  serviceApp(log).get('/admin/sweeps', auth.admin, async (c) => json(c, await latestFindings(ledger.db, SHOWN)));
