/** The shapes of what `wire.ts` and the routes answer, for the reference documents. They describe; nothing is checked against them here. */
import { Json, WorkspaceAccess, WorkspaceStatus } from '@molecule/contracts';
import { z } from 'zod';

const id = z.uuid();
const timestamp = z.iso.datetime();
const cents = z.number().int();

/** `GET /workspaces/:id` (§1.3). */
export const SingleWorkspace = z.object({
  id,
  name: z.string(),
  role: z.string().nullable(),
  tier: z.number().int(),
  status: WorkspaceStatus,
  url: z.string(),
  parent_id: id.nullable(),
  agent_card: Json.nullable(),
  active_tasks: z.number().int(),
  max_concurrent_tasks: z.number().int(),
  last_error_rate: z.number(),
  uptime_seconds: z.number().int(),
  runtime: z.string(),
  x: z.number(),
  y: z.number(),
  collapsed: z.boolean(),
  /** Only where the runtime's template declares one (§1.12). */
  provision_timeout_ms: z.number().int().optional(),
  last_outbound_at: timestamp.nullable(),
});

/** An element of `GET /workspaces` (§1.1). */
export const ListedWorkspace = SingleWorkspace.omit({ last_outbound_at: true }).extend({
  last_sample_error: z.string(),
  current_task: z.string(),
  workspace_dir: z.string().nullable(),
  budget_limit: cents.nullable(),
  monthly_spend: cents,
});

/** An element of `GET /registry/:id/peers` (§3.7). */
export const Peer = SingleWorkspace.pick({
  id: true,
  name: true,
  role: true,
  tier: true,
  status: true,
  agent_card: true,
  url: true,
  parent_id: true,
  active_tasks: true,
});

const Connection = z.object({
  workspace_id: id,
  platform_url: z.string(),
  auth_token: z.string(),
  registry_endpoint: z.string(),
  heartbeat_endpoint: z.string(),
  curl_register_template: z.string(),
  python_snippet: z.string(),
});

/** `POST /workspaces` (§1.4): by a runtime of the platform, by an external one that says where it is, or by one that is waited for. */
export const CreatedWorkspace = z.union([
  z.object({
    id,
    status: z.literal('provisioning'),
    awareness_namespace: z.string(),
    workspace_access: WorkspaceAccess,
  }),
  z.object({ id, external: z.literal(true), status: z.literal('online') }),
  z.object({ id, external: z.literal(true), status: z.literal('awaiting_agent'), connection: Connection }),
]);

/** What `PATCH /workspaces/:id` looks at (§1.5); each key is applied by itself, and everything else is ignored. */
export const WorkspacePatch = z.object({
  name: z.string().optional(),
  role: z.string().nullable().optional(),
  tier: z.number().int().optional(),
  parent_id: id.nullable().optional(),
  runtime: z.string().optional(),
  collapsed: z.boolean().optional(),
  workspace_dir: z.string().nullable().optional(),
  x: z.number().optional(),
  y: z.number().optional(),
  hibernation_idle_minutes: z.number().int().nullable().optional(),
});
export const Updated = z.object({ status: z.literal('updated') });
export const Patched = Updated.extend({ needs_restart: z.literal(true).optional() });

export const Deleted = z.object({ status: z.enum(['removed', 'purged']), cascade_deleted: z.number().int() });
export const ConfirmationRequired = z.object({
  status: z.literal('confirmation_required'),
  message: z.string(),
  children: z.array(z.object({ id, name: z.string() })),
  children_count: z.number().int(),
});

/** `GET /workspaces/:id/state` (§1.6). */
export const State = z.object({ workspace_id: id, status: WorkspaceStatus, paused: z.boolean(), deleted: z.literal(false) });
export const GoneState = z.object({
  workspace_id: z.string(),
  status: z.literal('removed').optional(),
  deleted: z.literal(true),
});

export const AssignedAgent = z.object({ agent_id: id, model: z.string() });
export const ReplacedAgent = AssignedAgent.extend({ old_model: z.string() });
export const RemovedAgent = z.object({ status: z.literal('removed'), agent_id: id });
export const MovedAgent = AssignedAgent.extend({ from_workspace: id, to_workspace: id });

export const ConfigAnswer = z.object({ data: z.record(z.string(), Json) });
export const Budget = z.object({
  budget_limit: cents.nullable(),
  monthly_spend: cents,
  budget_remaining: cents.nullable(),
  /** The same as `monthly_spend`; canvases read it. */
  budget_used: cents,
});
export const SavedViewport = z.object({ x: z.number(), y: z.number(), zoom: z.number() });
export const BootstrapNoted = z.object({ ok: z.literal(true), no_change: z.literal(true).optional() });

export const Registered = z.object({ status: z.literal('registered'), auth_token: z.string().optional() });
export const Access = z.object({ allowed: z.boolean() });
export const Discovered = z.object({ id, url: z.string(), name: z.string() });
export const StructureEvents = z.array(
  z.object({ id, event_type: z.string(), workspace_id: id.nullable(), payload: Json, created_at: timestamp }),
);
