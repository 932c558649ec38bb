/**
 * What becomes of a task that one workspace gave another (spec 2 §3). Stream `delegation.<trackingId>`, one per delegation; all facts
 * concern the delegating workspace. Tasks and replies are payload and stay in the a2a-proxy's tables (D10).
 *
 * One that the platform carries out: sent → dispatched → (queued →) completed | failed. One that an agent carried out itself and told
 * of: sent → completed | failed.
 */
import { z } from 'zod';
import { defineFacts, type FactOf, type RecordedFactOf } from '../define.ts';
import { DelegationId, MessageId, WorkspaceId } from '../ids.ts';

const Delegation = z.object({
  /** Ours: unique, also where agents chose the same `delegationId` twice. */
  trackingId: DelegationId,
  /** As the wire shows it; any text where an agent chose it. */
  delegationId: z.string(),
  workspaceId: WorkspaceId,
  targetId: WorkspaceId,
});

export const delegationFacts = defineFacts({
  'delegation.sent': {
    schema: Delegation.extend({
      /** At most 100 bytes and `...` (spec 2 §3.1). */
      taskPreview: z.string(),
      by: z.enum(['platform', 'agent']),
    }),
    audience: 'all',
  },
  /** A call to the target begins, of attempt 1 or 2 (spec 2 §3.2 step 3). */
  'delegation.dispatched': {
    schema: Delegation.extend({ messageId: MessageId, attempt: z.number().int(), worker: z.string() }),
    audience: 'all',
  },
  /** It waits in the target's mailbox under `messageId`. */
  'delegation.queued': { schema: Delegation.extend({ messageId: MessageId }), audience: 'all' },
  'delegation.completed': {
    schema: Delegation.extend({
      /** At most 200 bytes and `...`. */
      responsePreview: z.string(),
      via: z.enum(['direct', 'queue_drain', 'agent']),
    }),
    audience: 'all',
  },
  'delegation.failed': {
    schema: Delegation.extend({ error: z.string(), via: z.enum(['direct', 'queue_drain', 'agent', 'recovery']) }),
    audience: 'all',
  },
});
export type DelegationFact = FactOf<typeof delegationFacts>;
export type RecordedDelegationFact = RecordedFactOf<typeof delegationFacts>;
