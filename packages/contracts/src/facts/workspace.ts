/** What the registry says of workspaces and their tokens. Stream `workspace.<id>`; every other service follows these. */
import { z } from 'zod';
import { defineFacts, type FactOf, type RecordedFactOf } from '../define.ts';
import { Timestamp, TokenId, WorkspaceId } from '../ids.ts';
import { StatusReason, WorkspaceStatus } from '../status.ts';

/** Any JSON value; what a key holds is kept, not understood. */
export const Json = z.json();
export type Json = z.infer<typeof Json>;

export const WorkspaceAccess = z.enum(['none', 'read_only', 'read_write']);
export type WorkspaceAccess = z.infer<typeof WorkspaceAccess>;

/** `all`: the gateway's tokens, the proxy's routes, the scheduler's and the sweeper's view all follow these facts. */
const heard = <Schema extends z.ZodType>(schema: Schema) => ({ schema, audience: 'all' }) as const;

/** What a start does beside starting. */
export const StartOptions = z.object({
  /** A template directory that overwrites the config volume, relative to the templates' root; `null` leaves the volume as it is. */
  template: z.string().nullable(),
  /** Whether the agent's session is thrown away. */
  resetSession: z.boolean(),
});
export type StartOptions = z.infer<typeof StartOptions>;

const AgentId = z.uuid();

export const workspaceFacts = defineFacts({
  'workspace.created': heard(
    z.object({
      name: z.string(),
      role: z.string().nullable(),
      tier: z.number().int(),
      runtime: z.string(),
      external: z.boolean(),
      parentId: WorkspaceId.nullable(),
      /** `''` where none is known yet. */
      url: z.string(),
      status: WorkspaceStatus,
      /** `register` for rows that appear with an agent's first register (spec 1 §2.2). */
      by: z.enum(['create', 'register', 'expand']),
      template: z.string(),
      model: z.string(),
      workspaceDir: z.string().nullable(),
      workspaceAccess: WorkspaceAccess,
      awarenessNamespace: z.string(),
      maxConcurrentTasks: z.number().int(),
      /** US cents. */
      budgetLimit: z.number().int().nullable(),
      canvas: z.object({ x: z.number(), y: z.number() }),
    }),
  ),
  'workspace.changed': heard(
    z.object({
      name: z.string().optional(),
      role: z.string().nullable().optional(),
      tier: z.number().int().optional(),
      runtime: z.string().optional(),
      workspaceDir: z.string().nullable().optional(),
      collapsed: z.boolean().optional(),
      canvas: z.object({ x: z.number(), y: z.number() }).optional(),
    }),
  ),
  'workspace.moved': heard(z.object({ parentId: WorkspaceId.nullable() })),
  /** An agent registered: online from here, whatever it was before (but removed). */
  'workspace.registered': heard(
    z.object({
      from: WorkspaceStatus,
      /** What the platform dials; a provisioner-set `http://127.0.0.1…` wins over the reported one. */
      url: z.string(),
      /** What the agent reported; peers dial it. */
      internalUrl: z.string(),
      agentCard: Json,
    }),
  ),
  'workspace.card': heard(z.object({ agentCard: Json })),
  /** The provisioner says where the runtime listens. The status stays. */
  'workspace.located': heard(z.object({ url: z.string() })),
  'workspace.status': heard(
    z.object({
      from: WorkspaceStatus,
      to: WorkspaceStatus,
      reason: StatusReason,
      /** A lifecycle change forgets where the agent was (spec 1 §3.9). */
      clearsUrl: z.boolean(),
      /** Replaces `last_sample_error` when present. */
      sampleError: z.string().optional(),
      /** The event on the wire that tells of it (spec 1 §6.4), or none. */
      event: z.object({ type: z.string(), payload: z.record(z.string(), Json) }).nullable(),
      /** How the start that follows differs from an ordinary one (spec 1 §1.8). */
      start: StartOptions.optional(),
    }),
  ),
  'workspace.removed': heard(
    z.object({
      from: WorkspaceStatus,
      /** The number of descendants removed with it; absent on the descendants themselves. */
      cascadeDeleted: z.number().int().optional(),
    }),
  ),
  /** Its rows are to go, whoever has any; the log keeps what it said (spec 1 §1.7 step 7). Comes only after `workspace.removed`. */
  'workspace.purged': heard(z.object({})),
  /** The operator's ceiling for what the workspace may spend; `null`: none (spec 1 §1.10). */
  'workspace.budgeted': heard(z.object({ /** US cents. */ budgetLimit: z.number().int().nullable() })),
  /** After how many idle minutes it is put to sleep; `null`: never (README choice 8). */
  'workspace.idle-limited': heard(z.object({ minutes: z.number().int().nullable() })),
  /** Children were made of the template's `sub_workspaces` (spec 1 §1.9). */
  'workspace.expanded': heard(z.object({ children: z.array(z.object({ id: WorkspaceId, name: z.string(), role: z.string() })) })),
  'workspace.collapsed': heard(z.object({ removedChildren: z.array(z.string()) })),
  /** The agent record (spec 1 §1.9): at most one active per workspace. */
  'workspace.agent-assigned': heard(z.object({ agentId: AgentId, model: z.string() })),
  'workspace.agent-replaced': heard(z.object({ agentId: AgentId, model: z.string(), oldAgentId: AgentId, oldModel: z.string() })),
  'workspace.agent-removed': heard(z.object({ agentId: AgentId, model: z.string() })),
  'workspace.agent-moved-out': heard(z.object({ agentId: AgentId, model: z.string(), targetWorkspaceId: WorkspaceId })),
  'workspace.agent-moved-in': heard(z.object({ agentId: AgentId, model: z.string(), sourceWorkspaceId: WorkspaceId })),
  'token.issued': heard(
    z.object({
      tokenId: TokenId,
      /** SHA-256 of the plaintext, hex. The plaintext is nowhere. */
      hash: z.string().length(64),
      prefix: z.string().length(8),
      by: z.enum(['register', 'provisioner', 'create', 'api', 'test']),
      issuedAt: Timestamp,
    }),
  ),
  'token.revoked': heard(z.object({ tokenId: TokenId, by: z.enum(['provisioner', 'removed', 'api']) })),
});
export type WorkspaceFact = FactOf<typeof workspaceFacts>;
export type RecordedWorkspaceFact = RecordedFactOf<typeof workspaceFacts>;
