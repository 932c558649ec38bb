/**
 * `GET /workspaces/:id/a2a`, and the card where A2A says that it is found: who may call the agent may read its card, also while the
 * agent is asleep or away.
 */
import { createHash } from 'node:crypto';
import { ask, type Bus } from '@molecule/bus';
import { ask as asks, Json, Refusal, WorkspaceId } from '@molecule/contracts';
import { defineAuth, doc, JSON_TYPE, originOf, platformUrl, problem, type WithContext } from '@molecule/http';
import type { Context, Hono } from 'hono';
import { z } from 'zod';
import type { Admissions } from '../call/admission.ts';
import { answers } from '../call/answer.ts';
import { canonical, identifyCaller } from '../call/caller.ts';
import { isObject } from '../call/normalise.ts';
import { refusalOf, refused } from '../call/refusals.ts';
import type { Parts } from '../parts.ts';
import { proxiedCard } from './card.ts';

const ASK_MS = 5_000;
const PATHS = ['', '/.well-known/agent-card.json', '/.well-known/agent.json'] as const;
/** It changes when its agent registers or says so, and who may read it too: it is always asked for, and seldom sent again. */
const CACHING = 'private, no-cache';

const NO_CARD = 'workspace has no agent card';

const cardDoc = doc({
  summary: 'Read the agent card of a workspace',
  description:
    'The card that the agent registered with, with the platform’s own address of it in place of the agent’s; interfaces other than JSON-RPC and signatures are left out. Who may call the agent may read it. An `ETag` says whether it has changed.',
  source: 'addition',
  headers: {
    'X-Workspace-ID': 'Who asks: a workspace. Without it, the canvas.',
    'If-None-Match': 'The `ETag` of the card that the caller has.',
  },
  answers: {
    200: { description: 'The card.', body: z.record(z.string(), Json) },
    304: { description: 'The caller has it already.' },
  },
  refusals: [
    ...[answers.invalidCaller, answers.missingCallerToken, answers.invalidCallerToken, answers.accessDenied].map(refusalOf),
    ['not-found', 'workspace not found'],
    ['not-found', NO_CARD],
    refusalOf(answers.lookupFailed),
    refusalOf(answers.unavailable),
  ],
});

export interface CardParts extends Pick<Parts, 'directory' | 'mode'> {
  readonly bus: Bus;
  readonly admissions: Admissions;
  /** Where the platform is reached from outside; `undefined`: where the request came. */
  readonly externalUrl: string | undefined;
}

export function cardRoutes(app: Hono<WithContext>, { bus, admissions, directory, mode, externalUrl }: CardParts): void {
  const mayCall = defineAuth('caller', async ({ principal }, c) => {
    const header = canonical(c.req.header('x-workspace-id') ?? '');
    const target = targetOf(c);
    const asked = identifyCaller({ header, target, principal, mode, liveTokens: (id) => directory.liveTokens(id) });
    const found = 'answer' in asked ? asked : await admissions.find(asked.caller, target);
    return 'answer' in found ? refused(found.answer) : null;
  });

  for (const path of PATHS) {
    app.get(`/workspaces/:id/a2a${path}`, cardDoc, mayCall, async (c) => {
      const workspaceId = WorkspaceId.parse(targetOf(c));
      const { found, card } = await ask(bus, asks.registry.agentCard, { workspaceId }, { timeoutMs: ASK_MS });
      if (!found) throw problem.workspaceNotFound();
      if (!isObject(card)) throw new Refusal('not-found', NO_CARD);
      const url = `${platformUrl(originOf(c, externalUrl))}/workspaces/${workspaceId}/a2a`;
      const body = JSON.stringify(proxiedCard(card, url));
      const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
      const headers = { etag, 'cache-control': CACHING };
      if (knows(c.req.header('if-none-match') ?? '', etag)) return c.body(null, 304, headers);
      return c.body(body, 200, { 'content-type': JSON_TYPE, ...headers });
    });
  }
}

const targetOf = (c: Context): string => canonical(c.req.param('id') ?? '');

/** Whether one of the versions that a caller has is this one. */
const knows = (ifNoneMatch: string, etag: string): boolean =>
  ifNoneMatch.split(',').some((known) => known.trim() === '*' || known.trim().replace(/^W\//, '') === etag);
