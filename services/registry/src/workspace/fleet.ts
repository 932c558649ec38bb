/**
 * Every workspace as the evaluation of beats needs it, in memory: a steady beat costs a look into a map, however large the fleet.
 *
 *   F1. What is here follows the log: own commits at once, other replicas' over the bus, each stream by its version.
 *   F2. Facts that arrive while the rows are being read wait, and are then applied by their version; after a gap all is read again.
 *   F3. It decides nothing: a status that is a few milliseconds old costs at most one transaction that finds nothing to do.
 */
import { type AnyRecordedFact, type RecordedWorkspaceFact, WorkspaceId, type WorkspaceStatus } from '@molecule/contracts';
import type { Kysely } from 'kysely';
import type { Tables } from '../database.ts';
import { readVitals, type Vitals } from './vitals.ts';

export interface Member {
  readonly id: WorkspaceId;
  version: number;
  status: WorkspaceStatus;
  /** Which version of the stream `status` is from: an own commit may overtake a change of status made by another replica (F1). */
  statusVersion: number;
  /** Milliseconds since the epoch; 0: never. */
  statusSince: number;
  registeredAt: number;
  vitals: Vitals | null;
  /** Whether the runtime declared `status_mgmt`; `null` until a beat spoke of it since the last register. */
  managesStatus: boolean | null;
  /** When its last beat was heard, by our monotonic clock; `null`: not since we started. */
  heardMs: number | null;
  /** When it did, ms since the epoch. */
  declaredAt: number;
  /** Since when its beats have told of no active task, monotonic ms; `null`: it is at work, or has not said since it came up. */
  idleSince: number | null;
  /** Transitions of earlier beats that are still being stored. */
  pending: Promise<void> | null;
}

const PAGE = 10_000;

export class Fleet {
  readonly #members = new Map<string, Member>();
  /** F2: `null` when the rows have been read. */
  #waiting: AnyRecordedFact[] | null = [];
  #onJoin: (member: Member) => void = () => {};
  readonly #onStatus: ((member: Member) => void)[] = [];
  /** Who waits for a workspace to have another status. */
  readonly #watchers = new Map<string, Set<() => void>>();

  get(workspaceId: string): Member | undefined {
    return this.#members.get(workspaceId);
  }

  vitals(workspaceId: string): Vitals | null {
    return this.#members.get(workspaceId)?.vitals ?? null;
  }

  get size(): number {
    return this.#members.size;
  }

  /** Hears of each workspace that was not there before. */
  onJoin(listener: (member: Member) => void): void {
    this.#onJoin = listener;
  }

  /** Hears of each workspace whose status is another than before, and of each that is new. */
  onStatus(listener: (member: Member) => void): void {
    this.#onStatus.push(listener);
  }

  /** `true` as soon as the workspace has such a status, `false` when told to stop before. */
  until(
    workspaceId: string,
    reached: (status: WorkspaceStatus | undefined) => boolean,
    { signal }: { readonly signal: AbortSignal },
  ): Promise<boolean> {
    return new Promise((resolve) => {
      const watchers = this.#watchers.get(workspaceId) ?? new Set();
      const settle = (outcome: boolean) => {
        watchers.delete(look);
        if (watchers.size === 0) this.#watchers.delete(workspaceId);
        signal.removeEventListener('abort', giveUp);
        resolve(outcome);
      };
      const look = () => {
        if (reached(this.#members.get(workspaceId)?.status)) settle(true);
      };
      const giveUp = () => settle(false);
      watchers.add(look);
      this.#watchers.set(workspaceId, watchers);
      if (signal.aborted) return giveUp();
      signal.addEventListener('abort', giveUp, { once: true });
      look();
    });
  }

  /** Everybody with this status. */
  withStatus(status: WorkspaceStatus): WorkspaceId[] {
    return [...this.#members.values()].filter((member) => member.status === status).map(({ id }) => id);
  }

  /** Takes in facts in the order of their streams; what is known already, or concerns no workspace, changes nothing (F1). */
  apply(facts: readonly AnyRecordedFact[]): void {
    for (const fact of facts) {
      if (!isWorkspaceFact(fact)) continue;
      if (this.#waiting) this.#waiting.push(fact);
      else this.#apply(fact);
    }
  }

  /** Reads every row, in pages, and goes on from there (F2). Also after a gap in what was heard. */
  async read(db: Kysely<Tables>): Promise<void> {
    this.#waiting ??= [];
    for (let after: WorkspaceId | null = null; ; ) {
      const rows = await membersAfter(db, after);
      for (const row of rows) this.#merge(row);
      const last = rows.at(-1);
      if (last === undefined || rows.length < PAGE) break;
      after = last.workspace_id;
    }
    for (let after: WorkspaceId | null = null; ; ) {
      const entries = await readVitals(db, { after, limit: PAGE });
      for (const [id, vitals] of entries) {
        const member = this.#members.get(id);
        if (member && (member.vitals === null || member.vitals.lastBeatAt < vitals.lastBeatAt)) member.vitals = vitals;
      }
      const last = entries.at(-1);
      if (last === undefined || entries.length < PAGE) break;
      after = last[0];
    }
    const waited = this.#waiting;
    this.#waiting = null;
    this.apply(waited);
  }

  #merge(row: MemberRow): void {
    const known = this.#members.get(row.workspace_id);
    const { version, status } = row;
    const statusSince = row.status_since.getTime();
    const registeredAt = row.registered_at?.getTime() ?? 0;
    const shown = { version, status, statusVersion: version, statusSince, registeredAt };
    if (!known) {
      this.#join({ ...newMember(row.workspace_id), ...shown });
      return;
    }
    if (version <= known.statusVersion) return;
    if (registeredAt > known.registeredAt) forgetDeclaration(known, registeredAt);
    Object.assign(known, shown, { version: Math.max(version, known.version) });
    this.#tell(known);
  }

  #apply(fact: RecordedWorkspaceFact): void {
    const known = this.#members.get(fact.workspaceId);
    const at = Date.parse(fact.recordedAt);
    if (!known) {
      if (fact.type !== 'workspace.created') return;
      this.#join({
        ...newMember(WorkspaceId.parse(fact.workspaceId)),
        version: fact.version,
        status: fact.data.status,
        statusVersion: fact.version,
        statusSince: at,
      });
      return;
    }
    known.version = Math.max(fact.version, known.version);
    const status = statusAfter(fact);
    if (status === null || fact.version <= known.statusVersion) return;
    Object.assign(known, { status, statusVersion: fact.version, statusSince: at });
    if (!keepsAtWork(fact)) known.idleSince = null;
    this.#tell(known);
    if (fact.type !== 'workspace.registered') return;
    known.registeredAt = at;
    forgetDeclaration(known, at);
  }

  #join(member: Member): void {
    this.#members.set(member.id, member);
    this.#onJoin(member);
    this.#tell(member);
  }

  #tell(member: Member): void {
    for (const listener of this.#onStatus) listener(member);
    for (const look of [...(this.#watchers.get(member.id) ?? [])]) look();
  }
}

/** The status that a fact leaves behind; `null` where it leaves it alone. */
function statusAfter(fact: RecordedWorkspaceFact): WorkspaceStatus | null {
  switch (fact.type) {
    case 'workspace.registered':
      return 'online';
    case 'workspace.status':
      return fact.data.to;
    case 'workspace.removed':
      return 'removed';
    default:
      return null;
  }
}

/** Whether the session goes on with this fact: only then does the idleness of before count. */
const keepsAtWork = (fact: RecordedWorkspaceFact): boolean =>
  fact.type === 'workspace.status' && [fact.data.from, fact.data.to].every((one) => one === 'online' || one === 'degraded');

/** A register clears what the runtime declared before it (README choice 2); what it declared since, stays. */
function forgetDeclaration(member: Member, at: number): void {
  if (member.declaredAt <= at) member.managesStatus = null;
}

const newMember = (id: WorkspaceId): Member => ({
  id,
  version: 0,
  status: 'provisioning',
  statusVersion: 0,
  statusSince: 0,
  registeredAt: 0,
  vitals: null,
  managesStatus: null,
  heardMs: null,
  declaredAt: 0,
  idleSince: null,
  pending: null,
});

const isWorkspaceFact = (fact: AnyRecordedFact): fact is RecordedWorkspaceFact =>
  fact.type.startsWith('workspace.') || fact.type.startsWith('token.');

const membersAfter = (db: Kysely<Tables>, after: WorkspaceId | null) => {
  const query = db
    .selectFrom('workspaces')
    .select(['workspace_id', 'version', 'status', 'status_since', 'registered_at'])
    .orderBy('workspace_id')
    .limit(PAGE);
  return (after === null ? query : query.where('workspace_id', '>', after)).execute();
};
type MemberRow = Awaited<ReturnType<typeof membersAfter>>[number];
