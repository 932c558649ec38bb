/** Answers over the bus what the registry and the provisioner would: what the tests of the proxy stand on. */
import { randomBytes, randomUUID } from 'node:crypto';
import { type Bus, publishFacts, RequestServer } from '@molecule/bus';
import {
  type AnyRecordedFact,
  ask,
  type DirectoryEntry,
  type RecordedWorkspaceFact,
  type WorkspaceFact,
  WorkspaceId,
} from '@molecule/contracts';
import { applyFact } from '@molecule/directory';
import type { Log } from '@molecule/service';

export interface NewWorkspace {
  readonly url?: string;
  readonly parentId?: string | null;
  readonly name?: string;
  readonly runtime?: string;
  readonly maxConcurrentTasks?: number;
  readonly budgetLimit?: number | null;
  readonly token?: boolean;
}

export class FakeRegistry {
  readonly entries = new Map<string, DirectoryEntry>();
  /** What the backend says of containers; absent: it cannot say. */
  readonly containers = new Map<string, 'running' | 'stopped'>();
  readonly #publish: (facts: readonly AnyRecordedFact[]) => Promise<void>;
  readonly #servers: readonly RequestServer[];
  readonly #stopping = new AbortController();

  constructor(bus: Bus, log: Log) {
    this.#publish = publishFacts(bus, log, this.#stopping.signal) as (facts: readonly AnyRecordedFact[]) => Promise<void>;
    const registry = new RequestServer(bus, 'registry', log);
    registry.serve(ask.registry.directory, () => ({ entries: [...this.entries.values()], next: null }));
    registry.serve(ask.registry.resolve, ({ workspaceId }) => ({ entry: this.entries.get(workspaceId) ?? null }));
    const provisioner = new RequestServer(bus, 'provisioner', log);
    provisioner.serve(ask.provisioner.isRunning, ({ workspaceId }) => {
      const state = this.containers.get(workspaceId);
      return { running: state === 'running', certain: state !== undefined };
    });
    provisioner.serve(ask.provisioner.backend, () => ({ backend: 'process' as const, installation: 'test' }));
    this.#servers = [registry, provisioner];
  }

  /** Facts of one workspace, in order; resolves when they are in the stream. */
  async say(workspaceId: string, ...facts: WorkspaceFact[]): Promise<void> {
    const recorded = facts.map((fact) => {
      const entry = this.entries.get(workspaceId);
      const one = record(fact, workspaceId, (entry?.version ?? 0) + 1);
      this.entries.set(workspaceId, applyFact(entry, one));
      return one;
    });
    await this.#publish(recorded);
  }

  /** A workspace that is online where `url` says, or provisioning without one. */
  async create({
    url = '',
    parentId = null,
    name = 'atlas',
    runtime = 'echo',
    maxConcurrentTasks = 1,
    budgetLimit = null,
  }: NewWorkspace = {}): Promise<WorkspaceId> {
    const id = WorkspaceId.parse(randomUUID());
    const facts: WorkspaceFact[] = [
      {
        type: 'workspace.created',
        data: {
          name,
          role: null,
          tier: 1,
          runtime,
          external: runtime === 'external',
          parentId: parentId as WorkspaceId | null,
          url: '',
          status: 'provisioning',
          by: 'create',
          template: '',
          model: '',
          workspaceDir: null,
          workspaceAccess: 'none',
          awarenessNamespace: '',
          maxConcurrentTasks,
          budgetLimit,
          canvas: { x: 0, y: 0 },
        },
      },
    ];
    if (url !== '') facts.push(registered(url));
    await this.say(id, ...facts);
    return id;
  }

  async issueToken(workspaceId: string): Promise<string> {
    const tokenId = randomUUID();
    const hash = randomBytes(32).toString('hex');
    const data = { tokenId, hash, prefix: hash.slice(0, 8), by: 'api', issuedAt: '2026-11-22T12:00:00.000Z' };
    await this.say(workspaceId, { type: 'token.issued', data } as WorkspaceFact);
    return tokenId;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all(this.#servers.map((server) => server.drain()));
  }
}

export const registered = (url: string): WorkspaceFact => ({
  type: 'workspace.registered',
  data: { from: 'provisioning', url, internalUrl: url, agentCard: {} },
});
export const removed: WorkspaceFact = { type: 'workspace.removed', data: { from: 'online', cascadeDeleted: 0 } };
export const status = (to: 'offline' | 'online' | 'paused' | 'hibernated', clearsUrl = true): WorkspaceFact => ({
  type: 'workspace.status',
  data: { from: 'online', to, reason: to === 'paused' ? 'pause' : 'hibernate', clearsUrl, event: null },
});

const record = (fact: WorkspaceFact, workspaceId: string, version: number) =>
  ({
    ...fact,
    id: randomUUID(),
    stream: `workspace.${workspaceId}`,
    version,
    schema: 1,
    workspaceId,
    recordedAt: new Date().toISOString(),
    commandId: randomUUID(),
    correlationId: null,
    causationId: null,
    traceparent: null,
  }) as unknown as RecordedWorkspaceFact & AnyRecordedFact;
