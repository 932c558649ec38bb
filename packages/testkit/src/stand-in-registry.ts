/**
 * Stands in for the registry on a real bus: keeps workspaces, tells facts of them, and answers what other services ask it.
 *
 *   S1. The facts of a workspace carry its versions without a hole, in the order in which they were decided.
 *   S2. What it answers shows everything that it has decided, told or not: so the registry's own tables do.
 *
 * The testkit stands below the directory, whose own tests use it; so it is given the rule by which a fact changes an entry.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { type Bus, publishFacts, RequestServer } from '@molecule/bus';
import {
  type AccessEntry,
  type AccessFact,
  type AnyRecordedFact,
  ask,
  type DirectoryEntry,
  type Json,
  PLATFORM,
  type RecordedAccessFact,
  type RecordedWorkspaceFact,
  type SessionOrigin,
  TokenId,
  type WorkspaceFact,
  type WorkspaceId,
} from '@molecule/contracts';
import { type Clock, type Log, systemClock } from '@molecule/service';
import { type CreatedData, createdData, recordedFact, registered } from './facts.ts';

export interface StandInRegistryOptions {
  readonly bus: Bus;
  readonly log: Log;
  /** When facts are recorded; default: the system's. */
  readonly clock?: Clock;
  /** The directory's own. */
  readonly applyFact: (entry: DirectoryEntry | undefined, fact: RecordedWorkspaceFact) => DirectoryEntry;
}

export type NewWorkspace = Omit<Partial<CreatedData>, 'parentId'> & {
  readonly workspaceId?: string;
  readonly parentId?: string | null;
  /** Where its agent registers at once; without it nobody has registered. */
  readonly at?: string;
};

export type RegistryAsk = 'directory' | 'access' | 'resolve' | 'rows' | 'replaceTokens';

const HOUR_MS = 3_600_000;

export class StandInRegistry {
  readonly entries = new Map<string, DirectoryEntry>();
  /** Org tokens and sessions that are good, by id. */
  readonly access = new Map<string, AccessEntry>();
  /** Of the stream `access.platform`. */
  accessVersion = 0;
  /** What agents registered with, what workspaces are there for, and what they remember, newest first. */
  readonly cards = new Map<string, Json>();
  readonly roles = new Map<string, string>();
  readonly memories: { id: string; workspaceId: WorkspaceId; content: string; scope: string; createdAt: string }[] = [];
  /** How often each was asked. */
  readonly asked: Record<RegistryAsk, number> = { directory: 0, access: 0, resolve: 0, rows: 0, replaceTokens: 0 };
  /** What fails from now on. */
  readonly failing = new Set<RegistryAsk>();
  /** Entries on a page of the directory. */
  pageSize = 100;
  /** Called before a page is answered. */
  beforePage: () => Promise<void> = async () => {};
  /** Called before a single workspace is answered. */
  beforeResolve: () => Promise<void> = async () => {};
  readonly #applyFact: StandInRegistryOptions['applyFact'];
  readonly #clock: Clock;
  readonly #publish: (facts: readonly AnyRecordedFact[]) => Promise<unknown>;
  readonly #requests: RequestServer;
  readonly #stopping = new AbortController();

  constructor({ bus, log, clock = systemClock, applyFact }: StandInRegistryOptions) {
    this.#applyFact = applyFact;
    this.#clock = clock;
    this.#publish = publishFacts(bus, log, this.#stopping.signal);
    this.#requests = new RequestServer(bus, 'registry', log);
  }

  /** Answers from now on. */
  serve(): this {
    this.#requests.serve(ask.registry.directory, async ({ after }) => {
      this.#count('directory');
      await this.beforePage();
      const sorted = [...this.entries.values()].toSorted((a, b) => (a.workspaceId < b.workspaceId ? -1 : 1));
      const rest = sorted.filter(({ workspaceId }) => after === null || workspaceId > after);
      const entries = rest.slice(0, this.pageSize);
      return { entries, next: rest.length > this.pageSize ? (entries.at(-1)?.workspaceId ?? null) : null };
    });
    this.#requests.serve(ask.registry.access, async ({ after }) => {
      this.#count('access');
      await this.beforePage();
      const sorted = [...this.access.values()].toSorted((a, b) => (a.id < b.id ? -1 : 1));
      const rest = sorted.filter(({ id }) => after === null || id > after);
      const entries = rest.slice(0, this.pageSize);
      return { version: this.accessVersion, entries, next: rest.length > this.pageSize ? (entries.at(-1)?.id ?? null) : null };
    });
    this.#requests.serve(ask.registry.resolve, async ({ workspaceId }) => {
      this.#count('resolve');
      await this.beforeResolve();
      return { entry: this.entries.get(workspaceId) ?? null };
    });
    this.#requests.serve(ask.registry.rows, ({ prefixes }) => {
      this.#count('rows');
      return { rows: prefixes.map((prefix) => ({ prefix, ...this.#rowOf(prefix) })) };
    });
    this.#requests.serve(ask.registry.replaceTokens, async ({ workspaceId, hash, prefix }) => {
      this.#count('replaceTokens');
      const entry = this.entries.get(workspaceId);
      if (entry === undefined || entry.status === 'removed') return { accepted: false };
      const dead = entry.tokens.map(({ tokenId }): WorkspaceFact => revoked(tokenId, 'provisioner'));
      await this.say(workspaceId, ...dead, issued({ hash, prefix, by: 'provisioner' }));
      return { accepted: true };
    });
    this.#requests.serve(ask.registry.agentCard, ({ workspaceId }) => {
      const entry = this.entries.get(workspaceId);
      const found = entry !== undefined && entry.status !== 'removed';
      return { found, card: found ? (this.cards.get(workspaceId) ?? null) : null };
    });
    this.#requests.serve(ask.registry.roles, ({ workspaceIds }) => ({
      roles: workspaceIds
        .filter((workspaceId) => this.entries.has(workspaceId))
        .map((workspaceId) => ({ workspaceId, role: this.roles.get(workspaceId) ?? '' })),
    }));
    this.#requests.serve(ask.registry.remember, ({ workspaceId, scope, content }) => {
      if (!this.entries.has(workspaceId)) return { id: null };
      const id = randomUUID();
      this.memories.unshift({ id, workspaceId, content, scope, createdAt: this.#clock.now().toISOString() });
      return { id };
    });
    this.#requests.serve(ask.registry.recall, ({ workspaceId, scope, query, limit }) => ({
      memories: this.memories
        .filter((memory) => memory.workspaceId === workspaceId && (memory.scope === scope || !['LOCAL', 'TEAM'].includes(scope)))
        .filter(({ content }) => content.toLowerCase().includes(query.toLowerCase()))
        .slice(0, limit),
    }));
    return this;
  }

  version(workspaceId: string): number {
    return this.entries.get(workspaceId)?.version ?? 0;
  }

  /** Decides what happens to a workspace, in order; nobody has heard of it yet. Returns the facts as they were recorded. */
  decide(workspaceId: string, ...facts: WorkspaceFact[]): RecordedWorkspaceFact[] {
    return facts.map((fact) => {
      const recorded: RecordedWorkspaceFact = recordedFact(fact, {
        workspaceId,
        version: this.version(workspaceId) + 1,
        recordedAt: this.#clock.now(),
      });
      this.entries.set(workspaceId, this.#applyFact(this.entries.get(workspaceId), recorded));
      return recorded;
    });
  }

  /** Tells what was decided before, here or elsewhere; resolves when it is in the stream. */
  async tell(...facts: AnyRecordedFact[]): Promise<void> {
    await this.#publish(facts);
  }

  /** Decides, and tells. */
  async say(workspaceId: string, ...facts: WorkspaceFact[]): Promise<RecordedWorkspaceFact[]> {
    const recorded = this.decide(workspaceId, ...facts);
    await this.tell(...recorded);
    return recorded;
  }

  async create({ workspaceId = randomUUID(), at, parentId = null, ...data }: NewWorkspace = {}): Promise<WorkspaceId> {
    const created = createdData({
      awarenessNamespace: `workspace:${workspaceId}`,
      ...data,
      parentId: parentId as WorkspaceId | null,
    });
    await this.say(workspaceId, { type: 'workspace.created', data: created }, ...(at === undefined ? [] : [registered(at)]));
    return workspaceId as WorkspaceId;
  }

  /** A token with this SHA-256 (hex) lives from now on; returns its id. */
  async issueToken(workspaceId: string, hash = randomBytes(32).toString('hex')): Promise<TokenId> {
    const fact = issued({ hash, prefix: hash.slice(0, 8), by: 'api' });
    await this.say(workspaceId, fact);
    return fact.data.tokenId;
  }

  /** All of its tokens die. */
  async revokeTokens(workspaceId: string): Promise<void> {
    const tokens = this.entries.get(workspaceId)?.tokens ?? [];
    await this.say(workspaceId, ...tokens.map(({ tokenId }) => revoked(tokenId, 'api')));
  }

  /** Decides what happens to org tokens and sessions, in order; nobody has heard of it yet. */
  decideAccess(...facts: AccessFact[]): RecordedAccessFact[] {
    return facts.map((fact) => {
      const version = ++this.accessVersion;
      const recordedAt = this.#clock.now();
      switch (fact.type) {
        case 'access.token-issued': {
          const { tokenId: id, hash, prefix, orgId } = fact.data;
          this.access.set(id, { kind: 'org', id, hash, prefix, orgId });
          break;
        }
        case 'access.session-opened': {
          const { sessionId: id, hash, by, expiresAt } = fact.data;
          const adminKey = by.kind === 'admin' ? (by.key ?? '') : null;
          this.access.set(id, { kind: 'session', id, hash, expiresAt, adminKey });
          break;
        }
        case 'access.token-revoked':
          this.access.delete(fact.data.tokenId);
          break;
        case 'access.session-closed':
          this.access.delete(fact.data.sessionId);
          break;
      }
      return recordedFact(fact, { workspaceId: PLATFORM, stream: `access.${PLATFORM}`, version, recordedAt });
    });
  }

  /** Decides, and tells. */
  async sayAccess(...facts: AccessFact[]): Promise<void> {
    await this.tell(...this.decideAccess(...facts));
  }

  /** An org token with this SHA-256 (hex) opens every door from now on; returns its id. */
  async issueOrgToken({ hash = randomBytes(32).toString('hex'), orgId = '' } = {}): Promise<TokenId> {
    const tokenId = TokenId.parse(randomUUID());
    const issuedAt = this.#clock.now().toISOString();
    const data = { tokenId, hash, prefix: hash.slice(0, 8), name: '', orgId, createdBy: 'admin-token', issuedAt };
    await this.sayAccess({ type: 'access.token-issued', data });
    return tokenId;
  }

  async revokeOrgToken(tokenId: TokenId): Promise<void> {
    await this.sayAccess({ type: 'access.token-revoked', data: { tokenId } });
  }

  /** A session whose cookie has this SHA-256 (hex) is open from now on, for an hour if nothing else is said; returns its id. */
  async openSession({
    hash = randomBytes(32).toString('hex'),
    by = { kind: 'org', tokenId: TokenId.parse(randomUUID()) },
    expiresAt = new Date(this.#clock.now().getTime() + HOUR_MS),
  }: {
    readonly hash?: string;
    readonly by?: SessionOrigin;
    readonly expiresAt?: Date;
  } = {}): Promise<TokenId> {
    const sessionId = TokenId.parse(randomUUID());
    const openedAt = this.#clock.now().toISOString();
    const data = { sessionId, hash, by, openedAt, expiresAt: expiresAt.toISOString() };
    await this.sayAccess({ type: 'access.session-opened', data });
    return sessionId;
  }

  async closeSession(sessionId: TokenId): Promise<void> {
    await this.sayAccess({ type: 'access.session-closed', data: { sessionId, reason: 'logout' } });
  }

  /** Answers and tells nothing any more. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#requests.drain();
  }

  #rowOf(prefix: string): { state: 'absent' | 'removed' | 'live'; workspaceId: WorkspaceId | null } {
    const found = [...this.entries.values()].filter(({ workspaceId }) => workspaceId.startsWith(prefix));
    const live = found.find(({ status }) => status !== 'removed');
    const row = live ?? found[0];
    if (row === undefined) return { state: 'absent', workspaceId: null };
    return { state: live ? 'live' : 'removed', workspaceId: row.workspaceId };
  }

  #count(asked: RegistryAsk): void {
    this.asked[asked]++;
    if (this.failing.has(asked)) throw new Error(`${asked} fails, as it was told to`);
  }
}

type Origin = Extract<WorkspaceFact, { type: 'token.issued' }>['data']['by'];
type Issued = Extract<WorkspaceFact, { type: 'token.issued' }>;

const issued = ({ hash, prefix, by }: { hash: string; prefix: string; by: Origin }): Issued => ({
  type: 'token.issued',
  data: { tokenId: TokenId.parse(randomUUID()), hash, prefix, by, issuedAt: new Date().toISOString() },
});

const revoked = (tokenId: TokenId, by: 'api' | 'provisioner'): WorkspaceFact => ({
  type: 'token.revoked',
  data: { tokenId, by },
});
