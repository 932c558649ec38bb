/** What one service may ask another over the bus, by owner. Small data only: bodies, files and secrets travel otherwise (D10, I10). */
import { z } from 'zod';
import { defineRpc } from './define.ts';
import { BackendName } from './facts/container.ts';
import { Json } from './facts/workspace.ts';
import { TokenId, WorkspaceId } from './ids.ts';
import { SERVICES, type ServiceName } from './services.ts';
import { WorkspaceStatus } from './status.ts';

/** A workspace as every other service needs to know it: where it is, whom it may talk to, what opens its doors. */
export const DirectoryEntry = z.object({
  workspaceId: WorkspaceId,
  /** Version of the workspace's stream that this shows; facts up to it change nothing. */
  version: z.number().int(),
  name: z.string(),
  parentId: WorkspaceId.nullable(),
  status: WorkspaceStatus,
  /** When the status last changed, RFC 3339. */
  statusSince: z.string(),
  /** It is removed, and its data is gone too: to clients there is no such workspace. Absent: no. */
  purged: z.boolean().optional(),
  url: z.string(),
  internalUrl: z.string(),
  runtime: z.string(),
  tier: z.number().int(),
  external: z.boolean(),
  /** `url` is where our own provisioner made the agent run, not what an agent said. Absent: the latter. */
  located: z.boolean().optional(),
  maxConcurrentTasks: z.number().int(),
  budgetLimit: z.number().int().nullable(),
  /** Live tokens: SHA-256, hex. */
  tokens: z.array(z.object({ tokenId: TokenId, hash: z.string() })),
  /** From beats, as far as the registry knew: US cents, tasks, ms since the epoch. */
  monthlySpend: z.number().int(),
  activeTasks: z.number().int(),
  lastBeatAt: z.number().nullable(),
});
export type DirectoryEntry = z.infer<typeof DirectoryEntry>;

/** An org token or a session that opens doors now: SHA-256 of it, and what it is. */
export const AccessEntry = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('org'), id: TokenId, hash: z.string(), prefix: z.string(), orgId: z.string() }),
  z.object({
    kind: z.literal('session'),
    id: TokenId,
    hash: z.string(),
    expiresAt: z.string(),
    /** The admin token it was opened with, by its `key`: it opens nothing under another. `null`: an org token, whose end is told. */
    adminKey: z.string().nullable(),
  }),
]);
export type AccessEntry = z.infer<typeof AccessEntry>;

export const ManagedResource = z.object({
  /** `id12` of the workspace it was made for. */
  prefix: z.string(),
  running: z.boolean(),
  /** Our installation's id, or `null` on resources that carry only the bare label (spec 3 §1.2). */
  installation: z.string().nullable(),
  createdAt: z.string().nullable(),
});
export type ManagedResource = z.infer<typeof ManagedResource>;

const StopResult = z.object({ outcome: z.enum(['stopped', 'not-found', 'failed', 'no-backend']), volumeRemoved: z.boolean() });

/** What each service tells of itself (`/admin/liveness`, `molecule status`). */
export const ServiceHealth = z.object({
  service: z.enum(SERVICES),
  instance: z.string(),
  ready: z.boolean(),
  /** What it depends on, and what is wrong with it, if anything. */
  checks: z.record(z.string(), z.object({ ok: z.boolean(), detail: z.string() })),
  /** `ticked: false`: it never did, and `lastTickAt` is when it began. */
  loops: z.record(z.string(), z.object({ lastTickAt: z.string(), intervalMs: z.number(), ticked: z.boolean().optional() })),
});
export type ServiceHealth = z.infer<typeof ServiceHealth>;

export const RebuildReport = z.object({
  service: z.string(),
  facts: z.number().int(),
  projections: z.array(
    z.object({
      projection: z.string(),
      table: z.string(),
      rows: z.number().int(),
      /** Rows of the rebuilt table that the live one lacks, and the other way round. Zero and zero: equal (I3). */
      missing: z.number().int(),
      unexpected: z.number().int(),
      /** A few of the differing rows, for a person to look at. */
      examples: z.array(z.string()),
    }),
  ),
});
export type RebuildReport = z.infer<typeof RebuildReport>;

const health = <Name extends ServiceName>(service: Name) =>
  defineRpc({ subject: `ask.${service}.health`, input: z.object({}), output: ServiceHealth });
const rebuild = <Name extends ServiceName>(service: Name) =>
  defineRpc({ subject: `ask.${service}.rebuild`, input: z.object({ check: z.boolean() }), output: RebuildReport });

export const ask = {
  health: {
    gateway: health('gateway'),
    registry: health('registry'),
    'a2a-proxy': health('a2a-proxy'),
    scheduler: health('scheduler'),
    provisioner: health('provisioner'),
    sweeper: health('sweeper'),
  },
  rebuild: {
    registry: rebuild('registry'),
    'a2a-proxy': rebuild('a2a-proxy'),
    scheduler: rebuild('scheduler'),
    provisioner: rebuild('provisioner'),
    sweeper: rebuild('sweeper'),
  },
  registry: {
    /** The directory, page by page; `after` is the last workspace id of the page before. */
    directory: defineRpc({
      subject: 'ask.registry.directory',
      input: z.object({ after: z.string().nullable() }),
      output: z.object({ entries: z.array(DirectoryEntry), next: z.string().nullable() }),
    }),
    resolve: defineRpc({
      subject: 'ask.registry.resolve',
      input: z.object({ workspaceId: WorkspaceId }),
      output: z.object({ entry: DirectoryEntry.nullable() }),
    }),
    /** For each prefix asked, an explicit answer: silence is never "no row" (I8). */
    rows: defineRpc({
      subject: 'ask.registry.rows',
      input: z.object({ prefixes: z.array(z.string()).max(1000) }),
      output: z.object({
        rows: z.array(
          z.object({ prefix: z.string(), state: z.enum(['absent', 'removed', 'live']), workspaceId: WorkspaceId.nullable() }),
        ),
      }),
    }),
    /** Org tokens and sessions that are good now, page by page; `version` is that of the stream `access.platform` they show. */
    access: defineRpc({
      subject: 'ask.registry.access',
      input: z.object({ after: z.string().nullable() }),
      output: z.object({ version: z.number().int(), entries: z.array(AccessEntry), next: z.string().nullable() }),
    }),
    /** The card that the agent registered with; `null`: none is stored. `found: false`: no such workspace, or it is removed. */
    agentCard: defineRpc({
      subject: 'ask.registry.agent-card',
      input: z.object({ workspaceId: WorkspaceId }),
      output: z.object({ found: z.boolean(), card: Json.nullable() }),
    }),
    /** What workspaces are there for, in the order asked; those that are not there are left out, and what no longer fits one message. */
    roles: defineRpc({
      subject: 'ask.registry.roles',
      input: z.object({ workspaceIds: z.array(WorkspaceId).max(500) }),
      output: z.object({ roles: z.array(z.object({ workspaceId: WorkspaceId, role: z.string() })) }),
    }),
    /** Keeps what a workspace wants remembered, secrets taken out (spec 2 §7.10, §7.11); once per command. */
    remember: defineRpc({
      subject: 'ask.registry.remember',
      input: z.object({
        workspaceId: WorkspaceId,
        scope: z.enum(['LOCAL', 'TEAM']),
        content: z.string(),
        namespace: z.string().max(50),
        commandId: z.string(),
      }),
      output: z.object({ id: z.string().nullable() }),
    }),
    /** The newest memories that contain `query` (any case; `''` for all), at most `limit`, as far as one message holds. */
    recall: defineRpc({
      subject: 'ask.registry.recall',
      input: z.object({
        workspaceId: WorkspaceId,
        /** `LOCAL`: its own. `TEAM`: its own and its siblings' for the team. `OWN`: its own of these two. `ALL`: its own of every scope; there `query` may also be in the name of the scope. */
        scope: z.enum(['LOCAL', 'TEAM', 'OWN', 'ALL']),
        query: z.string(),
        limit: z.number().int().min(1).max(200),
      }),
      output: z.object({
        memories: z.array(
          z.object({ id: z.string(), workspaceId: WorkspaceId, content: z.string(), scope: z.string(), createdAt: z.string() }),
        ),
      }),
    }),
    /** A message came for a sleeping workspace (spec 1 §2.4): starts it, once however often it is asked. */
    wake: defineRpc({
      subject: 'ask.registry.wake',
      input: z.object({ workspaceId: WorkspaceId, commandId: z.string() }),
      output: z.object({ waking: z.boolean() }),
    }),
    /** The provisioner minted a token and wrote it to the agent's volume: all others die, this one lives. Only its hash travels. */
    replaceTokens: defineRpc({
      subject: 'ask.registry.replace-tokens',
      input: z.object({
        workspaceId: WorkspaceId,
        hash: z.string().length(64),
        prefix: z.string().length(8),
        commandId: z.string(),
      }),
      output: z.object({ accepted: z.boolean() }),
    }),
  },
  provisioner: {
    backend: defineRpc({
      subject: 'ask.provisioner.backend',
      input: z.object({}),
      output: z.object({
        backend: BackendName,
        installation: z.string(),
        /** Containers without a network of their own: their loopback addresses are those of the machine. */
        onHostNetwork: z.boolean().optional(),
      }),
    }),
    listManaged: defineRpc({
      subject: 'ask.provisioner.list-managed',
      input: z.object({}),
      output: z.object({ backend: BackendName, resources: z.array(ManagedResource) }),
    }),
    isRunning: defineRpc({
      subject: 'ask.provisioner.is-running',
      input: z.object({ workspaceId: WorkspaceId }),
      /** `certain: false`: the engine could not say, which counts as alive. */
      output: z.object({ running: z.boolean(), certain: z.boolean() }),
    }),
    /** The first `runtime:` line of the config that the running workload has; `null` when nothing runs or it says nothing. */
    configuredRuntime: defineRpc({
      subject: 'ask.provisioner.configured-runtime',
      input: z.object({ workspaceId: WorkspaceId }),
      output: z.object({ runtime: z.string().nullable() }),
    }),
    /** Stops what runs for a workspace, and only after a proven stop removes its volume. */
    stop: defineRpc({
      subject: 'ask.provisioner.stop',
      input: z.object({ workspaceId: WorkspaceId, removeVolume: z.boolean(), commandId: z.string() }),
      output: StopResult,
    }),
    /** The same for a labelled resource whose workspace id is not known whole. */
    reap: defineRpc({ subject: 'ask.provisioner.reap', input: z.object({ prefix: z.string() }), output: StopResult }),
  },
  'a2a-proxy': {
    /** What is going on with a workspace's calls, as the proxy's own log and tables say. */
    traffic: defineRpc({
      subject: 'ask.a2a-proxy.traffic',
      input: z.object({ workspaceId: WorkspaceId }),
      output: z.object({
        /** Calls to it that were sent and have not ended. */
        openCalls: z.number().int(),
        /** When it last made a call that succeeded, RFC 3339 (spec 1 §1.1). */
        lastOutboundAt: z.string().nullable(),
      }),
    }),
  },
  scheduler: {
    /** Makes every enabled schedule due now whose name contains one of these, in any case (spec 2 §7.14). */
    trigger: defineRpc({
      subject: 'ask.scheduler.trigger',
      input: z.object({ nameContains: z.array(z.string().min(1)).min(1).max(10), commandId: z.string() }),
      output: z.object({ affected: z.number().int() }),
    }),
    disableFor: defineRpc({
      subject: 'ask.scheduler.disable-for',
      input: z.object({ workspaceIds: z.array(WorkspaceId).max(1000) }),
      output: z.object({ disabled: z.number().int() }),
    }),
  },
} as const;
