/** Stands in for the registry on a real bus: keeps workspaces, tells facts of them, and answers what directories ask. */
import { randomBytes, randomUUID } from 'node:crypto';
import { type Bus, publishFacts, RequestServer } from '@molecule/bus';
import {
  type AnyRecordedFact,
  ask,
  type DirectoryEntry,
  type RecordedWorkspaceFact,
  type WorkspaceFact,
} from '@molecule/contracts';
import { applyFact } from '@molecule/directory';
import type { Log } from '@molecule/service';
import { tokenHash } from '../principal.ts';

/** Keeps workspaces as the registry does, tells facts of them, and answers the directory's questions. */
export class FakeRegistry {
  readonly entries = new Map<string, DirectoryEntry>();
  readonly #publish: (facts: readonly AnyRecordedFact[]) => Promise<void>;
  readonly #server: RequestServer;
  readonly #stopping = new AbortController();

  constructor(bus: Bus, log: Log) {
    this.#publish = publishFacts(bus, log, this.#stopping.signal) as (facts: readonly AnyRecordedFact[]) => Promise<void>;
    this.#server = new RequestServer(bus, 'registry', log);
    this.#server.serve(ask.registry.directory, () => ({ entries: [...this.entries.values()], next: null }));
    this.#server.serve(ask.registry.resolve, ({ workspaceId }) => ({ entry: this.entries.get(workspaceId) ?? null }));
  }

  /** Facts of one workspace, in order; resolves when they are in the stream. Returns them as they were recorded. */
  async say(workspaceId: string, ...facts: WorkspaceFact[]): Promise<RecordedWorkspaceFact[]> {
    const recorded = facts.map((fact) => {
      const entry = this.entries.get(workspaceId);
      const one = record(fact, workspaceId, (entry?.version ?? 0) + 1);
      this.entries.set(workspaceId, applyFact(entry, one));
      return one;
    });
    await this.#publish(recorded);
    return recorded;
  }

  /** A new workspace, and a token for it unless told otherwise. */
  async create({ parentId = null, token = true }: { parentId?: string | null; token?: boolean } = {}) {
    const id = randomUUID();
    await this.say(id, created(parentId));
    return { id, token: token ? await this.issue(id) : '' };
  }

  async issue(workspaceId: string): Promise<string> {
    const token = randomBytes(32).toString('base64url');
    const data = { tokenId: randomUUID(), hash: tokenHash(token), prefix: token.slice(0, 8), by: 'api', issuedAt: NOON };
    await this.say(workspaceId, { type: 'token.issued', data } as WorkspaceFact);
    return token;
  }

  async revoke(workspaceId: string): Promise<void> {
    for (const { tokenId } of this.entries.get(workspaceId)?.tokens ?? [])
      await this.say(workspaceId, { type: 'token.revoked', data: { tokenId, by: 'api' } });
  }

  /** Facts of somebody else about a workspace. */
  tell(fact: AnyRecordedFact): Promise<void> {
    return this.#publish([fact]);
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#server.drain();
  }
}

const NOON = '2026-11-22T12:00:00.000Z';

export const record = <Fact extends { type: string; data: unknown }>(fact: Fact, workspaceId: string, version: number) =>
  ({
    ...fact,
    id: randomUUID(),
    stream: `workspace.${workspaceId}`,
    version,
    schema: 1,
    workspaceId,
    recordedAt: new Date(Date.parse(NOON) + version).toISOString(),
    commandId: randomUUID(),
    correlationId: null,
    causationId: null,
    traceparent: null,
  }) as unknown as Fact extends WorkspaceFact ? RecordedWorkspaceFact : AnyRecordedFact;

const created = (parentId: string | null): WorkspaceFact =>
  ({
    type: 'workspace.created',
    data: {
      name: 'atlas',
      role: null,
      tier: 1,
      runtime: 'echo',
      external: false,
      parentId,
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
    },
  }) as WorkspaceFact;

export const moved = (parentId: string | null): WorkspaceFact =>
  ({ type: 'workspace.moved', data: { parentId } }) as WorkspaceFact;
export const removed: WorkspaceFact = { type: 'workspace.removed', data: { from: 'online', cascadeDeleted: 0 } };
export const status = (to: 'online' | 'offline', event: string): WorkspaceFact => ({
  type: 'workspace.status',
  data: { from: 'provisioning', to, reason: 'heartbeat', clearsUrl: false, event: { type: event, payload: {} } },
});
