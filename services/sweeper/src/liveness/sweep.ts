/**
 * Notices silence. It knows when each workspace was last heard and says so; it decides no status (D5).
 *
 *   I8. Nobody is reported lost because of us: after our own start, and after any time in which the bus or the gateway could not
 *       bring us beats, everybody gets one full lease again.
 *   I9. All times are told by our own clock (limits F16): a gateway's or a database's may be an hour off, and must neither make
 *       anybody lost nor hide a death.
 *  I10. Who was reported and is still shown as there, is reported again after another lease: a report may have been contradicted
 *       by what turned out to be nothing.
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
  /** When those who were reported were heard last (I10). */
  readonly #reported = new Map<string, number>();
  /** Milliseconds since the epoch: what came before this is no evidence. */
  #deafUntil: number;

  constructor(parts: Parts, leaseMs: number) {
    this.#parts = parts;
    this.#leaseMs = leaseMs;
    const now = parts.clock.now().getTime();
    this.#deafUntil = now;
    this.#lastHeard.seed(
      [...parts.directory.all()]
        .filter((entry) => WATCHED.has(entry.status))
        .map((entry) => [entry.workspaceId, Math.min(lastHeardOf(entry), now)]),
    );
    // A status that changed counts as heard: a lease begins with it.
    parts.directory.onChange((_fact, { workspaceId, status }) => {
      this.#reported.delete(workspaceId);
      if (WATCHED.has(status)) this.#lastHeard.heard(workspaceId, this.#parts.clock.now().getTime());
      else this.#lastHeard.forget(workspaceId);
    });
  }

  /** `at`: milliseconds since the epoch, by our clock. */
  heard(workspaceId: string, at: number): void {
    const status = this.#parts.directory.get(workspaceId)?.status;
    if (status === undefined || !WATCHED.has(status)) return;
    this.#reported.delete(workspaceId);
    this.#lastHeard.heard(workspaceId, at);
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
        await this.#report(workspaceId, at, now);
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

  async #report(workspaceId: string, at: number, now: number): Promise<void> {
    const entry = this.#parts.directory.get(workspaceId);
    if (entry === undefined || !WATCHED.has(entry.status)) return;
    // A remote agent that never beat has no lease (spec 1 §2.5); the staleness of remote agents is another matter.
    if (entry.external && entry.lastBeatAt === null && this.#parts.capabilities.lastBeatAt(workspaceId) === undefined) return;
    const silentSince = this.#reported.get(workspaceId) ?? at;
    const lastHeardAt = new Date(silentSince).toISOString();
    const commandId = `silence-${lastHeardAt}-${at}`;
    await this.#parts.ledger.transact(liveness, { id: workspaceId, commandId }, (): readonly SweepFact[] => [
      { type: 'liveness.lost', data: { workspaceId: entry.workspaceId, lastHeardAt, leaseSeconds: this.#leaseMs / 1000 } },
    ]);
    this.#lastHeard.heard(workspaceId, now); // I10
    this.#reported.set(workspaceId, silentSince);
    this.#parts.log.warn({ workspaceId, lastHeardAt }, 'nothing was heard of a workspace for a whole lease');
  }
}

const lastHeardOf = (entry: DirectoryEntry): number => Math.max(entry.lastBeatAt ?? 0, Date.parse(entry.statusSince));
