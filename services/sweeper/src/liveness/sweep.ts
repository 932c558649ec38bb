/**
 * Notices silence. It knows when each workspace was last heard and says so; it decides no status (D5).
 *
 *   I8. Nobody is reported lost because of us: after our own start, and after any time in which the bus or the gateway could not
 *       bring us beats, everybody gets one full lease again.
 */
import { ask as askService } from '@molecule/bus';
import { ask, type DirectoryEntry, type SweepFact, type WorkspaceStatus } from '@molecule/contracts';
import { liveness } from '../finding/finding.ts';
import type { Parts } from '../parts.ts';
import { LastHeard } from './last-heard.ts';

/** Spec 1 §2.2 and §9 #5: in which statuses a lapsed lease means anything. */
const WATCHED: ReadonlySet<WorkspaceStatus> = new Set(['online', 'degraded', 'failed']);

export class LivenessSweep {
  readonly #parts: Parts;
  readonly #leaseMs: number;
  readonly #lastHeard = new LastHeard();
  /** Milliseconds since the epoch: what came before this is no evidence. */
  #deafUntil: number;

  constructor(parts: Parts, leaseMs: number) {
    this.#parts = parts;
    this.#leaseMs = leaseMs;
    this.#deafUntil = parts.clock.now().getTime();
    this.#lastHeard.seed(
      [...parts.directory.all()]
        .filter((entry) => WATCHED.has(entry.status))
        .map((entry) => [entry.workspaceId, lastHeardOf(entry)]),
    );
    // A status that changed counts as heard: a lease begins with it.
    parts.directory.onChange((fact, entry) => {
      if (WATCHED.has(entry.status)) this.#lastHeard.heard(entry.workspaceId, Date.parse(fact.recordedAt));
      else this.#lastHeard.forget(entry.workspaceId);
    });
  }

  heard(workspaceId: string, at: number): void {
    const status = this.#parts.directory.get(workspaceId)?.status;
    if (status !== undefined && WATCHED.has(status)) this.#lastHeard.heard(workspaceId, at);
  }

  /** One pass: reports who has been silent for a whole lease. */
  async sweep(): Promise<void> {
    const now = this.#parts.clock.now().getTime();
    if (!(await this.#canHear())) {
      this.#deafUntil = now;
      return;
    }
    if (now - this.#deafUntil < this.#leaseMs) return;
    for (const { workspaceId, at } of this.#lastHeard.takeSilent(now - this.#leaseMs)) {
      try {
        await this.#report(workspaceId, at);
      } catch (error) {
        // Not said, so not forgotten: the next pass sees it again.
        this.#lastHeard.seed([[workspaceId, at]]);
        throw error;
      }
    }
  }

  /** Whether beats can reach us at all: the bus, and a gateway that accepts them. */
  async #canHear(): Promise<boolean> {
    if (!this.#parts.bus.healthy().ok || !this.#parts.directory.ready) return false;
    try {
      return (await askService(this.#parts.bus, ask.health.gateway, {})).ready;
    } catch (error) {
      this.#parts.log.info({ err: error }, 'no gateway brings beats now; nobody is reported silent');
      return false;
    }
  }

  async #report(workspaceId: string, at: number): Promise<void> {
    const entry = this.#parts.directory.get(workspaceId);
    if (entry === undefined || !WATCHED.has(entry.status)) return;
    // A remote agent that never beat has no lease (spec 1 §2.5); the staleness of remote agents is another matter.
    if (entry.external && entry.lastBeatAt === null && this.#parts.capabilities.lastBeatAt(workspaceId) === undefined) return;
    const lastHeardAt = new Date(at).toISOString();
    const commandId = `silence-${lastHeardAt}`;
    await this.#parts.ledger.transact(liveness, { id: workspaceId, commandId }, (): readonly SweepFact[] => [
      { type: 'liveness.lost', data: { workspaceId: entry.workspaceId, lastHeardAt, leaseSeconds: this.#leaseMs / 1000 } },
    ]);
    this.#parts.log.warn({ workspaceId, lastHeardAt }, 'nothing was heard of a workspace for a whole lease');
  }
}

const lastHeardOf = (entry: DirectoryEntry): number => Math.max(entry.lastBeatAt ?? 0, Date.parse(entry.statusSince));
