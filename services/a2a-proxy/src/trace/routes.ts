/** `GET /admin/trace/:id`: our addition; what `molecule trace` shows. */
import { MessageSource, platformUnavailable, Refusal } from '@molecule/contracts';
import { isUnavailable } from '@molecule/event-store';
import { auth, doc, json, type WithContext } from '@molecule/http';
import type { Hono } from 'hono';
import { z } from 'zod';
import type { Parts } from '../parts.ts';
import { traceOf } from './queries.ts';
import type { MessageWay } from './way.ts';

const Steps = z.array(z.object({ at: z.iso.datetime(), what: z.string(), text: z.string() }));
const Party = z.object({ id: z.string(), name: z.string() });

const Traced = z.object({
  asked: z.array(z.string()),
  messages: z.array(
    z.object({
      id: z.string(),
      root_id: z.string(),
      parent_id: z.string().nullable(),
      depth: z.int(),
      source: MessageSource,
      from: Party.nullable(),
      to: Party,
      method: z.string(),
      state: z.enum(['open', 'waiting', 'dispatched', 'answered', 'unreached', 'completed', 'failed', 'dropped']),
      started_at: z.iso.datetime(),
      ended_at: z.iso.datetime().nullable(),
      dispatches: z.int(),
      waited_ms: z.number(),
      steps: Steps,
    }),
  ),
  delegations: z.array(
    z.object({
      delegation_id: z.string(),
      from: Party,
      to: Party,
      state: z.enum(['sent', 'dispatched', 'queued', 'completed', 'failed']),
      message_ids: z.array(z.string()),
      steps: Steps,
    }),
  ),
  truncated: z.boolean(),
});

const NOTHING = 'nothing is known of this id';

const traceDoc = doc({
  summary: 'Tell the whole way of a message: hops, waits, attempts, decisions',
  description:
    'The id of a message (a `queue_id`, or the id of its row of activity), of a delegation, or the `messageId` that a sender gave to what was queued. With it comes what led to it and what it led to, from the root. Bodies are not told.',
  source: 'addition',
  answers: { 200: { description: 'Messages stand before what they led to.', body: Traced } },
  refusals: [['not-found', NOTHING]],
});

/** No id is longer. */
const MAX_ID = 4_096;

export function traceRoutes(app: Hono<WithContext>, { ledger, directory }: Pick<Parts, 'ledger' | 'directory'>): void {
  const party = (id: string) => ({ id, name: directory.get(id)?.name ?? '' });
  const told = ({ rootId, parentId, callerId, workspaceId, startedAt, endedAt, waitedMs, ...way }: MessageWay) => ({
    ...way,
    root_id: rootId,
    parent_id: parentId,
    from: callerId === null ? null : party(callerId),
    to: party(workspaceId),
    started_at: startedAt,
    ended_at: endedAt,
    waited_ms: waitedMs,
  });

  app.get('/admin/trace/:id', traceDoc, auth.admin, async (c) => {
    const id = c.req.param('id');
    const sought = id.length <= MAX_ID && !id.includes('\0') && id.isWellFormed();
    const trace = sought
      ? await traceOf(ledger.db, id).catch((error: unknown) => {
          throw isUnavailable(error) ? platformUnavailable(error) : error;
        })
      : null;
    if (trace === null) throw new Refusal('not-found', NOTHING);
    return json(c, {
      asked: trace.asked,
      messages: trace.messages.map(told),
      delegations: trace.delegations.map(({ delegationId, workspaceId, targetId, state, messageIds, steps }) => ({
        delegation_id: delegationId,
        from: party(workspaceId),
        to: party(targetId),
        state,
        message_ids: messageIds,
        steps,
      })),
      truncated: trace.truncated,
    });
  });
}
