/**
 * Notices silence. It knows when each workspace was last heard and says so; it decides no status (D5).
 *
 *   I8. Nobody is reported because of us: after our own start, and after any time in which the bus or the gateway could not bring us
 *       beats, everybody gets one full period again.
 *   I9. All times are told by our own monotonic clock (limits F16): a gateway's or a database's may be an hour off, and ours may be
 *       set; that must neither make anybody lost nor hide a death.
 *  I10. Who was reported and is still shown as there, is reported again after another period: a report may have been contradicted
 *       by what turned out to be nothing.
 */
import { ask as askService } from '@molecule/bus';
import { ask, type DirectoryEntry, type SweepFact, type WorkspaceId, type WorkspaceStatus } from '@molecule/contracts';
import { liveness } from '../finding/finding.ts';
import type { Parts } from '../parts.ts';
import { LastHeard } from './last-heard.ts';

/** Whose silence means what. */
export interface SilenceRule {
  /** Begins the ids of its reports. */
  readonly name: string;
  readonly watches: (entry: DirectoryEntry) => boolean;
  /** Whether who never beat may be reported: silent since the row changed last. */
  readonly unheardToo: (entry: DirectoryEntry) => boolean;
  /** How long it may last, in milliseconds; asked for at each look. */
  readonly afterMs: () => number;
  readonly report: (silence: {
    readonly workspaceId: WorkspaceId;
    readonly lastHeardAt: string;
    readonly seconds: number;
  }) => SweepFact;
  /** For the log. */
  readonly says: string;
}

/** Spec 1 §2.2 and §9 #5: in which statuses a lapsed lease means anything. */
const LEASED: ReadonlySet<WorkspaceStatus> = new Set(['online', 'degraded', 'failed']);

/** The liveness lease. A remote agent that never beat has none; its staleness is another matter (spec 1 §2.5). */
export const leaseLapses = (leaseMs: number): SilenceRule => ({
  name: 'silence',
  watches: ({ status }) => LEASED.has(status),
  unheardToo: ({ external }) => !external,
  afterMs: () => leaseMs,
  report: ({ workspaceId, lastHeardAt, seconds }) => ({
    type: 'liveness.lost',
    data: { workspaceId, lastHeardAt, leaseSeconds: seconds },
  }),
  says: 'nothing was heard of a workspace for a whole lease',
});

/** A remote agent went stale: no container of ours could tell of it. */
export const remoteGoesStale = (afterMs: () => number): SilenceRule => ({
  name: 'stale',
  watches: ({ status, external, runtime }) =>
    (external || runtime === 'external') && (status === 'online' || status === 'degraded'),
  unheardToo: () => true,
  afterMs,
  report: ({ workspaceId, lastHeardAt, seconds }) => ({
    type: 'liveness.remote-stale',
    data: { workspaceId, lastHeardAt, staleAfterSeconds: seconds },
  }),
  says: 'nothing was heard of a remote agent for as long as it may be silent',
});

export class SilenceSweep {
  readonly #parts: Parts;
  readonly #rule: SilenceRule;
  /** Monotonic ms, as all times here. */
  readonly #lastHeard = new LastHeard();
  /** When those who were reported were heard last (I10). */
  readonly #reported = new Map<string, number>();
  /** What came before this is no evidence. */
  #deafUntil: number;

  constructor(parts: Parts, rule: SilenceRule) {
    this.#parts = parts;
    this.#rule = rule;
    this.#deafUntil = parts.clock.monotonicMs();
    this.#lastHeard.seed(
      [...parts.directory.all()].filter(rule.watches).map((entry) => [entry.workspaceId, this.#monotonic(lastHeardOf(entry))]),
    );
    // A status that changed counts as heard: a period begins with it.
    parts.directory.onChange((_fact, entry) => {
      this.#reported.delete(entry.workspaceId);
      if (rule.watches(entry)) this.#lastHeard.heard(entry.workspaceId, parts.clock.monotonicMs());
      else this.#lastHeard.forget(entry.workspaceId);
    });
  }

  /** `at`: milliseconds since the epoch, by our clock. */
  heard(workspaceId: string, at: number): void {
    const entry = this.#parts.directory.get(workspaceId);
    if (entry === undefined || !this.#rule.watches(entry)) return;
    this.#reported.delete(workspaceId);
    this.#lastHeard.heard(workspaceId, this.#monotonic(at));
  }

  /** One pass: reports who has been silent for a whole period. */
  async sweep(): Promise<void> {
    const now = this.#parts.clock.monotonicMs();
    if (!(await this.#canHear())) {
      this.#deafUntil = now;
      return;
    }
    const afterMs = this.#rule.afterMs();
    if (now - this.#deafUntil < afterMs) return;
    for (const { workspaceId, at } of this.#lastHeard.takeSilent(now - afterMs)) {
      try {
        await this.#report(workspaceId, at, { now, afterMs });
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

  async #report(workspaceId: string, at: number, { now, afterMs }: { now: number; afterMs: number }): Promise<void> {
    const { directory, capabilities, ledger, log } = this.#parts;
    const entry = directory.get(workspaceId);
    if (entry === undefined || !this.#rule.watches(entry)) return;
    const unheard = entry.lastBeatAt === null && capabilities.lastBeatAt(workspaceId) === undefined;
    if (unheard && !this.#rule.unheardToo(entry)) return;
    const silentSince = this.#reported.get(workspaceId) ?? at;
    const lastHeardAt = this.#wall(silentSince, now);
    const commandId = `${this.#rule.name}-${lastHeardAt}-${this.#wall(at, now)}`;
    const fact = this.#rule.report({ workspaceId: entry.workspaceId, lastHeardAt, seconds: afterMs / 1000 });
    await ledger.transact(liveness, { id: workspaceId, commandId }, () => [fact]);
    this.#lastHeard.heard(workspaceId, now); // I10
    this.#reported.set(workspaceId, silentSince);
    log.warn({ workspaceId, lastHeardAt }, this.#rule.says);
  }

  /** When it was on our monotonic clock; what is said to be to come is now. */
  #monotonic(wallMs: number): number {
    const { clock } = this.#parts;
    return clock.monotonicMs() - Math.max(0, clock.now().getTime() - wallMs);
  }

  /** RFC 3339, by our wall clock as it stands at `now`. */
  #wall(at: number, now: number): string {
    return new Date(this.#parts.clock.now().getTime() - (now - at)).toISOString();
  }
}

const lastHeardOf = (entry: DirectoryEntry): number => Math.max(entry.lastBeatAt ?? 0, Date.parse(entry.statusSince));
