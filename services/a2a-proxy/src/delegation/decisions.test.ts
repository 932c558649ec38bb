import type { DelegationFact, DelegationId, MessageId, WorkspaceId } from '@molecule/contracts';
import { replay } from '@molecule/event-store';
import { scenario } from '@molecule/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type About, abandon, type Decision, dispatch, type Ending, queue, send, settle, stitch, tell } from './decisions.ts';
import { delegation } from './delegation.ts';

const { given } = scenario(delegation);
const about: About = {
  trackingId: '0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f' as DelegationId,
  delegationId: 'd',
  workspaceId: '1b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f' as WorkspaceId,
  targetId: '2b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f' as WorkspaceId,
};
const [m1, m2] = ['3b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f', '4b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f'] as [MessageId, MessageId];

const sent = (by: 'platform' | 'agent' = 'platform'): DelegationFact => ({
  type: 'delegation.sent',
  data: { ...about, taskPreview: 't', by },
});
const dispatched = (attempt = 1, worker = 'w1', messageId = attempt === 1 ? m1 : m2): DelegationFact => ({
  type: 'delegation.dispatched',
  data: { ...about, messageId, attempt, worker },
});
const queued: DelegationFact = { type: 'delegation.queued', data: { ...about, messageId: m1 } };
const completed = (via: 'direct' | 'queue_drain' | 'agent'): DelegationFact => ({
  type: 'delegation.completed',
  data: { ...about, responsePreview: 'r', via },
});
const failed = (via: 'direct' | 'queue_drain' | 'agent' | 'recovery', error = 'e'): DelegationFact => ({
  type: 'delegation.failed',
  data: { ...about, error, via },
});
const done: Ending = { outcome: 'completed', responsePreview: 'r' };
const lost: Ending = { outcome: 'failed', error: 'e' };

describe('sending', () => {
  it('begins once', () => {
    given()
      .when(send(about, { taskPreview: 't', by: 'agent' }))
      .then(sent('agent'));
    given(sent())
      .when(send(about, { taskPreview: 't', by: 'platform' }))
      .thenNothing();
  });
});

describe('G2, G3: a call', () => {
  const first = { messageId: m1, attempt: 1, worker: 'w1' };
  const second = { messageId: m2, attempt: 2, worker: 'w1' };
  it('is made by one process, twice at most', () => {
    given(sent()).when(dispatch(about, first)).then(dispatched());
    given(sent(), dispatched())
      .when(dispatch(about, { ...first, worker: 'w2' }))
      .thenNothing();
    given(sent(), dispatched()).when(dispatch(about, second)).then(dispatched(2));
    given(sent(), dispatched(), dispatched(2))
      .when(dispatch(about, { ...second, attempt: 3 }))
      .thenNothing();
  });
  it('is never made for what agents carry out themselves, nor for what nobody has sent', () => {
    given(sent('agent')).when(dispatch(about, first)).thenNothing();
    given().when(dispatch(about, first)).thenNothing();
  });
  it('is taken over from who holds it: the same call under the same id, or the next', () => {
    const from = { worker: 'w2', from: 'w1' };
    given(sent(), dispatched())
      .when(dispatch(about, { ...first, ...from }))
      .then(dispatched(1, 'w2'));
    given(sent(), dispatched())
      .when(dispatch(about, { ...second, ...from }))
      .then(dispatched(2, 'w2'));
    given(sent(), dispatched())
      .when(dispatch(about, { ...first, messageId: m2, ...from }))
      .thenNothing();
    given(sent(), dispatched(1, 'w3'))
      .when(dispatch(about, { ...first, ...from }))
      .thenNothing();
    given(sent(), dispatched()).when(dispatch(about, first)).thenNothing();
  });
});

describe('an end', () => {
  it('is told by who holds it', () => {
    given(sent(), dispatched())
      .when(settle(about, done, { worker: 'w1', via: 'direct' }))
      .then(completed('direct'));
    given(sent(), dispatched())
      .when(settle(about, lost, { worker: 'w1', via: 'recovery' }))
      .then(failed('recovery'));
    given(sent(), dispatched())
      .when(settle(about, done, { worker: 'w1', via: 'recovery' }))
      .then(completed('direct'));
    given(sent(), dispatched(1, 'w2'))
      .when(settle(about, done, { worker: 'w1', via: 'direct' }))
      .thenNothing();
    given(sent(), dispatched(), queued)
      .when(settle(about, done, { worker: 'w1', via: 'direct' }))
      .thenNothing();
  });
  it('G4: may come from the mailbox before the wait was told, and then the wait is told no more', () => {
    given(sent(), dispatched(), queued).when(stitch(about, done)).then(completed('queue_drain'));
    given(sent(), dispatched()).when(stitch(about, lost)).then(failed('queue_drain'));
    given(sent('agent')).when(stitch(about, done)).then(completed('queue_drain'));
    given(sent()).when(stitch(about, done)).thenNothing();
    given(sent(), dispatched(), completed('queue_drain'))
      .when(queue(about, { messageId: m1, worker: 'w1' }))
      .thenNothing();
  });
  it('may be told by the agent, also of what nobody heard of', () => {
    given().when(tell(about, done)).then(completed('agent'));
    given(sent('agent')).when(tell(about, lost)).then(failed('agent'));
    given(sent(), dispatched()).when(tell(about, done)).then(completed('agent'));
    given(sent(), dispatched(), completed('direct')).when(tell(about, lost)).thenNothing();
  });
  it('is given to what nobody can begin', () => {
    given(sent()).when(abandon(about, 'e')).then(failed('recovery'));
    given(sent(), dispatched()).when(abandon(about, 'e')).thenNothing();
    given(sent('agent')).when(abandon(about, 'e')).thenNothing();
  });
});

describe('G1: whatever is asked in whatever order', () => {
  const workers = fc.constantFrom('w1', 'w2');
  const ids = fc.constantFrom(m1, m2);
  const endings = fc.constantFrom(done, lost);
  const acts: fc.Arbitrary<Decision> = fc.oneof(
    fc.constantFrom<'platform' | 'agent'>('platform', 'agent').map((by) => send(about, { taskPreview: 't', by })),
    fc
      .record({ messageId: ids, attempt: fc.integer({ min: 0, max: 4 }), worker: workers, from: workers })
      .map((call) => dispatch(about, call)),
    fc.record({ messageId: ids, worker: workers }).map((wait) => queue(about, wait)),
    fc
      .tuple(endings, workers, fc.constantFrom<'direct' | 'recovery'>('direct', 'recovery'))
      .map(([ending, worker, via]) => settle(about, ending, { worker, via })),
    endings.map((ending) => stitch(about, ending)),
    endings.map((ending) => tell(about, ending)),
    fc.constant(abandon(about, 'e')),
  );

  it('it ends at most once, nothing follows its end, and no third call is made', () =>
    fc.assert(
      fc.property(fc.array(acts, { maxLength: 60 }), (decisions) => {
        const facts: DelegationFact[] = [];
        for (const decide of decisions) facts.push(...decide(replay(delegation, facts)));
        const ends = facts.filter(({ type }) => type === 'delegation.completed' || type === 'delegation.failed');
        expect(ends.length).toBeLessThanOrEqual(1);
        if (ends[0]) expect(facts.at(-1)).toBe(ends[0]);
        expect(facts.filter(({ type }) => type === 'delegation.sent').length).toBeLessThanOrEqual(1);
        expect(facts.filter(({ type }) => type === 'delegation.queued').length).toBeLessThanOrEqual(1);
        for (const fact of facts) if (fact.type === 'delegation.dispatched') expect(fact.data.attempt).toBeLessThanOrEqual(2);
        // A message id stands for one attempt: whoever takes it over goes on under the same.
        const calls = facts.flatMap((fact) => (fact.type === 'delegation.dispatched' ? [fact.data] : []));
        expect(calls.filter(({ attempt }) => attempt === 1).every(({ messageId }) => messageId === calls[0]?.messageId)).toBe(
          true,
        );
      }),
      { numRuns: 1_000 },
    ));
});
