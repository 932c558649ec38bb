/**
 * Notices silence. It knows when each workspace was last heard and says so; it decides no status (D5).
 *
 *   I8. Nobody is reported because of us: after our own start, and after any time in which the bus or the gateway could not bring us
 *       beats, everybody gets one full period again.
 *   I9. All times are told by our own monotonic clock (limits F16): a gateway's or a database's may be an hour off, and ours may be
 *       set; that must neither make anybody lost nor hide a death.
 *  I10. Who was reported and is still shown as there, is reported again after another period: a report may have been contradicted
 *       by what turned out to be nothing.
 *  I11. Who failed to start never promised a beat: there, only one that came begins a period (spec 1 §2.5). Else whatever cannot be
 *       started would be lost and started again for ever.
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
  /** Whether a period begins with the status itself; else only a beat begins one (I11). */
  readonly beginsUnheard: (entry: DirectoryEntry) => boolean;
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
  beginsUnheard: ({ status }) => status !== 'failed',
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
  beginsUnheard: () => true,
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
  /** The same by our wall clock as it stood then: what is said of it, and so in all replicas that learnt of it from the same source. */
  readonly #wall = new Map<string, number>();
  /** When those who were reported were heard last, wall clock (I10). */
  readonly #reported = new Map<string, number>();
  /** What came before this is no evidence. */
  #deafUntil: number;

  constructor(parts: Parts, rule: SilenceRule) {
    this.#parts = parts;
    this.#rule = rule;
    this.#deafUntil = parts.clock.monotonicMs();
    const watched = [...parts.directory.all()].filter(
      (entry) => rule.watches(entry) && (rule.beginsUnheard(entry) || isOfItsStatus(entry, entry.lastBeatAt ?? 0)),
    );
    this.#lastHeard.seed(watched.map((entry) => [entry.workspaceId, this.#monotonic(lastHeardOf(entry))]));
    const now = parts.clock.now().getTime();
    for (const entry of watched) this.#wall.set(entry.workspaceId, Math.min(lastHeardOf(entry), now));
    // A status that changed counts as heard: a period begins with it.
    parts.directory.onChange((fact, entry) => {
      this.#reported.delete(entry.workspaceId);
      const watched = rule.watches(entry);
      if (watched && rule.beginsUnheard(entry))
        return this.#note(entry.workspaceId, parts.clock.monotonicMs(), parts.clock.now().getTime());
      if (watched && fact.type !== 'workspace.status') return;
      this.#lastHeard.forget(entry.workspaceId);
      this.#wall.delete(entry.workspaceId);
    });
  }

  /** `at`: milliseconds since the epoch, by our clock. */
  heard(workspaceId: string, at: number): void {
    const entry = this.#parts.directory.get(workspaceId);
    if (entry === undefined || !this.#rule.watches(entry)) return;
    if (!this.#rule.beginsUnheard(entry) && !isOfItsStatus(entry, at)) return; // the last beats are read again at our start
    this.#reported.delete(workspaceId);
    this.#note(workspaceId, this.#monotonic(at), at);
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
    const silent = this.#lastHeard.takeSilent(now - afterMs);
    for (const [index, { workspaceId, at }] of silent.entries()) {
      try {
        await this.#report(workspaceId, at, { now, afterMs });
      } catch (error) {
        // Not said, so not forgotten: the next pass sees this one again, and those that were to come after it.
        this.#lastHeard.seed(silent.slice(index).map((left) => [left.workspaceId, left.at] as const));
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
    const { directory, capabilities, ledger, clock, log } = this.#parts;
    const entry = directory.get(workspaceId);
    if (entry === undefined || !this.#rule.watches(entry)) return;
    const unheard = entry.lastBeatAt === null && capabilities.lastBeatAt(workspaceId) === undefined;
    if (unheard && !this.#rule.unheardToo(entry)) return;
    const heardAt = this.#wall.get(workspaceId) ?? clock.now().getTime() - (now - at);
    const silentSince = this.#reported.get(workspaceId) ?? heardAt;
    const lastHeardAt = new Date(silentSince).toISOString();
    const commandId = `${this.#rule.name}-${lastHeardAt}-${heardAt}`;
    const fact = this.#rule.report({ workspaceId: entry.workspaceId, lastHeardAt, seconds: afterMs / 1000 });
    await ledger.transact(liveness, { id: workspaceId, commandId }, () => [fact]);
    this.#note(workspaceId, now, clock.now().getTime()); // I10
    this.#reported.set(workspaceId, silentSince);
    log.warn({ workspaceId, lastHeardAt }, this.#rule.says);
  }

  /** When it was on our monotonic clock; what is said to be to come is now. */
  #monotonic(wallMs: number): number {
    const { clock } = this.#parts;
    return clock.monotonicMs() - Math.max(0, clock.now().getTime() - wallMs);
  }

  #note(workspaceId: string, monotonicMs: number, wallMs: number): void {
    if (this.#lastHeard.heard(workspaceId, monotonicMs)) this.#wall.set(workspaceId, wallMs);
  }
}

const isOfItsStatus = ({ statusSince }: DirectoryEntry, beatAt: number): boolean => beatAt > Date.parse(statusSince);

const lastHeardOf = (entry: DirectoryEntry): number => Math.max(entry.lastBeatAt ?? 0, Date.parse(entry.statusSince));
