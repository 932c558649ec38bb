import type { A2aFact } from '@molecule/contracts';
import { replay } from '@molecule/event-store';
import { scenario } from '@molecule/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { begin, claim, type Decision, drop, type Envelope, enqueue, INTERRUPTED, recover, settle } from './decisions.ts';
import { message } from './message.ts';

const { given } = scenario(message);
const envelope = {
  messageId: '0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f',
  workspaceId: '1b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f',
  callerId: null,
  source: 'canvas',
  method: 'message/send',
} as Envelope;
const { messageId, workspaceId } = envelope;

const dispatched: A2aFact = { type: 'a2a.dispatched', data: { ...envelope, attempt: 1, via: 'direct', worker: 'w1' } };
const queued: A2aFact = {
  type: 'a2a.queued',
  data: { ...envelope, priority: 50, idempotencyKey: 'k', enqueuedAt: '0000000000000000007' },
};
const claimed = (attempt = 1, worker = 'w1'): A2aFact => ({
  type: 'a2a.dispatched',
  data: { ...envelope, attempt, via: 'drain', worker },
});
const requeued = (reason: 'busy' | 'error' | 'worker-lost', error: string | null = null): A2aFact => ({
  type: 'a2a.requeued',
  data: { messageId, workspaceId, reason, error },
});
const answered: A2aFact = { type: 'a2a.answered', data: { ...envelope, httpStatus: 200, durationMs: 3 } };
const completed: A2aFact = { type: 'a2a.completed', data: { messageId, workspaceId, httpStatus: 200, attempts: 1 } };
const fourErrors = [1, 2, 3, 4].flatMap((attempt) => [claimed(attempt), requeued('error', 'x')]);

const toQueue = enqueue(envelope, { idempotencyKey: 'k', sequence: 7n, worker: 'w1' });
const end = (attempt: number, result: Parameters<typeof settle>[1]['result'], worker = 'w1') =>
  settle(envelope, { worker, attempt, result });

describe('a call that must not be made twice', () => {
  it('begins once', () => given().when(begin(envelope, 'w1')).then(dispatched));
  it('does not begin again, whatever became of it', () => {
    for (const past of [[dispatched], [queued], [dispatched, answered]])
      given(...past)
        .when(begin(envelope, 'w2'))
        .thenNothing();
  });
});

describe('queueing', () => {
  it('takes a call that was not written down yet, or is open here', () => {
    given().when(toQueue).then(queued);
    given(dispatched).when(toQueue).then(queued);
  });
  it('takes with it how urgent it is, and until when it may wait', () => {
    const wished = { idempotencyKey: 'k', sequence: 7n, worker: 'w1', priority: 100, expiresAt: new Date(0) } as const;
    given()
      .when(enqueue(envelope, wished))
      .then({ ...queued, data: { ...queued.data, priority: 100, expiresAt: '1970-01-01T00:00:00.000Z' } } as A2aFact);
  });
  it('takes no call that somebody else has ended, holds, or has queued', () => {
    given(dispatched, answered).when(toQueue).thenNothing();
    given(queued).when(toQueue).thenNothing();
    given(dispatched)
      .when(enqueue(envelope, { idempotencyKey: 'k', sequence: 7n, worker: 'w2' }))
      .thenNothing();
  });
});

describe('M1: a claim', () => {
  it('is given once', () => {
    given(queued).when(claim(envelope, 'w1')).then(claimed());
    given(queued, claimed()).when(claim(envelope, 'w2')).thenNothing();
    given(queued, claimed(), completed).when(claim(envelope, 'w2')).thenNothing();
  });
  it('is settled by who holds it, in that attempt', () => {
    given(queued, claimed())
      .when(end(1, { outcome: 'delivered', httpStatus: 200 }))
      .then(completed);
    given(queued, claimed())
      .when(end(1, { outcome: 'delivered', httpStatus: 200 }, 'w2'))
      .thenNothing();
    given(queued, claimed(1), requeued('error'), claimed(2))
      .when(end(1, { outcome: 'busy' }))
      .thenNothing();
  });
});

describe('M2: what a dead worker held', () => {
  it('is open again, or ended where a sender waited', () => {
    given(queued, claimed()).when(recover(envelope, 'w1')).then(requeued('worker-lost'));
    given(dispatched)
      .when(recover(envelope, 'w1'))
      .then({ type: 'a2a.unreached', data: { ...envelope, httpStatus: 502, error: INTERRUPTED } });
  });
  it('is left alone when somebody else holds it by now, or it has ended', () => {
    given(queued, claimed(1, 'w2')).when(recover(envelope, 'w1')).thenNothing();
    given(dispatched, answered).when(recover(envelope, 'w1')).thenNothing();
  });
  it('is given up after five attempts, so that no message kills workers for ever', () =>
    given(queued, ...fourErrors, claimed(5))
      .when(recover(envelope, 'w1'))
      .then({ type: 'a2a.failed', data: { messageId, workspaceId, error: INTERRUPTED, attempts: 5 } }));
});

describe('M3: busy again', () => {
  it('waits as before, and does not count', () => {
    given(queued, claimed())
      .when(end(1, { outcome: 'busy' }))
      .then(requeued('busy'));
    given(queued, claimed(), requeued('busy')).when(claim(envelope, 'w1')).then(claimed(1));
  });
});

describe('M4: an error', () => {
  it('is tried again four times', () =>
    given(queued, claimed())
      .when(end(1, { outcome: 'error', error: 'x' }))
      .then(requeued('error', 'x')));
  it('is final the fifth time', () =>
    given(queued, ...fourErrors, claimed(5))
      .when(end(5, { outcome: 'error', error: 'x' }))
      .then({ type: 'a2a.failed', data: { messageId, workspaceId, error: 'x', attempts: 5 } }));
});

describe('dropping', () => {
  const removed: A2aFact = { type: 'a2a.dropped', data: { messageId, workspaceId, reason: 'workspace-removed' } };
  it('takes what waits, and nothing else', () => {
    given(queued).when(drop(envelope, 'workspace-removed')).then(removed);
    given(queued, claimed()).when(drop(envelope, 'workspace-removed')).thenNothing();
    given(queued, removed).when(drop(envelope, 'workspace-removed')).thenNothing();
  });
  it('also takes what was being sent to a workspace that is gone', () =>
    given(queued, claimed())
      .when(end(1, { outcome: 'removed' }))
      .then(removed));
});

const ENDS = new Set(['a2a.answered', 'a2a.unreached', 'a2a.completed', 'a2a.failed', 'a2a.dropped']);

describe('I1: whatever is asked in whatever order', () => {
  const workers = fc.constantFrom('w1', 'w2');
  const attempts = fc.integer({ min: 0, max: 6 });
  const results = fc.constantFrom<Parameters<typeof settle>[1]['result']>(
    { outcome: 'delivered', httpStatus: 200 },
    { outcome: 'busy' },
    { outcome: 'error', error: 'x' },
    { outcome: 'removed' },
    { outcome: 'interrupted' },
  );
  const acts: fc.Arbitrary<Decision> = fc.oneof(
    workers.map((worker) => begin(envelope, worker)),
    workers.map((worker) => enqueue(envelope, { idempotencyKey: null, sequence: 1n, worker })),
    workers.map((worker) => claim(envelope, worker)),
    workers.map((worker) => recover(envelope, worker)),
    fc.tuple(workers, attempts, results).map(([worker, attempt, result]) => settle(envelope, { worker, attempt, result })),
    fc.constant(drop(envelope, 'stale')),
  );

  it('a message ends once, and nothing follows its end; no attempt begins beyond the fifth that counts', () =>
    fc.assert(
      fc.property(fc.array(acts, { maxLength: 60 }), (decisions) => {
        const facts: A2aFact[] = [];
        for (const decide of decisions) facts.push(...decide(replay(message, facts)));
        const ends = facts.filter(({ type }) => ENDS.has(type));
        expect(ends.length).toBeLessThanOrEqual(1);
        if (ends[0]) expect(facts.at(-1)).toBe(ends[0]);
        const counted = facts
          .filter(({ type }) => type === 'a2a.dispatched')
          .map((fact) => (fact.data as { attempt: number }).attempt);
        expect(Math.max(0, ...counted)).toBeLessThanOrEqual(5);
      }),
      { numRuns: 1_000 },
    ));
});
