/**
 * What may be said of a workload.
 *
 *   W1. Every start has a run number of its own. A result counts only for the run that is under way: one that was overtaken by
 *       a stop or by a later start says nothing (I5).
 *   W2. Saying what is so already says nothing.
 *   W3. A start that is taken over is the same start: what it was to do beside starting it still does.
 */
import type { BackendName, ContainerFact, StartOptions, WorkspaceId } from '@molecule/contracts';
import type { Container } from './container.ts';

type Decision = (container: Container) => readonly ContainerFact[];

interface NewStart {
  readonly workspaceId: WorkspaceId;
  readonly backend: BackendName;
  readonly start?: StartOptions | undefined;
}

export const takeOn =
  ({ workspaceId, backend, start }: NewStart): Decision =>
  ({ run }) => [
    { type: 'container.starting', data: { workspaceId, run: run + 1, backend, ...(start === undefined ? {} : { start }) } },
  ];

/** Takes on again a start that was left without a result; only if it still is that one. */
export const takeOver =
  ({ workspaceId, backend, run }: { workspaceId: WorkspaceId; backend: BackendName; run: number }): Decision =>
  (container) =>
    container.run === run && (container.phase === 'starting' || container.phase === 'running')
      ? takeOn({ workspaceId, backend, start: container.phase === 'starting' ? container.start : undefined })(container) // W3
      : [];

export const reportStarted =
  (data: { workspaceId: WorkspaceId; run: number; url: string; backend: BackendName }): Decision =>
  (container) =>
    isUnderWay(container, data.run) ? [{ type: 'container.started', data }] : [];

export const reportFailed =
  (data: Extract<ContainerFact, { type: 'provision.failed' }>['data']): Decision =>
  (container) =>
    isUnderWay(container, data.run) ? [{ type: 'provision.failed', data }] : [];

/** The engine says for certain that it does not run, and nobody stopped it. */
export const reportExited =
  (data: { workspaceId: WorkspaceId; run: number }): Decision =>
  (container) =>
    container.phase === 'running' && container.run === data.run ? [{ type: 'container.exited', data }] : [];

export const reportStopped =
  (data: { workspaceId: WorkspaceId; volumeRemoved: boolean }): Decision =>
  (container) => {
    if (container.phase === 'absent') return [];
    const known = container.phase === 'stopped' && (container.volumeRemoved || !data.volumeRemoved);
    return known ? [] : [{ type: 'container.stopped', data }];
  };

const isUnderWay = (container: Container, run: number): boolean => container.phase === 'starting' && container.run === run;
