/** What is told to canvases and to idle timers, and stored nowhere (spec 1 §6.4, kind B). */
import { z } from 'zod';
import { Json } from './facts/workspace.ts';

export const LiveEvent = z.object({
  event: z.enum(['WORKSPACE_HEARTBEAT', 'TASK_UPDATED', 'ACTIVITY_LOGGED', 'AGENT_MESSAGE', 'A2A_RESPONSE']),
  workspaceId: z.string(),
  /** RFC 3339. */
  timestamp: z.string(),
  payload: z.record(z.string(), Json),
  /** The version of the workspace's stream that this was said after: it is not shown to a canvas before that fact. */
  after: z.number().int().optional(),
});
export type LiveEvent = z.infer<typeof LiveEvent>;

/** `live.<service>`: what one service had to say within a few milliseconds, in order. */
export const LiveBatch = z.array(LiveEvent);
export type LiveBatch = z.infer<typeof LiveBatch>;
