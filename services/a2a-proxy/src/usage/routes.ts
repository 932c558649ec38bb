/** `GET /workspaces/:id/metrics`: what a workspace's agent used today (spec 2 §7.5). */
import { isWorkspaceId, Refusal } from '@molecule/contracts';
import { auth, doc, json, type WithContext } from '@molecule/http';
import type { Hono } from 'hono';
import { z } from 'zod';
import { orFail } from '../http.ts';
import type { Parts } from '../parts.ts';
import { knownWorkspace } from '../workspace.ts';
import { usageOn } from './store.ts';
import { costOf } from './usage.ts';

const DAY_MS = 86_400_000;

const metricsDoc = doc({
  summary: 'Read what a workspace’s agent used today',
  description:
    'As the replies that went through the platform say: tokens, and what they cost in US dollars. A day is one of UTC.',
  source: 'spec 2 §7.5',
  answers: {
    200: {
      description: 'Zeros where nothing was used',
      body: z.strictObject({
        input_tokens: z.int(),
        output_tokens: z.int(),
        total_calls: z.int(),
        estimated_cost_usd: z.string(),
        period_start: z.string(),
        period_end: z.string(),
      }),
    },
  },
  refusals: [
    ['not-found', 'workspace not found'],
    ['failed', 'failed to verify workspace'],
    ['failed', 'failed to fetch metrics'],
  ],
});

export function usageRoutes(
  app: Hono<WithContext>,
  { ledger, directory, clock }: Pick<Parts, 'ledger' | 'directory' | 'clock'>,
): void {
  app.get('/workspaces/:id/metrics', metricsDoc, auth.workspace, async (c) => {
    const id = c.req.param('id').toLowerCase();
    if (!isWorkspaceId(id)) throw new Refusal('failed', 'failed to verify workspace');
    if ((await knownWorkspace(directory, id)) === undefined) throw new Refusal('not-found', 'workspace not found');
    const start = Math.floor(clock.now().getTime() / DAY_MS) * DAY_MS;
    const day = new Date(start).toISOString().slice(0, 10);
    const used = await orFail(c, 'failed to fetch metrics', () => usageOn(ledger.db, id, day));
    return json(c, {
      input_tokens: Number(used.inputTokens),
      output_tokens: Number(used.outputTokens),
      total_calls: Number(used.calls),
      estimated_cost_usd: costOf(used.inputTokens, used.outputTokens),
      period_start: instant(start),
      period_end: instant(start + DAY_MS),
    });
  });
}

/** Whole seconds, as the contract shows them. */
const instant = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
