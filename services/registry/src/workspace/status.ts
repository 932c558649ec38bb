/**
 * The one place where a workspace's status is decided (D5): what was learnt or asked, weighed against the state, yields facts.
 * Spec 1 §2.2 is the table, §2.3 the order of the heartbeat's rules, §9 #2–#5, #10, #17, #22 the rough edges.
 *
 *   S1. Nothing moves a removed workspace, nor one that does not exist.
 *   S2. Beats move only `online`, `degraded`, `offline` and `provisioning`; `paused`, `hibernating`, `hibernated`, `failed` and
 *       `awaiting_agent` take them without moving.
 *   S3. Between an error rate of 0.1 and 0.5 nothing moves: exactly 0.5 degrades, exactly 0.1 does not recover.
 *   S4. `status_mgmt` silences the two rules of the error rate, and no other.
 *   S5. The status is read once: a beat that is wedged and erring yields both facts, the wedge first.
 *   S6. A passed liveness deadline means nothing to a workspace that is being started, put to sleep, or waits for its agent, and
 *       nothing to one that was stopped on purpose.
 *   S7. No container is ever started for an external workspace: it waits for its agent, or stays as it is.
 */
import type { Json, StartOptions, StatusReason, WorkspaceFact } from '@molecule/contracts';
import type { LiveStatus, PresentWorkspace, Workspace } from './workspace.ts';

/** What a beat says about health, and whether the beat *before* it declared that the runtime judges its own (§2.3). */
export interface BeatSigns {
  readonly errorRate: number;
  readonly sampleError: string;
  readonly runtimeState: string;
  readonly statusManaged: boolean;
}

export type Evidence =
  | ({ readonly kind: 'beat' } & BeatSigns)
  | { readonly kind: 'liveness-lost' }
  | { readonly kind: 'container-exited' }
  | { readonly kind: 'remote-stale' }
  | { readonly kind: 'agent-unreachable' }
  | {
      readonly kind: 'provision-failed';
      readonly error: string;
      /** `null` leaves the stored sample error. */
      readonly sampleError: string | null;
      readonly missing?: readonly string[] | undefined;
    }
  | { readonly kind: 'no-backend' }
  | { readonly kind: 'provision-timed-out'; readonly timeoutSeconds: number; readonly runtime: string }
  | { readonly kind: 'bootstrap-failed'; readonly error: string; readonly logTail: string; readonly sampleError: string }
  | { readonly kind: 'restart' /** How this start differs from an ordinary one. */; readonly start?: StartOptions | undefined }
  | { readonly kind: 'auto-restart'; readonly ancestorPaused: boolean }
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume'; readonly ancestorPaused: boolean }
  | { readonly kind: 'hibernate'; readonly activeTasks: number; readonly force: boolean }
  | { readonly kind: 'hibernation-done' }
  | { readonly kind: 'wake' };

export const DEGRADE_AT = 0.5;
export const RECOVER_BELOW = 0.1;

export const PROVISION_TIMED_OUT =
  'provisioning timed out — container started but never called /registry/register. Check container logs and network connectivity to the platform.';
export const NO_BACKEND = 'Docker not available on this platform instance';
export const NO_BACKEND_SAMPLE = 'Docker not available — workspace containers require a Docker daemon or external provisioning.';

/** The facts that a piece of evidence amounts to for a workspace: none when a guard of the table says so. Pure. */
export const weigh =
  (evidence: Evidence) =>
  (state: Workspace): readonly WorkspaceFact[] => {
    if (state.situation !== 'present') return []; // S1
    switch (evidence.kind) {
      case 'beat':
        return beatMoves(state.status, evidence);
      case 'liveness-lost':
        return isOneOf(state.status, ['online', 'degraded', 'failed']) ? [offline(state, 'liveness-lost')] : []; // S6
      case 'container-exited':
        return isServing(state) && !state.external ? [offline(state, 'container-exited')] : [];
      case 'remote-stale':
        return isServing(state) && state.external ? [offline(state, 'remote-stale')] : [];
      case 'agent-unreachable':
        return goneUnasked(state) ? [offline(state, 'agent-unreachable')] : [];
      case 'provision-failed':
      case 'no-backend':
      case 'provision-timed-out':
      case 'bootstrap-failed':
        return state.status === 'provisioning' ? [failed(evidence)] : []; // §9 #22
      case 'restart':
        return start(state, 'restart', evidence.start);
      case 'auto-restart': {
        const skipped = state.external || evidence.ancestorPaused || isOneOf(state.status, ['paused', 'hibernated']);
        return skipped ? [] : start(state, 'auto-restart');
      }
      case 'pause':
        return state.status === 'paused' ? [] : [paused(state)];
      case 'resume':
        return state.status === 'paused' && !evidence.ancestorPaused ? start(state, 'resume') : [];
      case 'hibernate':
        return isServing(state) && (evidence.force || evidence.activeTasks === 0) ? [claimedForSleep(state)] : [];
      case 'hibernation-done':
        return state.status === 'hibernating' ? [hibernated(state)] : [];
      case 'wake':
        return state.status === 'hibernated' ? start(state, 'wake') : [];
      default:
        return unreachable(evidence);
    }
  };

/**
 * The rules of the heartbeat, in the order of §2.3. Exported for those who know only the status and want to know whether a beat
 * moves it at all: a steady beat must cost nothing.
 */
export function beatMoves(status: LiveStatus, beat: BeatSigns): readonly WorkspaceFact[] {
  switch (status) {
    case 'online': {
      const wedged = beat.runtimeState === 'wedged';
      const erring = beat.errorRate >= DEGRADE_AT && !beat.statusManaged; // S3, S4
      const degraded = (reason: 'wedged' | 'error-rate', from: LiveStatus, signs: Record<string, Json>) =>
        moved(from, 'degraded', reason, ['WORKSPACE_DEGRADED', { ...signs, sample_error: beat.sampleError }]);
      return [
        ...(wedged ? [degraded('wedged', 'online', { runtime_state: 'wedged' })] : []),
        ...(erring ? [degraded('error-rate', wedged ? 'degraded' : 'online', { error_rate: beat.errorRate })] : []), // S5
      ];
    }
    case 'degraded': {
      const well = beat.errorRate < RECOVER_BELOW && beat.runtimeState === '' && !beat.statusManaged; // S3, S4
      return well ? [moved('degraded', 'online', 'recovered', ['WORKSPACE_ONLINE', {}])] : [];
    }
    case 'offline':
      return [moved('offline', 'online', 'heartbeat', ['WORKSPACE_ONLINE', {}])];
    case 'provisioning':
      return [moved('provisioning', 'online', 'heartbeat', ['WORKSPACE_ONLINE', { recovered_from: 'provisioning' }])];
    case 'paused':
    case 'hibernating':
    case 'hibernated':
    case 'failed':
    case 'awaiting_agent':
      return []; // S2
    default:
      return unreachable(status);
  }
}

/** Restart, resume and wake: a container is wanted and its old place forgotten; an external workspace waits for its agent (S7). */
function start(
  state: PresentWorkspace,
  reason: 'restart' | 'auto-restart' | 'resume' | 'wake',
  options?: StartOptions,
): readonly WorkspaceFact[] {
  if (!state.external) {
    const { name, tier, runtime } = state;
    const event = ['WORKSPACE_PROVISIONING', { name, tier, runtime }] as const;
    return [moved(state.status, 'provisioning', reason, event, { clearsUrl: true, start: options })];
  }
  if (state.url !== '' || state.status === 'awaiting_agent') return [];
  return [moved(state.status, 'awaiting_agent', reason, ['WORKSPACE_AWAITING_AGENT', { name: state.name, external: true }])];
}

const paused = (state: PresentWorkspace) =>
  moved(state.status, 'paused', 'pause', ['WORKSPACE_PAUSED', { name: state.name }], { clearsUrl: true });

/** The claim: whoever stores this fact stops the runtime, and nobody else does (§1.8, §9 #17). Nobody is told until it sleeps. */
const claimedForSleep = (state: PresentWorkspace) => moved(state.status, 'hibernating', 'hibernate', null);

const hibernated = ({ name, tier }: PresentWorkspace) =>
  moved('hibernating', 'hibernated', 'hibernate', ['WORKSPACE_HIBERNATED', { name, tier }], { clearsUrl: true });

const offline = (state: PresentWorkspace, reason: StatusReason) =>
  moved(state.status, 'offline', reason, ['WORKSPACE_OFFLINE', {}]);

type Failure = Extract<Evidence, { kind: 'provision-failed' | 'no-backend' | 'provision-timed-out' | 'bootstrap-failed' }>;

function failed(evidence: Failure): WorkspaceFact {
  const fact = (reason: StatusReason, payload: Record<string, Json>, sampleError: string | null) =>
    moved('provisioning', 'failed', reason, ['WORKSPACE_PROVISION_FAILED', payload], sampleError === null ? {} : { sampleError });
  switch (evidence.kind) {
    case 'provision-failed': {
      const missing = evidence.missing === undefined ? {} : { missing: [...evidence.missing] };
      return fact('provision-failed', { error: evidence.error, ...missing }, evidence.sampleError);
    }
    case 'no-backend':
      return fact('no-backend', { error: NO_BACKEND }, NO_BACKEND_SAMPLE);
    case 'provision-timed-out':
      return fact(
        'provision-timed-out',
        {
          error: PROVISION_TIMED_OUT,
          timeout_secs: evidence.timeoutSeconds,
          runtime: evidence.runtime,
          source: 'provision_timeout_sweep',
        },
        PROVISION_TIMED_OUT,
      );
    case 'bootstrap-failed':
      return fact(
        'bootstrap-failed',
        { error: evidence.error, log_tail: evidence.logTail, source: 'bootstrap_watcher' },
        evidence.sampleError,
      );
    default:
      return unreachable(evidence);
  }
}

function moved(
  from: LiveStatus,
  to: LiveStatus,
  reason: StatusReason,
  event: readonly [type: string, payload: Record<string, Json>] | null,
  { clearsUrl = false, sampleError, start }: { clearsUrl?: boolean; sampleError?: string; start?: StartOptions | undefined } = {},
): WorkspaceFact {
  return {
    type: 'workspace.status',
    data: {
      from,
      to,
      reason,
      clearsUrl,
      ...(sampleError === undefined ? {} : { sampleError }),
      event: event === null ? null : { type: event[0], payload: event[1] },
      ...(start === undefined ? {} : { start }),
    },
  };
}

const isServing = (state: PresentWorkspace): boolean => isOneOf(state.status, ['online', 'degraded']);

/**
 * A dispatch failed and the backend says that the container is gone. That is news of any status but one whose container is just being
 * made (§2.2) or was stopped on purpose: a call cut off by a pause must not undo the pause. External ones have no container.
 */
const goneUnasked = (state: PresentWorkspace): boolean =>
  !state.external && isOneOf(state.status, ['online', 'degraded', 'failed', 'awaiting_agent']);

const isOneOf = (status: LiveStatus, statuses: readonly LiveStatus[]): boolean => statuses.includes(status);

/** A case was forgotten: the compiler says so here, at the switch. */
const unreachable = (value: never): never => {
  throw new TypeError(`unknown case ${JSON.stringify(value)}`);
};
