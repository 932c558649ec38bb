/**
 * Workspaces as they were at a time (design §5, "as-of"): the rows that the live read model had then, folded from the log by the same
 * rules that fill it.
 *
 *   Y1. What is purged is not in the past either: its facts are there, but nobody is shown them.
 *   Y2. What beats said is no fact (D6): nothing is known of the vitals of back then.
 *   Y3. One look back over all workspaces at a time: it reads the whole log, and must take nothing from those who ask about now.
 */

import { type RecordedWorkspaceFact, WorkspaceId } from '@molecule/contracts';
import type { Ledger } from '@molecule/event-store';
import { Gate } from '@molecule/service';
import type { Tables } from '../database.ts';
import { workspace } from './aggregate.ts';
import { fieldsAfter, firstFields, type WorkspaceFields } from './projections/workspaces.ts';
import type { WorkspaceRow } from './queries.ts';

const PURGED = 'workspace.purged';

export class Past {
  readonly #ledger: Pick<Ledger<Tables>, 'readHistory'>;
  readonly #gate = new Gate(1);

  constructor(ledger: Pick<Ledger<Tables>, 'readHistory'>) {
    this.#ledger = ledger;
  }

  /** Every workspace there was, removed ones too. */
  async all(at: Date): Promise<WorkspaceRow[]> {
    const rows = new Rows();
    await this.#gate.pass(() => this.#ledger.readHistory(workspace, { at, always: [PURGED] }, rows.take)); // Y3
    return rows.all();
  }

  /** One workspace: only its own stream is read, and its parent's. */
  async one(id: string, at: Date): Promise<WorkspaceRow | undefined> {
    const rows = new Rows();
    const read = (id: string) => this.#ledger.readHistory(workspace, { at, id, always: [PURGED] }, rows.take);
    await read(id);
    const parentId = rows.get(id)?.parent_id ?? null;
    if (parentId !== null && parentId !== id) await read(parentId);
    return rows.get(id);
  }
}

/** Takes in facts, each stream in its order, and holds the rows they make. */
export class Rows {
  readonly #rows = new Map<string, WorkspaceFields>();
  readonly #purged = new Set<string>();

  readonly take = (fact: RecordedWorkspaceFact): void => {
    const { workspaceId } = fact;
    if (fact.type === PURGED) this.#purged.add(workspaceId);
    else if (fact.type === 'workspace.created') this.#rows.set(workspaceId, firstFields(fact));
    else {
      const before = this.#rows.get(workspaceId);
      if (before) this.#rows.set(workspaceId, fieldsAfter(before, fact));
    }
  };

  get(id: string): WorkspaceRow | undefined {
    const fields = this.#rows.get(id);
    return fields === undefined || this.#purged.has(id) ? undefined : this.#shown(fields); // Y1
  }

  all(): WorkspaceRow[] {
    return [...this.#rows.keys()].flatMap((id) => this.get(id) ?? []);
  }

  /** Nobody's parent is one that is not there. */
  #shown(fields: WorkspaceFields): WorkspaceRow {
    const row = asRead(fields);
    return row.parent_id !== null && this.#purged.has(row.parent_id) ? { ...row, parent_id: null } : row;
  }
}

/** As the database would give it back. */
const asRead = ({ budget_limit, status_error_at, registered_at, ...fields }: WorkspaceFields): WorkspaceRow => ({
  ...fields,
  workspace_id: WorkspaceId.parse(fields.workspace_id),
  budget_limit: budget_limit === null ? null : String(budget_limit),
  status_since: new Date(fields.status_since),
  status_error_at: status_error_at === null ? null : new Date(status_error_at),
  registered_at: registered_at === null ? null : new Date(registered_at),
  created_at: new Date(fields.created_at),
  updated_at: new Date(fields.updated_at),
});

const byAge = (a: WorkspaceRow, b: WorkspaceRow): number =>
  a.created_at.getTime() - b.created_at.getTime() || (a.workspace_id < b.workspace_id ? -1 : 1);

/** `GET /workspaces` of rows: those that are not removed, oldest first. */
export const presentAmong = (rows: readonly WorkspaceRow[]): WorkspaceRow[] =>
  rows.filter(({ status }) => status !== 'removed').toSorted(byAge);

/** `GET /registry/:id/peers` of rows (§3.7): siblings, then children, then the parent, each once; the order of `headsOfPeers`. */
export function peersAmong(
  rows: readonly WorkspaceRow[],
  { workspace_id: id, parent_id: parentId }: WorkspaceRow,
): WorkspaceRow[] {
  const present = presentAmong(rows);
  const beside = present.filter(({ parent_id }) => parent_id === parentId);
  const below = present.filter(({ parent_id }) => parent_id === id);
  const above = present.filter(({ workspace_id }) => workspace_id === parentId);
  return [...new Set([...beside, ...below, ...above])].filter(({ workspace_id }) => workspace_id !== id);
}
