import { randomUUID } from 'node:crypto';
import { Refusal, WORKSPACE_STATUSES, type WorkspaceFact, WorkspaceId, type WorkspaceStatus } from '@molecule/contracts';
import { createdData, recordedFact } from '@molecule/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { removeRoot } from './decisions.ts';
import { Explanation, explain, type Known, type StatusFact } from './explain.ts';
import { type Circumstances, hibernate, pause, restart, resume, wake } from './lifecycle.ts';
import { aWorkspace } from './status.fixtures.ts';
import type { LiveStatus, PresentWorkspace, Workspace } from './workspace.ts';

const id = WorkspaceId.parse(randomUUID());
const SINCE = '2026-03-02T09:00:00.000Z';
const at = (seconds: number) => new Date(Date.parse(SINCE) + seconds * 1_000).toISOString();

const because = (fact: WorkspaceFact): StatusFact =>
  recordedFact(fact, { workspaceId: id, version: 7, stream: `workspace.${id}`, recordedAt: SINCE }) as StatusFact;
const moved = (to: LiveStatus, reason: Extract<WorkspaceFact, { type: 'workspace.status' }>['data']['reason'], payload = {}) =>
  because({
    type: 'workspace.status',
    data: { from: 'online', to, reason, clearsUrl: false, event: { type: 'SAID', payload } },
  });

const vitals = (differs: Partial<NonNullable<Known['vitals']>> = {}) => ({
  lastBeatAt: Date.parse(at(60)),
  activeTasks: 0,
  errorRate: 0,
  sampleError: '',
  uptimeSeconds: 5,
  currentTask: '',
  monthlySpend: 0,
  ...differs,
});

const known = (state: Partial<PresentWorkspace> | 'removed', differs: Partial<Known> = {}): Known => ({
  id,
  state: state === 'removed' ? { situation: 'removed' } : aWorkspace(state),
  because: because({ type: 'workspace.created', data: createdData({ status: 'online' }) }),
  evidence: null,
  circumstances: { backend: true, pausedAncestor: null },
  vitals: null,
  managesStatus: false,
  idleSince: null,
  timers: { lease: 180, provisioning: 600, remoteStale: 90, idle: null },
  ...differs,
});

const actionsOf = (given: Known) => explain(given).legal_actions.map(({ action }) => action);
const deadlinesOf = (given: Known) => explain(given).deadlines.map(({ at, consequence }) => [at, consequence]);

describe('who acts next', () => {
  const paused: Partial<Known> = { circumstances: { backend: true, pausedAncestor: 'team' } };
  const bare: Partial<Known> = { circumstances: { backend: false, pausedAncestor: null } };
  const lost = (differs: Partial<Known> = {}): Partial<Known> => ({ because: moved('offline', 'liveness-lost'), ...differs });

  it.each<[string, Partial<PresentWorkspace> | 'removed', Partial<Known>, string, RegExp]>([
    ['provisioning', { status: 'provisioning' }, {}, 'provisioner', /^Start the container/],
    ['provisioning, started', { status: 'provisioning', located: true }, {}, 'agent', /^Register, or beat/],
    ['online', { status: 'online' }, {}, 'agent', /beating/],
    ['degraded', { status: 'degraded' }, {}, 'agent', /below 0\.1/],
    ['degraded by itself', { status: 'degraded' }, { managesStatus: true }, 'agent', /^Register again/],
    ['offline', { status: 'offline' }, lost(), 'provisioner', /follows by itself/],
    ['offline, nothing to start it', { status: 'offline' }, lost(bare), 'operator', /nothing that could start/],
    ['offline below a paused one', { status: 'offline' }, lost(paused), 'operator', /"team" above it/],
    [
      'offline elsewhere',
      { status: 'offline', external: true },
      { because: moved('offline', 'remote-stale') },
      'agent',
      /elsewhere/,
    ],
    ['failed', { status: 'failed' }, {}, 'operator', /^Mend/],
    ['paused', { status: 'paused' }, {}, 'operator', /^Resume/],
    ['paused below a paused one', { status: 'paused' }, paused, 'operator', /"team" above it is paused/],
    ['hibernating', { status: 'hibernating' }, {}, 'provisioner', /^Stop/],
    ['hibernated', { status: 'hibernated' }, {}, 'caller', /wakes it/],
    ['hibernated, nothing to start it', { status: 'hibernated' }, bare, 'operator', /^Restart/],
    ['awaiting_agent', { status: 'awaiting_agent', external: true }, {}, 'agent', /^Register with its URL/],
    ['removed', 'removed', {}, 'nobody', /final/],
  ])('%s', (_, state, differs, who, what) => {
    const { next } = explain(known(state, differs));
    expect(next).toEqual({ who, what: expect.stringMatching(what) });
  });
});

describe('the deadline', () => {
  it.each<[string, Partial<PresentWorkspace> | 'removed', Partial<Known>, [string, string][]]>([
    ['of a start', { status: 'provisioning' }, {}, [[at(600), 'It fails: the start took too long.']]],
    [
      'of one that beats',
      { status: 'online' },
      { vitals: vitals() },
      [[at(240), 'It goes offline and is started again, unless it beats.']],
    ],
    [
      'of one that has not beaten since',
      { status: 'degraded' },
      { vitals: vitals({ lastBeatAt: 0 }) },
      [[at(180), expect.any(String)]],
    ],
    [
      'of an idle one',
      { status: 'online' },
      { idleSince: Date.parse(at(10)), timers: { lease: 180, provisioning: 600, remoteStale: 90, idle: 120 } },
      [
        [at(130), 'It is put to sleep, unless it has something to do.'],
        [at(180), expect.any(String)],
      ],
    ],
    [
      'of a remote one',
      { status: 'online', external: true },
      { vitals: vitals() },
      [
        [at(150), 'It goes offline, unless it beats.'],
        [at(240), 'It goes offline, unless it beats.'],
      ],
    ],
    [
      'of a remote one that never beat',
      { status: 'online', external: true },
      {},
      [[at(90), 'It goes offline, unless it beats.']],
    ],
    ['of a failed one', { status: 'failed' }, {}, []],
    ['of a failed one that beat before', { status: 'failed' }, { vitals: vitals({ lastBeatAt: 0 }) }, []],
    [
      'of a failed one that beats all the same',
      { status: 'failed' },
      { vitals: vitals() },
      [[at(240), 'It goes offline and is started again.']],
    ],
    ...(['offline', 'paused', 'hibernating', 'hibernated', 'awaiting_agent'] as const).map(
      (status) => [`of one that is ${status}`, { status }, {}, []] as [string, Partial<PresentWorkspace>, Partial<Known>, []],
    ),
    ['of a removed one', 'removed', { vitals: vitals() }, []],
  ])('%s', (_, state, differs, deadlines) => {
    const given = known(state, differs);
    expect(deadlinesOf(given)).toEqual(deadlines);
    const { deadline, consequence } = explain(given);
    expect([deadline, consequence]).toEqual(deadlines[0] ?? [null, null]);
  });
});

describe('what may be done', () => {
  const DOOMED = ['delete', 'purge'];
  const EXPECTED: Readonly<Record<WorkspaceStatus, readonly string[]>> = {
    provisioning: ['restart', 'pause', ...DOOMED],
    online: ['restart', 'pause', 'hibernate', ...DOOMED],
    degraded: ['restart', 'pause', 'hibernate', ...DOOMED],
    offline: ['restart', 'pause', ...DOOMED],
    failed: ['restart', 'pause', ...DOOMED],
    paused: ['restart', 'resume', ...DOOMED],
    hibernating: ['restart', 'pause', ...DOOMED],
    hibernated: ['restart', 'pause', 'wake', ...DOOMED],
    awaiting_agent: ['restart', 'pause', ...DOOMED],
    removed: ['purge'],
  };

  it.each(WORKSPACE_STATUSES)('to one that is %s', (status) =>
    expect(actionsOf(known(status === 'removed' ? 'removed' : { status }))).toEqual(EXPECTED[status]),
  );

  it('says what becomes of it', () => {
    const effects = ({ legal_actions }: Explanation) =>
      Object.fromEntries(legal_actions.map(({ action, effect }) => [action, effect]));
    expect(effects(explain(known({ status: 'hibernated' })))).toEqual({
      restart: 'Becomes provisioning.',
      pause: 'Becomes paused.',
      wake: 'Becomes provisioning.',
      delete: 'Becomes removed.',
      purge: 'It goes, and everything of it; its id stays taken.',
    });
    expect(effects(explain(known({ status: 'online', external: true, url: 'https://agent.example' })))).toMatchObject({
      restart: 'Nothing changes.',
      hibernate: 'Becomes hibernating.',
    });
  });

  it('puts one at work to sleep only when that is said', () => {
    const { legal_actions } = explain(known({ status: 'online' }, { vitals: vitals({ activeTasks: 2 }) }));
    expect(legal_actions.find(({ action }) => action === 'hibernate')?.path).toBe(`/workspaces/${id}/hibernate?force=true`);
  });

  const anything = fc.record({
    status: fc.constantFrom(...WORKSPACE_STATUSES),
    external: fc.boolean(),
    url: fc.constantFrom('', 'https://agent.example'),
    backend: fc.boolean(),
    pausedAncestor: fc.constantFrom(null, 'team'),
    activeTasks: fc.nat(2),
  });

  it('Z1: is accepted by the decision of its route, and everything else is refused or does nothing', () => {
    fc.assert(
      fc.property(anything, ({ status, external, url, backend, pausedAncestor, activeTasks }) => {
        const circumstances: Circumstances = { backend, pausedAncestor };
        const given = known(status === 'removed' ? 'removed' : { status, external, url }, {
          circumstances,
          vitals: vitals({ activeTasks }),
        });
        const state: Workspace = given.state;
        const accepts = (decide: (state: Workspace) => readonly WorkspaceFact[]): boolean => {
          try {
            decide(state);
            return true;
          } catch (error) {
            expect(error).toBeInstanceOf(Refusal);
            return false;
          }
        };
        const acts = (decide: (state: Workspace) => readonly WorkspaceFact[]) => accepts(decide) && decide(state).length > 0;
        const force = explain(given).legal_actions.some(({ path }) => path.endsWith('force=true'));
        const legal = {
          restart: accepts(restart(circumstances)),
          pause: accepts(pause),
          resume: accepts(resume(circumstances)),
          hibernate: accepts(hibernate({ activeTasks, force })),
          wake: acts(wake(circumstances)),
          delete: state.situation === 'present' && acts(removeRoot(0)),
          purge: true,
        };
        expect(actionsOf(given)).toEqual(Object.entries(legal).flatMap(([action, isLegal]) => (isLegal ? [action] : [])));
        expect(Explanation.parse(explain(given))).toEqual(explain(given));
      }),
    );
  });
});

describe('why', () => {
  it('names the fact, its reason, and the words that were told', () => {
    const fact = moved('failed', 'provision-failed', { error: 'workspace start failed' });
    expect(explain(known({ status: 'failed' }, { because: fact }))).toMatchObject({
      since: SINCE,
      because: {
        fact_type: 'workspace.status',
        fact_id: fact.id,
        version: 7,
        reason: 'provision-failed',
        recorded_at: SINCE,
        error: 'workspace start failed',
      },
    });
  });

  it('shows the evidence of another service', () => {
    const evidence = recordedFact(
      { type: 'liveness.lost', data: { workspaceId: id, lastHeardAt: SINCE, leaseSeconds: 180 } },
      { workspaceId: id, version: 1, stream: `liveness.${id}` },
    );
    const { because } = explain(known({ status: 'offline' }, { because: moved('offline', 'liveness-lost'), evidence }));
    expect(because.evidence).toEqual({
      fact_type: 'liveness.lost',
      fact_id: evidence.id,
      recorded_at: evidence.recordedAt,
      data: evidence.data,
    });
  });

  it.each<[string, StatusFact, string]>([
    ['a creation', because({ type: 'workspace.created', data: createdData({ status: 'provisioning' }) }), 'created'],
    [
      'a register',
      because({ type: 'workspace.registered', data: { from: 'offline', url: '', internalUrl: '', agentCard: null } }),
      'registered',
    ],
    ['a removal', because({ type: 'workspace.removed', data: { from: 'online' } }), 'removed'],
  ])('of %s', (_, fact, reason) => expect(explain(known('removed', { because: fact })).because.reason).toBe(reason));
});
