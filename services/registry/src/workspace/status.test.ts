import { CANVAS_EVENTS, type CanvasEventName, type WorkspaceFact } from '@molecule/contracts';
import { replay } from '@molecule/event-store';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { aWorkspace, EVERY_LIVE, ROWS, rowOf } from './status.fixtures.ts';
import { beatMoves, type Evidence, weigh } from './status.ts';
import { type LiveStatus, type Workspace, workspaceFold } from './workspace.ts';

const healthy = { kind: 'beat', errorRate: 0, sampleError: '', runtimeState: '', statusManaged: false } as const;
const beat = (signs: Partial<typeof healthy | { errorRate: number; runtimeState: string; statusManaged: boolean }>) =>
  ({ ...healthy, ...signs }) as Evidence;
const rows = (facts: readonly WorkspaceFact[]) => facts.map((fact) => rowOf(fact)[0]);
const movesOf = (status: LiveStatus, evidence: Evidence, external = false) =>
  rows(weigh(evidence)(aWorkspace({ status, external })));

/** Whether the event that tells of a fact is in the catalogue, and carries what it says there. */
const catalogued = (fact: WorkspaceFact): boolean => {
  const event = fact.type === 'workspace.status' ? fact.data.event : null;
  return event !== null && CANVAS_EVENTS[event.type as CanvasEventName].payload.safeParse(event.payload).success;
};

describe('a beat', () => {
  it.each<[LiveStatus, Parameters<typeof beat>[0], string[]]>([
    ['online', { errorRate: 0 }, []],
    ['online', { errorRate: 0.49999 }, []],
    ['online', { errorRate: 0.5 }, ['online → degraded (error-rate)']],
    ['online', { errorRate: 0.5, statusManaged: true }, []],
    ['online', { runtimeState: 'wedged' }, ['online → degraded (wedged)']],
    ['online', { runtimeState: 'wedged', statusManaged: true }, ['online → degraded (wedged)']],
    ['online', { runtimeState: 'odd' }, []],
    ['online', { runtimeState: 'wedged', errorRate: 0.5 }, ['online → degraded (wedged)', 'degraded → degraded (error-rate)']],
    ['degraded', { errorRate: 0.09 }, ['degraded → online (recovered)']],
    ['degraded', { errorRate: 0.1 }, []],
    ['degraded', { errorRate: 0.3 }, []],
    ['degraded', { errorRate: 0, runtimeState: 'wedged' }, []],
    ['degraded', { errorRate: 0, runtimeState: 'odd' }, []],
    ['degraded', { errorRate: 0, statusManaged: true }, []],
    ['offline', { errorRate: 1 }, ['offline → online (heartbeat)']],
    ['offline', { runtimeState: 'wedged' }, ['offline → online (heartbeat)']],
    ['provisioning', { errorRate: 1 }, ['provisioning → online (heartbeat)']],
    ['paused', { errorRate: 1 }, []],
    ['hibernating', {}, []],
    ['hibernated', { runtimeState: 'wedged' }, []],
    ['failed', {}, []],
    ['awaiting_agent', {}, []],
  ])('on %s with %j yields %j', (status, signs, expected) => expect(movesOf(status, beat(signs))).toEqual(expected));

  it('tells the canvas what it saw', () => {
    const signs = { errorRate: 0.75, sampleError: 'boom', runtimeState: 'wedged', statusManaged: false };
    expect(beatMoves('online', signs).map((fact) => fact.type === 'workspace.status' && fact.data.event)).toEqual([
      { type: 'WORKSPACE_DEGRADED', payload: { runtime_state: 'wedged', sample_error: 'boom' } },
      { type: 'WORKSPACE_DEGRADED', payload: { error_rate: 0.75, sample_error: 'boom' } },
    ]);
    expect(beatMoves('provisioning', signs)).toMatchObject([
      { data: { event: { type: 'WORKSPACE_ONLINE', payload: { recovered_from: 'provisioning' } } } },
    ]);
    expect(beatMoves('offline', signs)).toMatchObject([{ data: { event: { type: 'WORKSPACE_ONLINE', payload: {} } } }]);
  });
});

describe('a passed liveness deadline', () => {
  it.each<[LiveStatus, boolean]>([
    ['online', true],
    ['degraded', true],
    ['failed', true],
    ['offline', false],
    ['provisioning', false],
    ['hibernating', false],
    ['awaiting_agent', false],
    ['paused', false],
    ['hibernated', false],
  ])('on %s counts: %s', (status, counts) =>
    expect(movesOf(status, { kind: 'liveness-lost' })).toEqual(counts ? [`${status} → offline (liveness-lost)`] : []),
  );
});

describe('a container that is gone', () => {
  it.each<[LiveStatus, boolean, boolean]>([
    ['online', true, true],
    ['degraded', true, true],
    ['failed', false, true],
    ['provisioning', false, false],
    ['paused', false, false],
    ['hibernated', false, false],
    ['offline', false, false],
  ])('on %s counts for the backend: %s, for a failed dispatch: %s', (status, exited, unreachable) => {
    expect(movesOf(status, { kind: 'container-exited' })).toHaveLength(exited ? 1 : 0);
    expect(movesOf(status, { kind: 'agent-unreachable' })).toHaveLength(unreachable ? 1 : 0);
  });

  it('says nothing of an external workspace, which only its own silence does', () => {
    expect(movesOf('online', { kind: 'container-exited' }, true)).toEqual([]);
    expect(movesOf('online', { kind: 'agent-unreachable' }, true)).toEqual([]);
    expect(movesOf('online', { kind: 'remote-stale' }, true)).toEqual(['online → offline (remote-stale)']);
    expect(movesOf('online', { kind: 'remote-stale' }, false)).toEqual([]);
  });
});

describe('a start that did not work out', () => {
  const failure = { kind: 'provision-failed', error: 'workspace start failed', sampleError: 'workspace start failed' } as const;

  it.each(EVERY_LIVE)('on %s counts only while provisioning', (status) =>
    expect(movesOf(status, failure)).toHaveLength(status === 'provisioning' ? 1 : 0),
  );

  it('carries the canned text, and leaves the sample error where there is none', () => {
    const [fact] = weigh({ ...failure, sampleError: null, missing: ['KEY'] })(aWorkspace({ status: 'provisioning' }));
    expect(fact?.data).toMatchObject({ event: { payload: { error: 'workspace start failed', missing: ['KEY'] } } });
    expect(fact?.data).not.toHaveProperty('sampleError');
  });

  it('names its source when it timed out or the bootstrap watcher saw it', () => {
    const timedOut = weigh({ kind: 'provision-timed-out', timeoutSeconds: 600, runtime: 'echo' })(
      aWorkspace({ status: 'provisioning' }),
    );
    expect(timedOut).toMatchObject([
      {
        data: {
          sampleError: expect.stringContaining('never called /registry/register'),
          event: { payload: { timeout_secs: 600, runtime: 'echo', source: 'provision_timeout_sweep' } },
        },
      },
    ]);
    const bootstrap = { kind: 'bootstrap-failed', error: 'e', logTail: 'tail', sampleError: 'e\n\ntail' } as const;
    expect(weigh(bootstrap)(aWorkspace({ status: 'provisioning' }))).toMatchObject([
      { data: { sampleError: 'e\n\ntail', event: { payload: { error: 'e', log_tail: 'tail', source: 'bootstrap_watcher' } } } },
    ]);
  });

  it('is explained where there is no backend at all', () =>
    expect(weigh({ kind: 'no-backend' })(aWorkspace({ status: 'provisioning' }))).toMatchObject([
      {
        data: {
          sampleError: 'Docker not available — workspace containers require a Docker daemon or external provisioning.',
          event: { type: 'WORKSPACE_PROVISION_FAILED', payload: { error: 'Docker not available on this platform instance' } },
        },
      },
    ]));
});

describe('hibernating', () => {
  it('is claimed from a workspace that serves and is idle, or by force', () => {
    expect(movesOf('online', { kind: 'hibernate', activeTasks: 1, force: false })).toEqual([]);
    expect(movesOf('online', { kind: 'hibernate', activeTasks: 1, force: true })).toEqual(['online → hibernating (hibernate)']);
    expect(movesOf('offline', { kind: 'hibernate', activeTasks: 0, force: true })).toEqual([]);
  });

  it('is claimed once', () => {
    const claim = weigh({ kind: 'hibernate', activeTasks: 0, force: false });
    expect(claim(replay(workspaceFold, claim(aWorkspace({ status: 'online' })), aWorkspace({ status: 'online' })))).toEqual([]);
  });

  it('ends asleep, its place forgotten', () => {
    const asleep = replay(
      workspaceFold,
      weigh({ kind: 'hibernation-done' })(aWorkspace({ status: 'hibernating', url: 'http://127.0.0.1:1' })),
      aWorkspace({ status: 'hibernating', url: 'http://127.0.0.1:1' }),
    );
    expect(asleep).toMatchObject({ status: 'hibernated', url: '', internalUrl: '' });
  });
});

describe('an external workspace', () => {
  it('waits for its agent instead of being started, or stays where its agent is', () => {
    expect(movesOf('paused', { kind: 'resume', ancestorPaused: false }, true)).toEqual(['paused → awaiting_agent (resume)']);
    expect(movesOf('awaiting_agent', { kind: 'restart' }, true)).toEqual([]);
    expect(rows(weigh({ kind: 'restart' })(aWorkspace({ status: 'online', external: true, url: 'http://x' })))).toEqual([]);
    expect(movesOf('online', { kind: 'auto-restart', ancestorPaused: false }, true)).toEqual([]);
  });
});

const anyEvidence: fc.Arbitrary<Evidence> = fc.oneof(
  fc.record({
    kind: fc.constant('beat' as const),
    errorRate: fc.oneof(fc.constantFrom(0, 0.1, 0.5, 1), fc.double({ min: 0, max: 1, noNaN: true })),
    sampleError: fc.constantFrom('', 'boom'),
    runtimeState: fc.constantFrom('', 'wedged', 'odd'),
    statusManaged: fc.boolean(),
  }),
  fc.constantFrom<Evidence>(
    { kind: 'liveness-lost' },
    { kind: 'container-exited' },
    { kind: 'remote-stale' },
    { kind: 'agent-unreachable' },
    { kind: 'provision-failed', error: 'e', sampleError: null },
    { kind: 'no-backend' },
    { kind: 'provision-timed-out', timeoutSeconds: 600, runtime: 'echo' },
    { kind: 'bootstrap-failed', error: 'e', logTail: '', sampleError: 'e' },
    { kind: 'restart' },
    { kind: 'auto-restart', ancestorPaused: false },
    { kind: 'auto-restart', ancestorPaused: true },
    { kind: 'pause' },
    { kind: 'resume', ancestorPaused: false },
    { kind: 'resume', ancestorPaused: true },
    { kind: 'hibernate', activeTasks: 0, force: false },
    { kind: 'hibernate', activeTasks: 2, force: true },
    { kind: 'hibernation-done' },
    { kind: 'wake' },
  ),
);
const anyWorkspace = fc
  .record({
    status: fc.constantFrom(...EVERY_LIVE),
    external: fc.boolean(),
    url: fc.constantFrom('', 'http://127.0.0.1:9', 'https://agent.example'),
  })
  .map(aWorkspace);

describe('any history of evidence', () => {
  it('moves only along the rows of the table, each with its event', () =>
    fc.assert(
      fc.property(anyWorkspace, fc.array(anyEvidence, { maxLength: 30 }), (first, history) => {
        let state: Workspace = first;
        for (const evidence of history) {
          for (const fact of weigh(evidence)(state)) {
            const [row, event] = rowOf(fact);
            expect(ROWS[row], row).toBe(event);
            if (event !== 'none') expect(catalogued(fact), row).toBe(true);
            expect(fact.data, 'a fact starts where its workspace is').toMatchObject({
              from: state.situation === 'present' ? state.status : 'removed',
            });
            state = workspaceFold.evolve(state, fact);
          }
        }
      }),
    ));

  it('changes the status by facts alone: no fact, no move', () =>
    fc.assert(
      fc.property(anyWorkspace, anyEvidence, (state, evidence) => {
        const facts = weigh(evidence)(state);
        const after = replay(workspaceFold, facts, state);
        expect(after.situation === 'present' && after.status !== state.status).toBe(
          facts.some((fact) => fact.type === 'workspace.status' && fact.data.to !== state.status),
        );
      }),
    ));

  it('S1: leaves what is removed, and what never was, as it is', () =>
    fc.assert(
      fc.property(anyEvidence, (evidence) => {
        expect(weigh(evidence)({ situation: 'removed' })).toEqual([]);
        expect(weigh(evidence)({ situation: 'absent' })).toEqual([]);
      }),
    ));

  it('W1: never leaves removed, whatever facts come after', () =>
    fc.assert(
      fc.property(anyWorkspace, fc.array(anyEvidence), (state, history) => {
        const late = history.flatMap((evidence) => weigh(evidence)(state));
        const register: WorkspaceFact = {
          type: 'workspace.registered',
          data: { from: 'online', url: 'http://a', internalUrl: 'http://a', agentCard: null },
        };
        expect(replay(workspaceFold, [...late, register], { situation: 'removed' })).toEqual({ situation: 'removed' });
      }),
    ));

  it('S3: between 0.1 and 0.5 a beat moves neither an online nor a degraded workspace', () =>
    fc.assert(
      fc.property(
        fc.double({ min: 0.1, max: 0.5, maxExcluded: true, noNaN: true }),
        fc.boolean(),
        fc.constantFrom<LiveStatus>('online', 'degraded'),
        (errorRate, statusManaged, status) => {
          expect(beatMoves(status, { errorRate, statusManaged, sampleError: '', runtimeState: '' })).toEqual([]);
        },
      ),
    ));

  it('S4: status_mgmt silences the error rate and nothing else', () =>
    fc.assert(
      fc.property(
        fc.constantFrom(...EVERY_LIVE),
        fc.double({ min: 0, max: 1, noNaN: true }),
        fc.boolean(),
        (status, errorRate, wedged) => {
          const signs = { errorRate, sampleError: '', runtimeState: wedged ? 'wedged' : '' };
          const managed = rows(beatMoves(status, { ...signs, statusManaged: true }));
          const inferred = rows(beatMoves(status, { ...signs, statusManaged: false }));
          expect(managed).toEqual(inferred.filter((row) => !/error-rate|recovered/.test(row)));
        },
      ),
    ));

  it('S7: never starts a container for an external workspace', () =>
    fc.assert(
      fc.property(anyWorkspace, anyEvidence, (state, evidence) => {
        if (!state.external) return;
        for (const fact of weigh(evidence)(state)) expect(fact.data).not.toMatchObject({ to: 'provisioning' });
      }),
    ));
});
