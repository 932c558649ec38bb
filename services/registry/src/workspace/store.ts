/** The one door through which the registry changes workspaces: commits, and lets the fleet in memory see it at once. */
import type { RecordedWorkspaceFact, WorkspaceFact, WorkspaceId } from '@molecule/contracts';
import type { CommandMeta, Commit, Ledger, Tx } from '@molecule/event-store';
import type { Tables } from '../database.ts';
import { workspace } from './aggregate.ts';
import type { Decision } from './decisions.ts';
import type { Fleet } from './fleet.ts';

type WorkspaceCommit = Commit<WorkspaceFact>;

export class WorkspaceStore {
  readonly #ledger: Ledger<Tables>;
  readonly #fleet: Fleet;

  constructor(ledger: Ledger<Tables>, fleet: Fleet) {
    this.#ledger = ledger;
    this.#fleet = fleet;
  }

  /** Decides on one workspace. Throws what the decision throws. */
  async change(id: WorkspaceId, meta: CommandMeta, decide: Decision): Promise<WorkspaceCommit> {
    const commit = await this.#ledger.transact(workspace, { id, ...meta }, decide);
    this.#fleet.apply(commit.facts);
    return commit;
  }

  /** Several workspaces, or rows beside them, in one transaction. `work` may run more than once, and acts only through `tx`. */
  async transaction<Result>(
    work: (tx: Tx<Tables>, committing: (commit: WorkspaceCommit) => void) => Promise<Result>,
  ): Promise<Result> {
    let facts: RecordedWorkspaceFact[] = [];
    const result = await this.#ledger.transaction(async (tx) => {
      facts = [];
      return work(tx, (commit) => facts.push(...commit.facts));
    });
    this.#fleet.apply(facts);
    return result;
  }
}
