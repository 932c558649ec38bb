/** The status machine as a whole (spec 1 §2): whatever evidence comes, and whatever anybody commands, in any order. */
import { canvasEvents, Refusal, TokenId, type WorkspaceFact, WorkspaceId } from '@molecule/contracts';
import { replay } from '@molecule/event-store';
import { recordedFact } from '@molecule/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Decision, register, removeDescendant, removeRoot } from './decisions.ts';
import { autoRestart, hibernate, hibernated, pause, restart, restartLost, resume, wake } from './lifecycle.ts';
import { aWorkspace, EVERY_LIVE, ROWS, rowOf } from './status.fixtures.ts';
import { type Evidence, weigh } from './status.ts';
import { type Workspace, workspaceFold } from './workspace.ts';

const id = WorkspaceId.parse('0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f');
const token = {
  tokenId: TokenId.parse('00000000-0000-4000-8000-000000000001'),
  hash: 'a'.repeat(64),
  prefix: 'aaaaaaaa',
  issuedAt: '2026-03-02T09:00:00Z',
};

/** What happens to a workspace, and whether somebody meant it to: an operator, a client, or its agent by registering. */
interface Act {
  readonly name: string;
  readonly meant: boolean;
  readonly decide: Decision;
}

const evidence = (one: Evidence): Act => ({ name: one.kind, meant: false, decide: weigh(one) });
const command = (name: string, decide: Decision): Act => ({ name, meant: true, decide });
const idle = { activeTasks: 0, force: false };
const circumstances = fc.record({ pausedAncestor: fc.constantFrom(null, 'boss'), backend: fc.boolean() });
const registering = (url: string): Act =>
  command(
    'register',
    register(id, {
      url,
      urlAllowed: true,
      dialable: true,
      agentCard: null,
      presented: { kind: 'none' },
      token,
      openByState: true,
    }),
  );

const whatComesByItself: fc.Arbitrary<Act> = fc.oneof(
  fc
    .record({
      errorRate: fc.constantFrom(0, 0.05, 0.1, 0.3, 0.5, 1),
      sampleError: fc.constant(''),
      runtimeState: fc.constantFrom('', 'wedged', 'odd'),
      statusManaged: fc.boolean(),
    })
    .map((signs) => evidence({ kind: 'beat', ...signs })),
  fc.constantFrom(
    evidence({ kind: 'liveness-lost' }),
    evidence({ kind: 'container-exited' }),
    evidence({ kind: 'remote-stale' }),
    evidence({ kind: 'agent-unreachable' }),
    evidence({ kind: 'provision-failed', error: 'e', sampleError: 'e' }),
    evidence({ kind: 'no-backend' }),
    evidence({ kind: 'provision-timed-out', timeoutSeconds: 600, runtime: 'echo' }),
    evidence({ kind: 'bootstrap-failed', error: 'e', logTail: '', sampleError: 'e' }),
    { name: 'hibernated', meant: false, decide: hibernated },
    { name: 'idle', meant: false, decide: hibernate(idle) },
  ),
  circumstances.map((around) => ({ name: 'auto-restart', meant: false, decide: autoRestart(around) })),
  circumstances.map((around) => ({ name: 'restart of what was lost', meant: false, decide: restartLost(around) })),
  circumstances.map((around) => ({ name: 'wake', meant: false, decide: wake(around) })),
);
const whatIsMeant: fc.Arbitrary<Act> = fc.oneof(
  circumstances.map((around) => command('restart', restart(around))),
  circumstances.map((around) => command('resume', resume(around))),
  fc.record({ activeTasks: fc.nat(2), force: fc.boolean() }).map((how) => command('hibernate', hibernate(how))),
  fc.constantFrom(command('pause', pause), registering('http://localhost:8001'), registering('https://agent.example')),
);
const removal = fc.constantFrom(command('remove', removeRoot(0)), command('remove with its parent', removeDescendant));
const anyAct = fc.oneof({ weight: 6, arbitrary: whatComesByItself }, { weight: 5, arbitrary: whatIsMeant }, removal);
/** What rests has no address: it was forgotten when it was stopped. */
const alive = fc
  .record({ status: fc.constantFrom(...EVERY_LIVE), external: fc.boolean(), url: fc.constantFrom('', 'http://127.0.0.1:9') })
  .map(({ status, url, ...rest }) =>
    aWorkspace({ ...rest, status, url: status === 'paused' || status === 'hibernated' ? '' : url }),
  );

/** What the act amounts to: none where it is refused. */
function factsOf({ decide }: Act, state: Workspace): readonly WorkspaceFact[] {
  try {
    return decide(state);
  } catch (error) {
    if (error instanceof Refusal) return [];
    throw error;
  }
}

const statusOf = (state: Workspace) => (state.situation === 'present' ? state.status : state.situation);

/** The steps of a history: the state before, what happened, the state after each fact. */
function* steps(first: Workspace, history: readonly Act[]) {
  let state = first;
  for (const act of history)
    for (const fact of factsOf(act, state)) {
      const before = state;
      state = workspaceFold.evolve(state, fact);
      yield { act, before, fact, after: state };
    }
}

const eventOf = (fact: WorkspaceFact): string | null =>
  canvasEvents(recordedFact(fact, { workspaceId: id, version: 1 }))[0]?.event ?? null;

const RUNS = { numRuns: 500 };

describe('any history of evidence and commands', () => {
  it('ends where it is removed: nothing that comes after moves it, or is told of it', () =>
    fc.assert(
      fc.property(alive, removal, fc.array(anyAct, { maxLength: 40 }), (first, remove, history) => {
        const removed = replay(workspaceFold, factsOf(remove, first), first);
        expect(removed).toEqual({ situation: 'removed' });
        for (const { fact, after } of steps(removed, history)) {
          expect(fact.type).toBe('workspace.removed'); // said again for canvases that missed it
          expect(after).toEqual({ situation: 'removed' });
        }
      }),
      RUNS,
    ));

  it('tells only events that stand in the table, each with its transition', () =>
    fc.assert(
      fc.property(alive, fc.array(anyAct, { maxLength: 40 }), (first, history) => {
        for (const { before, fact, after } of steps(first, history)) {
          const event = eventOf(fact);
          switch (fact.type) {
            case 'workspace.status': {
              const [row, told] = rowOf(fact);
              expect(ROWS[row], row).toBe(told);
              expect(event ?? 'none').toBe(told);
              expect([fact.data.from, fact.data.to]).toEqual([statusOf(before), statusOf(after)]);
              break;
            }
            case 'workspace.registered':
              expect([event, fact.data.from, statusOf(after)]).toEqual(['WORKSPACE_ONLINE', statusOf(before), 'online']);
              break;
            case 'workspace.removed':
              expect([event, statusOf(after)]).toEqual(['WORKSPACE_REMOVED', 'removed']);
              break;
            default:
              expect(event, fact.type).toBeNull();
          }
        }
      }),
      RUNS,
    ));

  it('makes no transition without an event, but into hibernating', () =>
    fc.assert(
      fc.property(alive, fc.array(anyAct, { maxLength: 40 }), (first, history) => {
        for (const { before, fact, after } of steps(first, history)) {
          if (statusOf(before) === statusOf(after)) continue;
          expect(eventOf(fact) === null, `${statusOf(before)} → ${statusOf(after)}`).toBe(statusOf(after) === 'hibernating');
        }
      }),
      RUNS,
    ));

  it('leaves a paused workspace paused until somebody means otherwise, whatever comes by itself', () =>
    fc.assert(
      fc.property(
        alive,
        fc.array(anyAct, { maxLength: 20 }),
        fc.array(whatComesByItself, { maxLength: 40 }),
        (first, before, after) => {
          const [last = first] = [...steps(first, before)].map((step) => step.after).slice(-1);
          const paused = replay(workspaceFold, factsOf(command('pause', pause), last), last);
          fc.pre(statusOf(paused) === 'paused');
          expect([...steps(paused, after)]).toEqual([]);
        },
      ),
      RUNS,
    ));

  it('lets whoever sleeps be woken, by a message and not by itself', () =>
    fc.assert(
      fc.property(
        alive,
        fc.array(anyAct, { maxLength: 20 }),
        fc.array(whatComesByItself, { maxLength: 20 }),
        (first, before, late) => {
          const [last = first] = [...steps(first, before)].map((step) => step.after).slice(-1);
          const asleep = [hibernate({ activeTasks: 3, force: true }), hibernated].reduce<Workspace>(
            (state, decide) => replay(workspaceFold, factsOf(command('sleep', decide), state), state),
            last,
          );
          fc.pre(statusOf(asleep) === 'hibernated');
          const byItself = late.filter(({ name }) => name !== 'wake');
          expect([...steps(asleep, byItself)]).toEqual([]);
          const woken = replay(workspaceFold, wake({ pausedAncestor: null, backend: true })(asleep), asleep);
          const external = asleep.situation === 'present' && asleep.external;
          expect(statusOf(woken)).toBe(external ? 'awaiting_agent' : 'provisioning');
          expect(factsOf(command('wake', wake({ pausedAncestor: null, backend: true })), woken)).toEqual([]); // once
        },
      ),
      RUNS,
    ));

  it('never starts a container for an external workspace (S7), nor one without a backend', () =>
    fc.assert(
      fc.property(alive, fc.array(anyAct, { maxLength: 40 }), (first, history) => {
        for (const { before, fact } of steps(first, history)) {
          if (before.situation === 'present' && before.external)
            expect(fact.type === 'workspace.status' && fact.data.to === 'provisioning').toBe(false);
        }
        const nothing = { pausedAncestor: null, backend: false };
        const starts = [restart(nothing), resume(nothing), wake(nothing), autoRestart(nothing), restartLost(nothing)];
        const last = [...steps(first, history)].map((step) => step.after).at(-1) ?? first;
        for (const decide of starts)
          for (const fact of factsOf(command('start', decide), last))
            expect(fact.type === 'workspace.status' && fact.data.to === 'provisioning').toBe(false);
      }),
      RUNS,
    ));

  it('reaches every status there is', () => {
    const reached = new Set<string>();
    const histories = fc.sample(fc.tuple(alive, fc.array(anyAct, { maxLength: 40 })), { numRuns: 300, seed: 7 });
    for (const [first, history] of histories) for (const { after } of steps(first, history)) reached.add(statusOf(after));
    expect([...reached].toSorted()).toEqual([...EVERY_LIVE, 'removed'].toSorted());
  });
});
