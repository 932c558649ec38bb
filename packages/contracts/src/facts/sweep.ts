/** What the sweeper found, with its evidence. Streams `liveness.<workspaceId>` and `orphan.<prefix>`. It decides no status (D5). */
import { z } from 'zod';
import { defineFacts, type FactOf, type RecordedFactOf } from '../define.ts';
import { Timestamp, WorkspaceId } from '../ids.ts';

const Orphan = z.object({
  /** The `id12` of a resource that carries our label. */
  prefix: z.string(),
  backend: z.enum(['docker', 'process']),
  cause: z.enum(['no-row', 'removed-row']),
  evidence: z.string(),
});

export const sweepFacts = defineFacts({
  /** Nothing was heard of a workspace for the whole lease. */
  'liveness.lost': {
    schema: z.object({ workspaceId: WorkspaceId, lastHeardAt: Timestamp, leaseSeconds: z.number() }),
    audience: 'all',
  },
  /** Nothing was heard of a remote agent for longer than it may be silent (spec 1 §2.5). */
  'liveness.remote-stale': {
    schema: z.object({ workspaceId: WorkspaceId, lastHeardAt: Timestamp, staleAfterSeconds: z.number() }),
    audience: 'all',
  },
  'provision.timed-out': {
    schema: z.object({ workspaceId: WorkspaceId, timeoutSeconds: z.number().int(), runtime: z.string(), since: Timestamp }),
    audience: 'all',
  },
  'orphan.found': { schema: Orphan, audience: 'all' },
  'orphan.reaped': { schema: Orphan.extend({ volumeRemoved: z.boolean() }), audience: 'all' },
});
export type SweepFact = FactOf<typeof sweepFacts>;
export type RecordedSweepFact = RecordedFactOf<typeof sweepFacts>;
