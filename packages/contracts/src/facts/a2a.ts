/**
 * What becomes of an accepted A2A message. Stream `message.<messageId>`, one per message.
 *
 * A direct call ends in `a2a.answered` or `a2a.unreached`, or turns into `a2a.queued`; a queued one ends in `a2a.completed`,
 * `a2a.failed` or `a2a.dropped`. Exactly one of these five ends a message (I1).
 */
import { z } from 'zod';
import { defineFacts, type FactOf, type RecordedFactOf } from '../define.ts';
import { MessageId, Timestamp, WorkspaceId } from '../ids.ts';

/** Who sent it: the canvas, another workspace, the workspace itself, a schedule, or a `system:`-like sender of ours. */
export const MessageSource = z.enum(['canvas', 'workspace', 'self', 'schedule', 'system']);
export type MessageSource = z.infer<typeof MessageSource>;

/** Which call led to this one, by the proxy's own records: nothing an agent says goes in here. */
export const Lineage = z.object({
  /** The message that everything began with, and the one whose call was open at the caller; `null`: this one began it. */
  rootId: MessageId,
  parentId: MessageId.nullable(),
  /** How many calls of agents to agents led here, this one included. */
  depth: z.number().int(),
  /** The workspaces on the way from the root, the caller last. */
  ancestors: z.array(WorkspaceId),
});
export type Lineage = z.infer<typeof Lineage>;

const Message = z.object({
  messageId: MessageId,
  workspaceId: WorkspaceId,
  callerId: WorkspaceId.nullable(),
  source: MessageSource,
  /** The JSON-RPC method; `''` if none. */
  method: z.string(),
  /** Of calls of agents to agents; absent where the sender is a person or the platform. */
  lineage: Lineage.optional(),
});

export const a2aFacts = defineFacts({
  /** An attempt began. For a direct call only written when it outlives the recorder's window (ADR 0003). */
  'a2a.dispatched': {
    schema: Message.extend({ attempt: z.number().int(), via: z.enum(['direct', 'drain']), worker: z.string() }),
    audience: 'owner',
  },
  'a2a.answered': {
    schema: Message.extend({ httpStatus: z.number().int(), durationMs: z.number().int() }),
    audience: 'owner',
  },
  'a2a.unreached': {
    schema: Message.extend({ httpStatus: z.number().int(), error: z.string() }),
    audience: 'owner',
  },
  'a2a.queued': {
    schema: Message.extend({
      priority: z.number().int(),
      idempotencyKey: z.string().nullable(),
      /** Sequence of arrival within the workspace's mailbox: order is (priority descending, this ascending). */
      enqueuedAt: z.string(),
      /** Not dispatched after this; absent: it waits for ever. */
      expiresAt: Timestamp.optional(),
    }),
    audience: 'all',
  },
  /** Back in the mailbox: the agent was busy again (no attempt counted), the attempt failed, or its worker died. */
  'a2a.requeued': {
    schema: z.object({
      messageId: MessageId,
      workspaceId: WorkspaceId,
      reason: z.enum(['busy', 'error', 'worker-lost']),
      error: z.string().nullable(),
    }),
    audience: 'all',
  },
  'a2a.completed': {
    schema: z.object({
      messageId: MessageId,
      workspaceId: WorkspaceId,
      httpStatus: z.number().int(),
      attempts: z.number().int(),
    }),
    audience: 'all',
  },
  'a2a.failed': {
    schema: z.object({ messageId: MessageId, workspaceId: WorkspaceId, error: z.string(), attempts: z.number().int() }),
    audience: 'all',
  },
  'a2a.dropped': {
    schema: z.object({
      messageId: MessageId,
      workspaceId: WorkspaceId,
      reason: z.enum(['stale', 'expired', 'workspace-removed', 'cancelled']),
    }),
    audience: 'all',
  },
});
export type A2aFact = FactOf<typeof a2aFacts>;
export type RecordedA2aFact = RecordedFactOf<typeof a2aFacts>;

/** Evidence for the registry: a dispatch failed and the backend says that the container is gone (spec 2 §1.9). Stream `agent.<workspaceId>`. */
export const agentFacts = defineFacts({
  'agent.unreachable': { schema: z.object({ workspaceId: WorkspaceId, error: z.string() }), audience: 'all' },
});
export type AgentFact = FactOf<typeof agentFacts>;
