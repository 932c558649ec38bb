/**
 * What is known of a runtime from its beats. Pure.
 *
 *   K1. A beat without `runtime_metadata` says nothing about it: what was declared last stays (spec README, choice 2).
 *   K2. A beat with it replaces both fields, each on its own: no or empty capabilities clear the flags, no or a non-positive
 *       idle timeout clears the override.
 *   K3. A lease that ran out before the beat clears both, before the beat is looked at.
 *   K4. Nothing of the beat is kept by reference; what says nothing is not kept at all.
 */
import { type Beat, type CapabilitySet, capabilitySet } from '@molecule/contracts';

export interface RuntimeState {
  /** Milliseconds since the epoch, by the reader's clock; never goes back. */
  readonly lastBeatAt: number;
  /** The same by its monotonic clock: what the lease is counted from. */
  readonly heardMs: number;
  readonly activeTasks: number;
  /** US cents; the last one that was not 0 (spec 1 §3.3). 0 when none was. */
  readonly monthlySpend: number;
  /** Absent: none declared. Never empty. */
  readonly capabilities?: CapabilitySet;
  /** Milliseconds, positive. Absent: the platform's own timeout holds. */
  readonly idleTimeoutMs?: number;
}

export interface Applied {
  /** How long what was declared holds without a beat, in milliseconds. */
  readonly leaseMs: number;
  /** When it was heard, in milliseconds since the epoch: by the same clock for every beat. */
  readonly at: number;
  /** The same by that reader's monotonic clock. */
  readonly heardMs: number;
}

/** Beats are applied in the order they come. */
export function applyBeat(state: RuntimeState | undefined, beat: Beat, { leaseMs, at, heardMs }: Applied): RuntimeState {
  const lapsed = state !== undefined && heardMs - state.heardMs > leaseMs; // K3
  const kept = lapsed ? undefined : state;
  const figures = {
    lastBeatAt: Math.max(at, state?.lastBeatAt ?? 0),
    heardMs: Math.max(heardMs, state?.heardMs ?? heardMs),
    activeTasks: beat.activeTasks,
    monthlySpend: beat.monthlySpend > 0 ? beat.monthlySpend : (state?.monthlySpend ?? 0),
  };
  const { runtimeMetadata } = beat;
  if (runtimeMetadata === undefined) return { ...figures, ...declared(kept?.capabilities, kept?.idleTimeoutMs) };
  return withDeclarations(figures, beat);
}

/** What an older beat declared, with the figures that are known since (it was heard late, and nothing newer has declared anything). */
export function withDeclarations(state: RuntimeState, { runtimeMetadata }: Beat): RuntimeState {
  if (runtimeMetadata === undefined) return state;
  const { capabilities, idle_timeout_seconds: idleSeconds } = runtimeMetadata;
  return { ...withoutDeclarations(state), ...declared(capabilitySet(capabilities), (idleSeconds ?? 0) * 1_000) };
}

/** What a register leaves: the figures, and nothing that was declared (spec README, choice 2). */
export function withoutDeclarations({ lastBeatAt, heardMs, activeTasks, monthlySpend }: RuntimeState): RuntimeState {
  return { lastBeatAt, heardMs, activeTasks, monthlySpend };
}

/** K4. */
const declared = (
  capabilities: CapabilitySet | undefined,
  idleTimeoutMs: number | undefined,
): Pick<RuntimeState, 'capabilities' | 'idleTimeoutMs'> => ({
  ...(capabilities === undefined || capabilities.size === 0 ? {} : { capabilities }),
  ...(idleTimeoutMs === undefined || idleTimeoutMs <= 0 ? {} : { idleTimeoutMs }),
});
