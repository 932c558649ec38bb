/**
 * The commands that start, stop and put a workspace to sleep, with the refusals of the wire (spec 1 §1.8). What follows from each is
 * `status.ts`'s business; the tree and the backend are the caller's, and come in as arguments.
 */
import { Refusal, type StartOptions } from '@molecule/contracts';
import type { Decision } from './decisions.ts';
import { weigh } from './status.ts';
import type { Workspace } from './workspace.ts';

export interface Circumstances {
  /** The name of the nearest paused ancestor, if any. */
  readonly pausedAncestor: string | null;
  /** Whether there is anything that could start a container. */
  readonly backend: boolean;
}

const notFound = (message: string) => new Refusal('not-found', message);

function mustBeStartable(state: Workspace, { pausedAncestor, backend }: Circumstances, order: readonly ('backend' | 'parent')[]) {
  const needsBackend = state.situation === 'present' && !state.external;
  for (const guard of order) {
    if (guard === 'backend' && needsBackend && !backend) throw new Refusal('unavailable', 'provisioner not available');
    if (guard === 'parent' && pausedAncestor !== null)
      throw new Refusal('conflict', `parent workspace "${pausedAncestor}" is paused — resume it first`);
  }
}

/** What a restart does beside starting. */
export interface RestartWishes {
  /** What the running container's own configuration says, when it differs (§1.8). */
  readonly runtime?: string | undefined;
  readonly start?: StartOptions | undefined;
}

export const restart =
  (circumstances: Circumstances & RestartWishes): Decision =>
  (state) => {
    if (state.situation !== 'present') throw notFound('workspace not found');
    mustBeStartable(state, circumstances, ['parent', 'backend']);
    const { runtime, start } = circumstances;
    // An external workspace has no container that could say what it runs.
    const same = runtime === undefined || [state.runtime, '', 'external'].includes(runtime) || state.external;
    if (same) return weigh({ kind: 'restart', start })(state);
    return [{ type: 'workspace.changed', data: { runtime } }, ...weigh({ kind: 'restart', start })({ ...state, runtime })];
  };

/** After an offline detection, a changed secret or plugin: never for what was stopped on purpose, and silent where it is skipped. */
export const autoRestart =
  ({ pausedAncestor, backend }: Circumstances): Decision =>
  (state) =>
    backend ? weigh({ kind: 'auto-restart', ancestorPaused: pausedAncestor !== null })(state) : [];

/** After it was found offline: only while it still is. What came back by itself, or was moved by somebody, is left alone. */
export const restartLost =
  (circumstances: Circumstances): Decision =>
  (state) =>
    state.situation === 'present' && state.status === 'offline' ? autoRestart(circumstances)(state) : [];

/** For the workspace that was asked for; those below it are paused by `weigh` alone, which passes over what cannot be. */
export const pause: Decision = (state) => {
  if (state.situation !== 'present' || state.status === 'paused') throw notFound('workspace not found or already paused');
  return weigh({ kind: 'pause' })(state);
};

export const resume =
  (circumstances: Circumstances): Decision =>
  (state) => {
    if (state.situation !== 'present' || state.status !== 'paused') throw notFound('workspace not found or not paused');
    mustBeStartable(state, circumstances, ['backend', 'parent']);
    return weigh({ kind: 'resume', ancestorPaused: false })(state);
  };

/** The claim of a hibernation: who gets the fact stored stops the runtime and then says `hibernated`. */
export const hibernate =
  ({ activeTasks, force }: { readonly activeTasks: number; readonly force: boolean }): Decision =>
  (state) => {
    if (state.situation !== 'present' || (state.status !== 'online' && state.status !== 'degraded')) {
      throw notFound('workspace not found or not in a hibernatable state (must be online or degraded)');
    }
    if (activeTasks > 0 && !force) {
      throw new Refusal('conflict', 'workspace has active tasks; use ?force=true to terminate them', {
        body: { active_tasks: activeTasks },
      });
    }
    return weigh({ kind: 'hibernate', activeTasks, force })(state);
  };

export const hibernated: Decision = weigh({ kind: 'hibernation-done' });

/** An A2A message came for a sleeping workspace (§2.4): the one cause that starts it, and it passes over the other rules as silently. */
export const wake =
  ({ pausedAncestor, backend }: Circumstances): Decision =>
  (state) =>
    backend && pausedAncestor === null ? weigh({ kind: 'wake' })(state) : [];
