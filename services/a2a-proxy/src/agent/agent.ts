/** What we know of the process behind a workspace: evidence for the registry, which decides what it means (D5). */

import { ask, type Bus } from '@molecule/bus';
import { type AgentFact, agentFacts, ask as asks, type WorkspaceId } from '@molecule/contracts';
import type { Aggregate, Ledger } from '@molecule/event-store';
import type { Clock, Log } from '@molecule/service';
import type { Tables } from '../database.ts';

/** Every report is a fact; what was reported before changes nothing about the next. */
export const agents: Aggregate<Tables, null, AgentFact> = {
  noun: 'agent',
  family: agentFacts,
  fold: { initial: null, evolve: () => null },
  inline: [],
  workspaceOf: (id) => id,
};

/** Many calls fail at once when a container dies: one report says it for all of them. */
const REPORT_ONCE_MS = 2_000;
const ASK_MS = 2_000;

export class Evidence {
  readonly #ledger: Ledger<Tables>;
  readonly #bus: Bus;
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #newId: () => string;
  readonly #reported = new Map<string, number>();

  constructor({
    ledger,
    bus,
    log,
    clock,
    newId,
  }: { ledger: Ledger<Tables>; bus: Bus; log: Log; clock: Clock; newId: () => string }) {
    this.#ledger = ledger;
    this.#bus = bus;
    this.#log = log;
    this.#clock = clock;
    this.#newId = newId;
  }

  /** Spec 2 §1.9: what cannot be found out counts as alive, or a daemon that stutters would restart everybody. */
  readonly isAlive = async (workspaceId: string): Promise<boolean> => {
    try {
      const { running, certain } = await ask(
        this.#bus,
        asks.provisioner.isRunning,
        { workspaceId: workspaceId as WorkspaceId },
        { timeoutMs: ASK_MS },
      );
      return running || !certain;
    } catch {
      return true;
    }
  };

  /** Tells the registry, durably; that it could not be told is logged, and the next call tells again. */
  readonly reportDead = (workspaceId: WorkspaceId, detail: string): void => {
    const now = this.#clock.monotonicMs();
    const last = this.#reported.get(workspaceId);
    if (last !== undefined && now - last < REPORT_ONCE_MS) return;
    if (this.#reported.size > 1_000) this.#reported.clear();
    this.#reported.set(workspaceId, now);
    this.#ledger
      .transact(agents, { id: workspaceId, commandId: this.#newId() }, () => [
        { type: 'agent.unreachable' as const, data: { workspaceId, error: detail } },
      ])
      .catch((error: unknown) => {
        this.#reported.delete(workspaceId);
        this.#log.warn({ err: error, workspaceId }, 'could not report that an agent is gone');
      });
  };
}
