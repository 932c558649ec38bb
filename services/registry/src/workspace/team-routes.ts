/** Teams (spec 1 §1.9): a workspace is expanded into its children, and collapsed again. */
import { Refusal } from '@molecule/contracts';
import { auth, doc, json, problem, type WithContext } from '@molecule/http';
import { Hono } from 'hono';
import { z } from 'zod';
import { commandOf, namedWorkspace, orFail } from '../http.ts';
import type { Parts } from '../parts.ts';
import { findWorkspace } from './queries.ts';
import { removeBelow } from './removal.ts';
import { expandInto, membersOf } from './team.ts';

const Expanded = z.object({
  status: z.literal('expanded'),
  children: z.array(z.object({ id: z.uuid(), name: z.string(), role: z.string() })),
});
const Collapsed = z.object({ status: z.literal('collapsed'), removed: z.array(z.string()) });

const teamDocs = {
  expand: doc({
    summary: 'Create the children that the template of a workspace lists, and start them',
    description: 'Doing it again creates them again. Those that the rules of new workspaces forbid are left out.',
    source: 'spec 1 §1.9',
    answers: { 200: { description: 'The children that were created', body: Expanded } },
    refusals: [
      ['not-found', 'workspace not found'],
      ['failed', 'lookup failed'],
      ['invalid', 'no config found for workspace'],
      ['failed', 'failed to read config'],
      ['failed', 'failed to parse config'],
      ['invalid', 'workspace has no sub_workspaces defined in config'],
    ],
  }),
  collapse: doc({
    summary: 'Remove everything below a workspace, with what runs for it and its volumes',
    source: 'spec 1 §1.9',
    answers: { 200: { description: 'The names of its children, which are removed', body: Collapsed } },
    refusals: [['failed', 'failed to query children']],
  }),
} as const;

export function teamRoutes(parts: Parts) {
  const { ledger, newId } = parts;

  return new Hono<WithContext>()
    .post('/workspaces/:id/expand', teamDocs.expand, auth.workspace, async (c) => {
      const id = c.req.param('id');
      const row = await orFail(c, 'lookup failed', () => findWorkspace(ledger.db, id));
      if (row === undefined || row.status === 'removed') throw problem.workspaceNotFound();
      const members = await orFail(c, 'failed to read config', () => membersOf(parts, row.name));
      const children = await orFail(c, 'lookup failed', () => expandInto(parts, row, members, () => commandOf(c, newId)));
      return json(c, { status: 'expanded', children });
    })

    .post('/workspaces/:id/collapse', teamDocs.collapse, auth.workspace, async (c) => {
      const failure = 'failed to query children';
      const id = namedWorkspace(c);
      if (id === null) throw new Refusal('failed', failure);
      const removed = await orFail(c, failure, () => removeBelow(parts, id, commandOf(c, newId).commandId));
      return json(c, { status: 'collapsed', removed });
    });
}
