/** Facts as a log records them, and what they say of a workspace unless a test says otherwise. */
import { randomUUID } from 'node:crypto';
import type { AnyFact, AnyRecordedFact, DirectoryEntry, WorkspaceFact } from '@molecule/contracts';

export type CreatedData = Extract<WorkspaceFact, { type: 'workspace.created' }>['data'];

export interface RecordedAs {
  readonly workspaceId: string;
  readonly version: number;
  /** Default: the workspace's own. */
  readonly stream?: string;
  /** Default: a new one. */
  readonly id?: string;
  /** Default: now. */
  readonly recordedAt?: Date | string;
}

type Recorded<Type> = Extract<AnyRecordedFact, { type: Type }>;

/** The fact with everything that a log adds to it. */
export const recordedFact = <F extends AnyFact>(
  { type, data }: F,
  { workspaceId, version, stream = `workspace.${workspaceId}`, id = randomUUID(), recordedAt = new Date() }: RecordedAs,
): Recorded<F['type']> =>
  ({
    id,
    stream,
    version,
    schema: 1,
    type,
    data,
    workspaceId,
    recordedAt: new Date(recordedAt).toISOString(),
    commandId: randomUUID(),
    correlationId: null,
    causationId: null,
    traceparent: null,
  }) as unknown as Recorded<F['type']>;

/** What is said of a new workspace: a root that is being provisioned. */
export const createdData = (change: Partial<CreatedData> = {}): CreatedData => ({
  name: 'atlas',
  role: null,
  tier: 1,
  runtime: 'echo',
  external: false,
  parentId: null,
  url: '',
  status: 'provisioning',
  by: 'create',
  template: '',
  model: '',
  workspaceDir: null,
  workspaceAccess: 'none',
  awarenessNamespace: '',
  maxConcurrentTasks: 1,
  budgetLimit: null,
  canvas: { x: 0, y: 0 },
  ...change,
});

/** The entry of such a workspace in a directory. */
export const directoryEntry = (change: Partial<DirectoryEntry> = {}): DirectoryEntry => ({
  workspaceId: randomUUID() as DirectoryEntry['workspaceId'],
  version: 1,
  name: 'atlas',
  parentId: null,
  status: 'provisioning',
  statusSince: new Date().toISOString(),
  url: '',
  internalUrl: '',
  runtime: 'echo',
  tier: 1,
  external: false,
  maxConcurrentTasks: 1,
  budgetLimit: null,
  tokens: [],
  monthlySpend: 0,
  activeTasks: 0,
  lastBeatAt: null,
  ...change,
});

/** The agent of a workspace registered, and is reached there. */
export const registered = (url: string): WorkspaceFact => ({
  type: 'workspace.registered',
  data: { from: 'provisioning', url, internalUrl: url, agentCard: {} },
});

export const removed: WorkspaceFact = { type: 'workspace.removed', data: { from: 'online', cascadeDeleted: 0 } };

export const purged: WorkspaceFact = { type: 'workspace.purged', data: {} };
