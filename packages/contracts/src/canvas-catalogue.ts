/** Every event of the wire (spec 1 §6.4), as canvases and agents hear it: when it is said, and what it carries. */
import { z } from 'zod';
import { Json } from './facts/workspace.ts';

export interface CanvasEventContract {
  /** `log`: a fact shows as it, so it is in the structure-event log and can be heard again. `live`: said once, stored nowhere. */
  readonly kind: 'log' | 'live';
  readonly when: string;
  /** Several where one name tells of several things. */
  readonly payload: z.ZodType;
}

const log = (when: string, payload: z.ZodType): CanvasEventContract => ({ kind: 'log', when, payload });
const live = (when: string, payload: z.ZodType): CanvasEventContract => ({ kind: 'live', when, payload });

const nothing = z.strictObject({});
const Named = z.strictObject({ name: z.string(), tier: z.int() });
const AgentModel = z.strictObject({ agent_id: z.string(), model: z.string() });
const Cron = z.strictObject({ schedule_id: z.string(), schedule_name: z.string() });

export const CANVAS_EVENTS = {
  WORKSPACE_PROVISIONING: log(
    'A workspace was created, expanded from its parent, or is started again.',
    z.union([Named.extend({ runtime: z.string() }), Named.extend({ parent_id: z.string().nullable() })]),
  ),
  WORKSPACE_ONLINE: log(
    'An agent registered, recovered by a beat, or an external one was connected.',
    z.union([
      z.strictObject({ url: z.string(), agent_card: Json }),
      z.strictObject({ recovered_from: z.literal('provisioning') }),
      z.strictObject({ name: z.string(), external: z.literal(true) }),
      nothing,
    ]),
  ),
  WORKSPACE_AWAITING_AGENT: log(
    'An external workspace waits for its agent.',
    z.strictObject({ name: z.string(), external: z.literal(true) }),
  ),
  WORKSPACE_OFFLINE: log('Nothing is heard of the agent any more, or its container is gone.', nothing),
  WORKSPACE_DEGRADED: log(
    'A beat told of too many errors, or of a wedged runtime.',
    z.union([
      z.strictObject({ error_rate: z.number(), sample_error: z.string() }),
      z.strictObject({ runtime_state: z.literal('wedged'), sample_error: z.string() }),
    ]),
  ),
  WORKSPACE_PROVISION_FAILED: log(
    'A start failed, or took too long.',
    z.union([
      z.strictObject({ error: z.string(), missing: z.array(z.string()).optional() }),
      z.strictObject({ error: z.string(), log_tail: z.string(), source: z.literal('bootstrap_watcher') }),
      z.strictObject({
        error: z.string(),
        timeout_secs: z.int(),
        runtime: z.string(),
        source: z.literal('provision_timeout_sweep'),
      }),
    ]),
  ),
  WORKSPACE_PAUSED: log('The workspace, or one above it, was paused.', z.strictObject({ name: z.string() })),
  WORKSPACE_HIBERNATED: log('The workspace sleeps.', Named),
  WORKSPACE_REMOVED: log(
    'The workspace was deleted; with the number of descendants where it was the root.',
    z.strictObject({ cascade_deleted: z.int().optional() }),
  ),
  WORKSPACE_EXPANDED: log(
    'Children were made of the template.',
    z.strictObject({ children: z.array(z.strictObject({ id: z.string(), name: z.string(), role: z.string() })) }),
  ),
  WORKSPACE_COLLAPSED: log('The children were removed.', z.strictObject({ removed_children: z.array(z.string()) })),
  AGENT_CARD_UPDATED: log('The agent changed its card.', z.strictObject({ agent_card: Json })),
  AGENT_ASSIGNED: log('The workspace got an agent record.', AgentModel),
  AGENT_REPLACED: log('The agent record was replaced.', AgentModel.extend({ old_model: z.string() })),
  AGENT_REMOVED: log('The agent record was removed.', AgentModel),
  AGENT_MOVED: log(
    'The agent record moved: told on both workspaces.',
    z.union([AgentModel.extend({ target_workspace_id: z.string() }), AgentModel.extend({ source_workspace_id: z.string() })]),
  ),
  CRON_EXECUTED: log('A schedule fired.', Cron.extend({ status: z.string() })),
  CRON_SKIPPED: log('A schedule was due while its workspace was busy.', Cron.extend({ reason: z.string() })),
  DELEGATION_SENT: log(
    'A workspace gave another a task.',
    z.strictObject({ delegation_id: z.string(), target_id: z.string(), task_preview: z.string() }),
  ),
  DELEGATION_STATUS: log(
    'The task was sent to the target, or waits in its mailbox.',
    z.strictObject({ delegation_id: z.string(), target_id: z.string(), status: z.enum(['dispatched', 'queued']) }),
  ),
  DELEGATION_COMPLETE: log(
    'The task was answered; without a target where the delegating agent told of it itself.',
    z.strictObject({
      delegation_id: z.string(),
      target_id: z.string().optional(),
      response_preview: z.string(),
      via: z.literal('queue_drain').optional(),
    }),
  ),
  DELEGATION_FAILED: log(
    'The task failed; without a target where the delegating agent told of it itself.',
    z.strictObject({ delegation_id: z.string(), target_id: z.string().optional(), error: z.string() }),
  ),
  TASK_UPDATED: live(
    'A beat changed what the agent is doing.',
    z.strictObject({ current_task: z.string(), active_tasks: z.int() }),
  ),
  WORKSPACE_HEARTBEAT: live('A beat was accepted.', z.strictObject({ active_tasks: z.int(), uptime_seconds: z.number() })),
  ACTIVITY_LOGGED: live(
    'An activity row was written.',
    z.looseObject({
      activity_type: z.string(),
      method: z.string().nullable(),
      summary: z.string().nullable(),
      status: z.string().nullable(),
      source_id: z.string().nullable(),
      target_id: z.string().nullable(),
      duration_ms: z.number().nullable(),
    }),
  ),
  AGENT_MESSAGE: live(
    'An agent said something to the canvas.',
    z.looseObject({ message: z.string(), workspace_id: z.string(), name: z.string() }),
  ),
  A2A_RESPONSE: live(
    'A call of the canvas was answered.',
    z.strictObject({ response_body: Json, method: z.string(), duration_ms: z.number() }),
  ),
} as const satisfies Readonly<Record<string, CanvasEventContract>>;
export type CanvasEventName = keyof typeof CANVAS_EVENTS;
