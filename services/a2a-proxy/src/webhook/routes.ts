/** `POST /webhooks/github` and `POST /webhooks/github/:id` (spec 2 §7.14): open to everybody who signs. */
import type { IncomingMessage } from 'node:http';
import { ask, type Bus } from '@molecule/bus';
import { ask as asks, isWorkspaceId, Json, platformUnavailable, Refusal } from '@molecule/contracts';
import type { Ledger } from '@molecule/event-store';
import { auth, doc, JSON_TYPE, json, type RouteDoc, readBody, type WithContext } from '@molecule/http';
import type { Log } from '@molecule/service';
import type { Context, Hono } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { z } from 'zod';
import type { Answer } from '../call/answer.ts';
import { type Caller, limitOf } from '../call/caller.ts';
import type { DirectCalls } from '../call/direct.ts';
import { answerOf } from '../call/in-process.ts';
import { a2aDoc } from '../call/route-doc.ts';
import type { Tables } from '../database.ts';
import { commandIdOf, messageIdOf } from './deliveries.ts';
import { type Effect, effectOf } from './github.ts';
import { isSigned } from './signature.ts';

const NO_SECRET = 'github webhook secret is not configured';
const BAD_SIGNATURE = 'invalid webhook signature';
const NOBODY = 'missing workspace id';
const NOT_TRIGGERED = 'failed to trigger schedules';
/** GitHub waits ten seconds. */
const TRIGGER_MS = 8_000;
const MAX_DELIVERY_ID = 200;

const Ignored = z.strictObject({ status: z.literal('ignored'), reason: z.string() });
const Triggered = z.strictObject({
  status: z.literal('triggered'),
  event: z.string(),
  action: z.string(),
  schedules_affected: z.int(),
});

const documented = (whom: string): RouteDoc => ({
  summary: `Take an event of GitHub for ${whom}`,
  description:
    'Signed with `GITHUB_WEBHOOK_SECRET`. New issues and reviews make schedules due; comments and failed workflow runs become a message, and the answer is that of the call. A delivery that comes again is not dispatched again, unless it reached nobody before.',
  source: 'spec 2 §7.14',
  headers: {
    'X-Hub-Signature-256': '`sha256=` and the HMAC-SHA256 of the raw body, in hex.',
    'X-GitHub-Event': 'What happened.',
    'X-GitHub-Delivery': 'The id of the delivery.',
  },
  body: 'application/json',
  answers: {
    200: { description: 'Schedules were made due, or what the agent answered.', body: z.union([Triggered, Json]) },
    202: { description: 'Nothing to do.', body: Ignored },
  },
  refusals: [
    ['unavailable', NO_SECRET],
    ['invalid', 'failed to read request body'],
    ['unauthenticated', BAD_SIGNATURE],
    ['invalid', 'invalid issues payload'],
    ['invalid', NOBODY],
    ['failed', NOT_TRIGGERED],
    ...(a2aDoc.refusals ?? []),
  ],
});

export interface GithubParts {
  readonly bus: Bus;
  readonly ledger: Ledger<Tables>;
  readonly calls: Pick<DirectCalls, 'handle'>;
  /** `''`: webhooks are not set up here. */
  readonly secret: string;
  readonly newId: () => string;
  readonly log: Log;
  readonly isStopping: () => boolean;
}

const CALLER: Caller = { source: 'system', id: null, name: 'webhook:github' };

export function githubRoutes(app: Hono<WithContext>, parts: GithubParts): void {
  app.post('/webhooks/github', doc(documented('the workspace that it names')), auth.none, (c) => take(c, '', parts));
  app.post('/webhooks/github/:id', doc(documented('a workspace')), auth.none, (c) => take(c, c.req.param('id'), parts));
}

async function take(c: Context<WithContext>, pathId: string, parts: GithubParts): Promise<Response> {
  const { secret, isStopping } = parts;
  if (secret === '') throw new Refusal('unavailable', NO_SECRET);
  if (isStopping()) throw platformUnavailable();
  const body = await readBody((c.env as unknown as { readonly incoming: IncomingMessage }).incoming);
  if (!isSigned(body, c.req.header('x-hub-signature-256'), secret)) throw new Refusal('unauthenticated', BAD_SIGNATURE);
  const deliveryId = (c.req.header('x-github-delivery') ?? '').slice(0, MAX_DELIVERY_ID);
  const effect = effectOf({ event: c.req.header('x-github-event') ?? '', deliveryId, body });
  switch (effect.kind) {
    case 'ignored':
      return json(c, { status: 'ignored', reason: effect.reason }, 202);
    case 'invalid':
      throw new Refusal('invalid', effect.error);
    case 'trigger': {
      const { event, action } = effect;
      return json(c, { status: 'triggered', event, action, schedules_affected: await trigger(effect, deliveryId, parts) });
    }
    case 'message': {
      const target = pathId || effect.workspaceId;
      if (target === '') throw new Refusal('invalid', NOBODY);
      const { status, body: said } = await dispatch(effect, canonical(target), deliveryId, parts);
      const shown = typeof said === 'string' ? said : new Uint8Array(said);
      return c.body(shown, status as ContentfulStatusCode, { 'content-type': JSON_TYPE });
    }
  }
}

/** How many schedules are due for it. */
async function trigger(
  { event, nameContains }: Extract<Effect, { kind: 'trigger' }>,
  deliveryId: string,
  { bus, log }: GithubParts,
): Promise<number> {
  const order = { nameContains: [...nameContains], commandId: commandIdOf(deliveryId && `${event} ${deliveryId}`) };
  try {
    return (await ask(bus, asks.scheduler.trigger, order, { timeoutMs: TRIGGER_MS })).affected;
  } catch (error) {
    log.warn({ err: error, event }, 'schedules could not be triggered');
    throw new Refusal('failed', NOT_TRIGGERED, { cause: error });
  }
}

/** The answer of the proxy, as the agent or the platform gave it. */
async function dispatch(
  { text, metadata }: Extract<Effect, { kind: 'message' }>,
  target: string,
  deliveryId: string,
  { ledger, calls, newId, log }: GithubParts,
): Promise<Answer> {
  const messageId = await messageIdOf(ledger, { deliveryId, target });
  const message = { role: 'user', messageId, parts: [{ kind: 'text', text }] };
  const body = Buffer.from(
    JSON.stringify({ jsonrpc: '2.0', id: newId(), method: 'message/send', params: { message, metadata } }),
  );
  return answerOf(calls, { caller: CALLER, target, body, limitMs: limitOf(CALLER, ''), messageId }, log);
}

const canonical = (id: string): string => (isWorkspaceId(id) ? id.toLowerCase() : id);
