/**
 * What each runtime declared that it does itself, and how busy it is: a projection each service keeps for itself (D7).
 * It survives a restart, because the beats it starts with are those the bus kept. Register and a lapsed lease clear what
 * was declared; a removed workspace is forgotten.
 */
import { type BeatFeed, heardAt, heardMs } from '@molecule/bus';
import type { AnyRecordedFact, Capability, CapabilitySet, DirectoryEntry } from '@molecule/contracts';
import type { Clock } from '@molecule/service';
import { applyBeat, type RuntimeState, withDeclarations, withoutDeclarations } from './runtime-state.ts';

/** What is needed of a directory: who is known, and what happens to them. */
export interface Workspaces {
  get(workspaceId: string): DirectoryEntry | undefined;
  onChange(listener: (fact: AnyRecordedFact) => void): void;
}

export interface RuntimeCapabilitiesOptions {
  readonly beats: Pick<BeatFeed, 'onBeat'>;
  readonly directory: Workspaces;
  /** How long what was declared holds without a beat, in milliseconds (180 s: spec README, choice 1). */
  readonly leaseMs: number;
  readonly clock: Clock;
}

const NONE: CapabilitySet = new Set();

export class RuntimeCapabilities {
  readonly #states = new Map<string, RuntimeState>();
  readonly #directory: Workspaces;
  readonly #leaseMs: number;
  readonly #clock: Clock;

  constructor({ beats, directory, leaseMs, clock }: RuntimeCapabilitiesOptions) {
    this.#directory = directory;
    this.#leaseMs = leaseMs;
    this.#clock = clock;
    directory.onChange(({ type, workspaceId }) => {
      if (type === 'workspace.removed') this.#states.delete(workspaceId);
      else if (type === 'workspace.registered') this.#clear(workspaceId);
    });
    beats.onBeat(
      (beat, how) => {
        if (directory.get(beat.workspaceId)?.status === 'removed') return;
        const state = this.#states.get(beat.workspaceId);
        const at = heardAt(beat, how, clock);
        const next =
          how.outdated && state
            ? withDeclarations(state, beat)
            : applyBeat(state, beat, { leaseMs, at, heardMs: heardMs(at, clock) });
        this.#states.set(beat.workspaceId, next);
      },
      { outdated: true },
    );
  }

  /** What replaces the platform's idle timeout for this workspace, in milliseconds. */
  idleTimeoutMs(workspaceId: string): number | undefined {
    return this.#held(workspaceId)?.idleTimeoutMs;
  }

  has(workspaceId: string, capability: Capability): boolean {
    return this.#held(workspaceId)?.capabilities?.has(capability) ?? false;
  }

  of(workspaceId: string): CapabilitySet {
    return this.#held(workspaceId)?.capabilities ?? NONE;
  }

  /** As the last beat told, else as the registry knew. */
  activeTasks(workspaceId: string): number | undefined {
    return this.#states.get(workspaceId)?.activeTasks ?? this.#directory.get(workspaceId)?.activeTasks;
  }

  /** Milliseconds since the epoch. */
  lastBeatAt(workspaceId: string): number | undefined {
    const known = this.#directory.get(workspaceId)?.lastBeatAt ?? undefined;
    const heard = this.#states.get(workspaceId)?.lastBeatAt;
    return heard === undefined || known === undefined ? (heard ?? known) : Math.max(heard, known);
  }

  /** US cents; the last that was not 0. */
  monthlySpend(workspaceId: string): number | undefined {
    return this.#states.get(workspaceId)?.monthlySpend || this.#directory.get(workspaceId)?.monthlySpend;
  }

  /** The state, while its lease holds. */
  #held(workspaceId: string): RuntimeState | undefined {
    const state = this.#states.get(workspaceId);
    if (!state || (state.capabilities === undefined && state.idleTimeoutMs === undefined)) return undefined;
    if (this.#clock.monotonicMs() - state.heardMs <= this.#leaseMs) return state;
    this.#clear(workspaceId);
    return undefined;
  }

  #clear(workspaceId: string): void {
    const state = this.#states.get(workspaceId);
    if (state) this.#states.set(workspaceId, withoutDeclarations(state));
  }
}
