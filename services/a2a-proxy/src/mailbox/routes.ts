/** Following queued requests: `/workspaces/:id/a2a/queue` (our addition), and `POST /admin/a2a-queue/drop-stale` (spec 2 §2.5). */
import { isWorkspaceId, Json, type MessageId, MessageSource, Refusal, type WorkspaceId } from '@molecule/contracts';
import { auth, defineAuth, doc, JSON_TYPE, json, type NodeBindings, type WithContext } from '@molecule/http';
import type { Context, Hono } from 'hono';
import { z } from 'zod';
import { canonical } from '../call/caller.ts';
import { orFail, pageLimit } from '../http.ts';
import type { Parts } from '../parts.ts';
import { knownWorkspace } from '../workspace.ts';
import { alreadyEnded, beingDispatched, type Drops } from './drops.ts';
import type { Followers } from './follow.ts';
import { hasEnded, type Item, itemOf, type KeptReply, type Listed, listItems, openMailboxes, ownerOfItem } from './items.ts';
import { maySee, readerOf } from './reader.ts';

const LIMIT = { usual: 100, most: 500 };
const MAX_WAIT_SECONDS = 60;
const DEFAULT_STALE_MINUTES = 60;

const QueueItem = z
  .object({
    queue_id: z.string(),
    workspace_id: z.string(),
    caller_id: z.string().nullable(),
    source: MessageSource,
    state: z.enum(['queued', 'dispatched', 'completed', 'failed', 'dropped']),
    position: z.int().nullable(),
    priority: z.int(),
    method: z.string(),
    attempts: z.int(),
    enqueued_at: z.iso.datetime(),
    dispatched_at: z.iso.datetime().nullable(),
    completed_at: z.iso.datetime().nullable(),
    expires_at: z.iso.datetime().nullable(),
    last_error: z.string().nullable(),
  })
  .meta({ id: 'QueueItem' });

const FollowedItem = QueueItem.extend({
  result: Json.describe('What the agent answered: its JSON, or its text where it is none. `null` before, and beyond 1 MiB.'),
  result_bytes: z.int().nullable().describe('How many bytes it had.'),
}).meta({ id: 'FollowedItem' });

const NOT_FOUND = 'queued request not found';
const NO_WAIT = 'wait must be a number of seconds';
const NO_STATE = "state must be 'queued', 'dispatched', 'completed', 'failed' or 'dropped'";
const NO_AGE = 'max_age_minutes must be a positive integer';
const NOT_DROPPED = 'failed to drop stale items';

const itemDoc = doc({
  summary: 'Follow a queued request',
  description:
    'For the workspace it was sent to, and for the one that sent it; to anybody else it is not there. It is told of for as long as activity is kept.',
  source: 'addition',
  query: z.object({
    wait: z
      .number()
      .optional()
      .describe(`Answer when it has ended, after so many seconds at the latest; ${MAX_WAIT_SECONDS} at most.`),
  }),
  headers: {
    'X-Workspace-ID': 'Who asks: the workspace that sent it, with its own token.',
    Prefer: '`wait=<seconds>`: as in the query.',
  },
  answers: { 200: { description: 'Where it is, and the agent’s answer once there is one.', body: FollowedItem } },
  refusals: [
    ['not-found', NOT_FOUND],
    ['invalid', NO_WAIT],
  ],
});

const cancelDoc = doc({
  summary: 'Cancel a request that is still queued',
  description: 'For the same as may follow it. What is cancelled already stays so, with the same answer.',
  source: 'addition',
  headers: { 'X-Workspace-ID': 'Who asks: the workspace that sent it, with its own token.' },
  answers: {
    200: {
      description: 'It will not be dispatched.',
      body: z.strictObject({ status: z.literal('cancelled'), queue_id: z.string() }),
    },
  },
  refusals: [
    ['not-found', NOT_FOUND],
    ['conflict', beingDispatched().message, beingDispatched().body],
    ['conflict', alreadyEnded().message, alreadyEnded().body],
  ],
});

const listDoc = doc({
  summary: 'List the queued requests of a workspace',
  description: 'Without a state: those that have not ended, first what is being dispatched, then what is next.',
  source: 'addition',
  query: z.object({
    state: z
      .enum(['queued', 'dispatched', 'completed', 'failed', 'dropped'])
      .optional()
      .describe('Only requests in this state; of those that have ended, the last first.'),
    limit: z.int().default(LIMIT.usual).describe(`At most ${LIMIT.most}.`),
  }),
  answers: { 200: { description: 'In order.', body: z.array(QueueItem) } },
  refusals: [
    ['invalid', NO_STATE],
    ['not-found', 'workspace not found'],
  ],
});

const mailboxesDoc = doc({
  summary: 'List the mailboxes that hold something',
  source: 'addition',
  query: z.object({ limit: z.int().default(LIMIT.usual).describe(`At most ${LIMIT.most}.`) }),
  answers: {
    200: {
      description: 'The fullest first.',
      body: z.array(
        z.object({
          workspace_id: z.string(),
          name: z.string().nullable().describe('`null` for a workspace that is not known any longer.'),
          queued: z.int(),
          dispatched: z.int(),
          oldest_enqueued_at: z.iso.datetime(),
        }),
      ),
    },
  },
});

const adminCancelDoc = doc({
  summary: 'Cancel a request that is still queued, whosever it is',
  source: 'addition',
  answers: {
    200: {
      description: 'It will not be dispatched.',
      body: z.strictObject({ status: z.literal('cancelled'), queue_id: z.string(), workspace_id: z.string() }),
    },
  },
  refusals: [
    ['not-found', NOT_FOUND],
    ['conflict', beingDispatched().message, beingDispatched().body],
    ['conflict', alreadyEnded().message, alreadyEnded().body],
  ],
});

const staleDoc = doc({
  summary: 'Drop requests that have waited for too long',
  source: 'spec 2 §2.5',
  query: z.object({
    max_age_minutes: z.int().default(DEFAULT_STALE_MINUTES),
    workspace_id: z.string().optional().describe('Only those of this workspace.'),
  }),
  answers: { 200: { description: 'How many were dropped.', body: z.strictObject({ dropped: z.int() }) } },
  refusals: [
    ['invalid', NO_AGE],
    ['failed', NOT_DROPPED],
  ],
});

export interface QueueRouteParts extends Pick<Parts, 'ledger' | 'mode' | 'directory'> {
  readonly drops: Drops;
  readonly followers: Followers;
  readonly liveTokens: (workspaceId: string) => number;
}

export function queueRoutes(
  app: Hono<WithContext>,
  { ledger, mode, directory, drops, followers, liveTokens }: QueueRouteParts,
): void {
  const readerIn = (c: Context<WithContext>) =>
    readerOf({
      header: canonical(c.req.header('x-workspace-id') ?? ''),
      target: canonical(c.req.param('id') ?? ''),
      principal: c.get('context').principal,
      mode,
      liveTokens,
    });
  const queueAuth = defineAuth('queue', (_context, c) => {
    const reader = readerIn(c);
    return reader instanceof Refusal ? reader : null;
  });

  /** A removed workspace has no token that it could be asked for: nobody speaks in its name. */
  const isThere = async (id: string): Promise<boolean> => {
    const status = (await knownWorkspace(directory, id))?.status;
    return status !== undefined && status !== 'removed';
  };

  /** @throws Refusal: what may not be read is not there */
  async function visible(c: Context<WithContext>) {
    const reader = readerIn(c);
    const [workspaceId, queueId] = [canonical(c.req.param('id') ?? ''), canonical(c.req.param('queue_id') ?? '')];
    if (reader instanceof Refusal) throw reader;
    const item = isWorkspaceId(workspaceId) && isWorkspaceId(queueId) && (await itemOf(ledger.db, workspaceId, queueId));
    if (!item || !maySee(reader, item.callerId)) throw new Refusal('not-found', NOT_FOUND);
    if (reader.sees === 'own' && !(await isThere(reader.callerId))) throw new Refusal('not-found', NOT_FOUND);
    return item;
  }

  app.get('/workspaces/:id/a2a/queue/:queue_id', itemDoc, queueAuth, async (c) => {
    const waitMs = waitOf(c.req.query('wait'), c.req.header('prefer'));
    const following = waitMs > 0 ? followers.follow(canonical(c.req.param('queue_id'))) : undefined; // F1
    try {
      let item = await visible(c);
      if (following && !hasEnded(item)) {
        await following.ended(waitMs, hungUp(c));
        item = await visible(c);
      }
      return c.body(followedItem(item), 200, { 'content-type': JSON_TYPE });
    } finally {
      following?.stop();
    }
  });

  app.delete('/workspaces/:id/a2a/queue/:queue_id', cancelDoc, queueAuth, async (c) => {
    const item = await visible(c);
    await drops.cancel(item);
    return json(c, { status: 'cancelled', queue_id: item.messageId });
  });

  app.get('/workspaces/:id/a2a/queue', listDoc, auth.workspace, async (c) => {
    const state = stateOf(c.req.query('state') ?? '');
    if (state === undefined) throw new Refusal('invalid', NO_STATE);
    const workspaceId = canonical(c.req.param('id'));
    if (!isWorkspaceId(workspaceId)) throw new Refusal('not-found', 'workspace not found');
    const items = await listItems(ledger.db, workspaceId, { state, limit: pageLimit(c.req.query('limit'), LIMIT) });
    return json(c, items.map(wireItem));
  });

  app.get('/admin/a2a-queue', mailboxesDoc, auth.admin, async (c) => {
    const mailboxes = await openMailboxes(ledger.db, pageLimit(c.req.query('limit'), LIMIT));
    const told = mailboxes.map(({ workspaceId, queued, dispatched, oldest }) => {
      const name = directory.get(workspaceId)?.name ?? null;
      return { workspace_id: workspaceId, name, queued, dispatched, oldest_enqueued_at: oldest };
    });
    return json(c, told);
  });

  app.delete('/admin/a2a-queue/:queue_id', adminCancelDoc, auth.admin, async (c) => {
    const queueId = canonical(c.req.param('queue_id'));
    const workspaceId = isWorkspaceId(queueId) ? await ownerOfItem(ledger.db, queueId) : undefined;
    if (workspaceId === undefined) throw new Refusal('not-found', NOT_FOUND);
    await drops.cancel({ messageId: queueId as MessageId, workspaceId: workspaceId as WorkspaceId });
    return json(c, { status: 'cancelled', queue_id: queueId, workspace_id: workspaceId });
  });

  app.post('/admin/a2a-queue/drop-stale', staleDoc, auth.admin, async (c) => {
    const minutes = minutesOf(c.req.query('max_age_minutes') ?? '');
    if (minutes === undefined) throw new Refusal('invalid', NO_AGE);
    const workspaceId = c.req.query('workspace_id') || null;
    if (workspaceId !== null && !isWorkspaceId(workspaceId)) throw new Refusal('failed', NOT_DROPPED);
    return json(c, { dropped: await orFail(c, NOT_DROPPED, () => drops.stale(minutes, workspaceId)) });
  });
}

const wireItem = (item: Item) => ({
  queue_id: item.messageId,
  workspace_id: item.workspaceId,
  caller_id: item.callerId,
  source: item.source,
  state: item.state,
  position: item.position,
  priority: item.priority,
  method: item.method,
  attempts: item.attempts,
  enqueued_at: item.enqueuedAt,
  dispatched_at: item.dispatchedAt,
  completed_at: item.completedAt,
  expires_at: item.expiresAt,
  last_error: item.lastError,
});

/** The agent's JSON stands in it byte for byte. */
function followedItem(item: Item & { readonly reply: KeptReply }): string {
  const { text, isJson, bytes } = item.reply;
  const result = text === null ? 'null' : isJson ? text : JSON.stringify(text);
  return `${JSON.stringify(wireItem(item)).slice(0, -1)},"result":${result},"result_bytes":${bytes}}`;
}

/** Milliseconds; 0: at once. The query wins. @throws Refusal */
function waitOf(query: string | undefined, prefer: string | undefined): number {
  const preferred = /(?:^|[,;\s])wait\s*=\s*"?(\d+)"?\s*(?:$|[,;])/i.exec(prefer ?? '')?.[1];
  if (query && !/^\d+(\.\d+)?$/.test(query)) throw new Refusal('invalid', NO_WAIT);
  return Math.min(Number(query || preferred || 0), MAX_WAIT_SECONDS) * 1_000;
}

/** Says when the client has gone. */
function hungUp(c: Context<WithContext>): AbortSignal {
  const gone = new AbortController();
  const outgoing = (c.env as NodeBindings | undefined)?.outgoing;
  if (outgoing?.destroyed) gone.abort();
  else outgoing?.once('close', () => gone.abort());
  return gone.signal;
}

const STATES: ReadonlySet<string> = new Set(QueueItem.shape.state.options);

/** `undefined`: no state that there is. */
const stateOf = (text: string): Listed | undefined => (text === '' ? 'open' : STATES.has(text) ? (text as Listed) : undefined);

/** `undefined`: no whole number of 1 or more. */
function minutesOf(text: string): number | undefined {
  if (text === '') return DEFAULT_STALE_MINUTES;
  const value = /^\+?\d+$/.test(text) ? Number(text) : 0;
  return value >= 1 ? value : undefined;
}
