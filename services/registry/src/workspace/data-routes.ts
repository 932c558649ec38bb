/** What belongs to a workspace beside itself: config, budget, state for polling, and where the canvas looks (spec 1 §1.6, §1.10, §1.11). */
import { Refusal } from '@molecule/contracts';
import { auth, type BodyProblem, body, defineAuth, doc, json, problem, type WithContext } from '@molecule/http';
import { Hono } from 'hono';
import { z } from 'zod';
import { commandOf, knownInProduction, namedWorkspace, orFail } from '../http.ts';
import type { Parts } from '../parts.ts';
import { bootstrapFailure } from './bootstrap-failure.ts';
import { BudgetBody, invalidBudget, limitBudget } from './budget.ts';
import { mergeConfig, readConfig } from './config-document.ts';
import { countLiveTokens, findWorkspace } from './queries.ts';
import { BootstrapNoted, Budget, ConfigAnswer, GoneState, SavedViewport, State, Updated } from './shapes.ts';
import { weigh } from './status.ts';
import { NOWHERE_YET, readViewport, saveViewport, Viewport } from './viewport.ts';
import { budget, budgetLimitOf } from './wire.ts';

const MAX_CONFIG_BYTES = 262_144;
const BootstrapReport = z.object({ error: z.string().nullish(), log_tail: z.string().nullish() });

/** A document that was not read whole, or is none. */
const invalidConfig = ({ kind }: BodyProblem): Refusal =>
  kind === 'too-large' || kind === 'too-slow'
    ? new Refusal('too-large', 'body too large or unreadable')
    : new Refusal('invalid', 'invalid JSON');

export function dataRoutes(parts: Parts) {
  const { ledger, store, fleet, barrier, newId, log, mode } = parts;

  return new Hono<WithContext>()
    .get(
      '/workspaces/:id/config',
      doc({
        summary: 'Read what a workspace’s page was configured with',
        source: 'spec 1 §1.10',
        answers: { 200: { description: 'The document, `{}` where there is none', body: ConfigAnswer } },
        refusals: [['failed', 'query failed']],
      }),
      auth.workspace,
      async (c) => {
        const data = await orFail(c, 'query failed', async () => {
          const id = namedWorkspace(c);
          if (id === null) throw new Refusal('failed', 'query failed');
          return readConfig(ledger.db, id);
        });
        return json(c, { data });
      },
    )

    .patch(
      '/workspaces/:id/config',
      doc({
        summary: 'Lay top-level keys over what a workspace’s page was configured with',
        description:
          'Nothing is deleted. What is no object has no keys, and changes nothing. A patch holds 256 KiB at most, and the document 1 MiB.',
        source: 'spec 1 §1.10',
        answers: { 200: { description: 'Merged', body: Updated } },
        refusals: [
          ['too-large', 'body too large or unreadable'],
          ['invalid', 'invalid JSON'],
          ['failed', 'failed to update config'],
        ],
      }),
      auth.workspace,
      body(z.unknown(), invalidConfig, { maxBytes: MAX_CONFIG_BYTES }),
      async (c) => {
        const id = namedWorkspace(c);
        const outcome = await orFail(c, 'failed to update config', async () =>
          id === null ? 'absent' : mergeConfig(ledger.db, id, c.req.valid('json')),
        );
        if (outcome === 'too-large') throw invalidConfig({ kind: outcome });
        if (outcome === 'absent') throw new Refusal('failed', 'failed to update config');
        return json(c, { status: 'updated' });
      },
    )

    .get(
      '/workspaces/:id/budget',
      doc({
        summary: 'Read what a workspace may spend, and has spent',
        source: 'spec 1 §1.10',
        answers: { 200: { description: 'US cents', body: Budget } },
        refusals: [
          ['not-found', 'workspace not found'],
          ['failed', 'query failed'],
        ],
      }),
      auth.workspace,
      async (c) => {
        const row = await orFail(c, 'query failed', () => findWorkspace(ledger.db, c.req.param('id')));
        if (!row || row.status === 'removed') throw problem.workspaceNotFound();
        return json(c, budget(budgetLimitOf(row), fleet.vitals(row.workspace_id)));
      },
    )

    .patch(
      '/workspaces/:id/budget',
      doc({
        summary: 'Set what a workspace may spend',
        description: 'From the answer on, every call to a workspace that has spent as much is refused with 402.',
        source: 'spec 1 §1.10',
        answers: { 200: { description: 'US cents', body: Budget } },
        refusals: [
          ['invalid', 'invalid request body'],
          ['invalid', 'budget_limit field is required'],
          ['invalid', 'budget_limit must be >= 0 (USD cents)'],
          ['invalid', 'budget_limit must be an integer (USD cents) or null'],
          ['not-found', 'workspace not found'],
          ['failed', 'update failed'],
        ],
      }),
      auth.admin,
      body(BudgetBody, invalidBudget),
      async (c) => {
        const id = namedWorkspace(c);
        if (id === null) throw problem.workspaceNotFound();
        const { budget_limit: limit } = c.req.valid('json');
        const { version } = await orFail(c, 'update failed', () => store.change(id, commandOf(c, newId), limitBudget(limit)));
        await barrier.passed(id, version);
        return json(c, budget(limit, fleet.vitals(id)));
      },
    )

    .get(
      '/workspaces/:id/state',
      doc({
        summary: 'Learn whether to go on: for agents that poll from elsewhere',
        description: 'After the workspace class, a workspace that has live tokens wants one of its own shown.',
        source: 'spec 1 §1.6',
        answers: {
          200: { description: 'It is there', body: State },
          404: { description: 'It was removed, or never was', body: GoneState },
        },
        refusals: [
          ['unauthenticated', 'missing workspace auth token'],
          ['unauthenticated', 'invalid workspace auth token'],
          ['failed', 'auth check failed'],
          ['failed', 'query failed'],
        ],
      }),
      auth.workspace,
      ownToken(parts),
      async (c) => {
        const id = c.req.param('id');
        const row = await orFail(c, 'query failed', () => findWorkspace(ledger.db, id));
        if (!row) return json(c, { workspace_id: id, deleted: true }, 404);
        const { workspace_id, status } = row;
        if (status === 'removed') return json(c, { workspace_id, status, deleted: true }, 404);
        return json(c, { workspace_id, status, paused: status === 'paused', deleted: false });
      },
    )

    .post(
      '/admin/workspaces/:id/bootstrap-failed',
      doc({
        summary: 'Report from outside that a workspace’s start has failed',
        source: 'spec 1 §1.11',
        answers: { 200: { description: 'Noted, or `no_change` where nothing was being started', body: BootstrapNoted } },
        refusals: [
          ['invalid', 'invalid request body'],
          ['failed', 'db update failed'],
        ],
      }),
      auth.admin,
      body(BootstrapReport, problem.invalidRequestBody),
      async (c) => {
        const id = namedWorkspace(c);
        if (id === null) return json(c, { ok: true, no_change: true });
        const { error, log_tail: logTail } = c.req.valid('json');
        const evidence = bootstrapFailure({ error: error ?? '', logTail: logTail ?? '' });
        const { version, facts } = await orFail(c, 'db update failed', () =>
          store.change(id, commandOf(c, newId), weigh(evidence)),
        );
        if (facts.length === 0) return json(c, { ok: true, no_change: true });
        await barrier.passed(id, version);
        return json(c, { ok: true });
      },
    )

    .get(
      '/canvas/viewport',
      doc({
        summary: 'Read where everybody’s canvas looks',
        source: 'spec 1 §1.10',
        description: 'In production for whoever shows a credential of the platform’s.',
        answers: { 200: { description: 'Never an error', body: SavedViewport } },
      }),
      knownInProduction(mode),
      async (c) => {
        const viewport = await readViewport(ledger.db).catch((error: unknown) => {
          log.warn({ err: error }, 'the viewport could not be read');
          return NOWHERE_YET;
        });
        return json(c, viewport);
      },
    )

    .put(
      '/canvas/viewport',
      doc({
        summary: 'Save where everybody’s canvas looks',
        source: 'spec 1 §1.10',
        answers: { 200: { description: 'Saved', body: z.object({ status: z.literal('saved') }) } },
        refusals: [
          ['invalid', 'invalid viewport data'],
          ['failed', 'failed to save viewport'],
        ],
      }),
      auth.canvasOrBearer,
      body(Viewport, () => new Refusal('invalid', 'invalid viewport data')),
      async (c) => {
        await orFail(c, 'failed to save viewport', () => saveViewport(ledger.db, c.req.valid('json')));
        return json(c, { status: 'saved' });
      },
    );
}

/** The second check of `/state` (§1.6): who acts for a workspace that has tokens shows one of them. What fails here opens nothing. */
const ownToken = ({ ledger }: Pick<Parts, 'ledger'>) =>
  defineAuth('workspace', async ({ principal: { identity } }, c) => {
    const id = c.req.param('id') ?? '';
    if (identity.kind === 'service') return null;
    if (identity.kind === 'workspace' && identity.workspaceId === id.toLowerCase()) return null;
    const live = await orFail(c, 'auth check failed', () => countLiveTokens(ledger.db, id)).catch((error: unknown) => {
      throw new Refusal('failed', 'auth check failed', { cause: error });
    });
    if (live === 0) return null;
    return identity.kind === 'anonymous' ? problem.missingWorkspaceToken() : problem.invalidWorkspaceToken();
  });
