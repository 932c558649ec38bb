import { type ContainerFact, WorkspaceId } from '@molecule/contracts';
import { scenario } from '@molecule/testkit';
import { describe, it } from 'vitest';
import { container } from './container.ts';
import { reportExited, reportFailed, reportStarted, reportStopped, takeOn, takeOver } from './decisions.ts';

const { given } = scenario(container);
const workspaceId = WorkspaceId.parse('0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f');
const backend = 'process';
const url = 'http://127.0.0.1:4100';

const starting = (run: number): ContainerFact => ({ type: 'container.starting', data: { workspaceId, run, backend } });
const started = (run: number): ContainerFact => ({ type: 'container.started', data: { workspaceId, run, url, backend } });
const stopped = (volumeRemoved: boolean): ContainerFact => ({ type: 'container.stopped', data: { workspaceId, volumeRemoved } });
const failed = (run: number): ContainerFact => ({
  type: 'provision.failed',
  data: { workspaceId, run, error: 'workspace start failed', sampleError: 'workspace start failed' },
});
const failure = { workspaceId, error: 'workspace start failed', sampleError: 'workspace start failed' };

describe('taking on a start', () => {
  it('gives it the next number (W1)', () => {
    given().when(takeOn({ workspaceId, backend })).then(starting(1));
    given(starting(1), started(1)).when(takeOn({ workspaceId, backend })).then(starting(2));
    given(starting(1), started(1), stopped(true)).when(takeOn({ workspaceId, backend })).then(starting(2));
  });
});

describe('a start that does more than start', () => {
  const start = { template: 'echo', resetSession: true };
  const special = (run: number): ContainerFact => ({ type: 'container.starting', data: { workspaceId, run, backend, start } });
  it('says so', () => given().when(takeOn({ workspaceId, backend, start })).then(special(1)));
  it('W3: still does when it is taken over, and not once it has run', () => {
    given(special(1))
      .when(takeOver({ workspaceId, backend, run: 1 }))
      .then(special(2));
    given(special(1), started(1))
      .when(takeOver({ workspaceId, backend, run: 1 }))
      .then(starting(2));
  });
});

describe('a workload that the engine has not', () => {
  it('has exited, if it was believed to run', () => {
    const exited: ContainerFact = { type: 'container.exited', data: { workspaceId, run: 1 } };
    given(starting(1), started(1))
      .when(reportExited({ workspaceId, run: 1 }))
      .then(exited);
    given(starting(1), started(1), exited)
      .when(reportExited({ workspaceId, run: 1 }))
      .thenNothing();
    given(starting(1), started(1), starting(2))
      .when(reportExited({ workspaceId, run: 1 }))
      .thenNothing();
    given(starting(1), started(1), stopped(false))
      .when(reportExited({ workspaceId, run: 1 }))
      .thenNothing();
    given(starting(1), started(1), starting(2), started(2))
      .when(reportExited({ workspaceId, run: 1 }))
      .thenNothing();
  });
});

describe('taking over a start that was left', () => {
  it('takes it on anew', () =>
    given(starting(1))
      .when(takeOver({ workspaceId, backend, run: 1 }))
      .then(starting(2)));
  it('takes on what ran and ended', () =>
    given(starting(1), started(1))
      .when(takeOver({ workspaceId, backend, run: 1 }))
      .then(starting(2)));
  it('leaves it when another start came after', () =>
    given(starting(1), starting(2))
      .when(takeOver({ workspaceId, backend, run: 1 }))
      .thenNothing());
  it('leaves it when it was stopped', () =>
    given(starting(1), stopped(true))
      .when(takeOver({ workspaceId, backend, run: 1 }))
      .thenNothing());
});

describe('the result of a start', () => {
  it('counts for the run under way', () => {
    given(starting(1))
      .when(reportStarted({ workspaceId, run: 1, url, backend }))
      .then(started(1));
    given(starting(1))
      .when(reportFailed({ ...failure, run: 1 }))
      .then(failed(1));
  });
  it('says nothing after a stop (I5)', () => {
    given(starting(1), stopped(true))
      .when(reportStarted({ workspaceId, run: 1, url, backend }))
      .thenNothing();
    given(starting(1), stopped(false))
      .when(reportFailed({ ...failure, run: 1 }))
      .thenNothing();
  });
  it('says nothing after a newer start', () =>
    given(starting(1), starting(2))
      .when(reportStarted({ workspaceId, run: 1, url, backend }))
      .thenNothing());
  it('is said once (W2)', () =>
    given(starting(1), started(1))
      .when(reportStarted({ workspaceId, run: 1, url, backend }))
      .thenNothing());
});

describe('a stop', () => {
  it('is recorded, also of a start under way', () => {
    given(starting(1))
      .when(reportStopped({ workspaceId, volumeRemoved: false }))
      .then(stopped(false));
    given(starting(1), started(1))
      .when(reportStopped({ workspaceId, volumeRemoved: true }))
      .then(stopped(true));
  });
  it('is recorded again when now its volume went', () =>
    given(starting(1), stopped(false))
      .when(reportStopped({ workspaceId, volumeRemoved: true }))
      .then(stopped(true)));
  it('is silent when that is so already (W2)', () => {
    given(starting(1), stopped(true))
      .when(reportStopped({ workspaceId, volumeRemoved: false }))
      .thenNothing();
    given(starting(1), stopped(true))
      .when(reportStopped({ workspaceId, volumeRemoved: true }))
      .thenNothing();
  });
  it('is silent of what never was', () =>
    given()
      .when(reportStopped({ workspaceId, volumeRemoved: true }))
      .thenNothing());
});
