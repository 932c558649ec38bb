/** The one door through which the registry changes workspaces: commits, and lets the fleet in memory see it at once. */

import type { RecordedWorkspaceFact, WorkspaceFact, WorkspaceId } from '@molecule/contracts';
import { type CommandMeta, type Commit, type Ledger, type Tx, VersionConflict } from '@molecule/event-store';
import { Gate } from '@molecule/service';
import type { Tables } from '../database.ts';
import { workspace } from './aggregate.ts';
import type { Decision } from './decisions.ts';
import type { Fleet } from './fleet.ts';

type WorkspaceCommit = Commit<WorkspaceFact>;

/** So many transactions at a time: those that wait for each other must not take every connection from those that need not wait. */
const TRANSACTIONS = 4;
/** What lost its race in every attempt of the ledger has so many rounds of attempts. */
const ROUNDS = 5;

export class WorkspaceStore {
  readonly #ledger: Ledger<Tables>;
  readonly #fleet: Fleet;
  readonly #gate = new Gate(TRANSACTIONS);

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
    const transaction = () =>
      this.#ledger.transaction(async (tx) => {
        facts = [];
        return work(tx, (commit) => facts.push(...commit.facts));
      });
    const result = await this.#gate.pass(() => inRounds(transaction));
    this.#fleet.apply(facts);
    return result;
  }
}

async function inRounds<Result>(attempt: () => Promise<Result>): Promise<Result> {
  for (let round = 1; ; round++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof VersionConflict) || round === ROUNDS) throw error;
    }
  }
}
