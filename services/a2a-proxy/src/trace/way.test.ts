import type { RecordedA2aFact, RecordedDelegationFact } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import { asTree, delegationWay, type MessageWay, messageWay } from './way.ts';

const at = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
const lineage = { rootId: 'r', parentId: 'p', depth: 2, ancestors: ['a', 'b'] };
const envelope = { messageId: 'm', workspaceId: 'w', callerId: 'b', source: 'workspace', method: 'message/send', lineage };
const fact = (type: string, second: number, data: object = {}) => ({ type, data, recordedAt: at(second) }) as RecordedA2aFact;
const brief = { messageId: 'm', workspaceId: 'w' };
const queued = fact('a2a.queued', 0, { ...envelope, priority: 50, idempotencyKey: null, enqueuedAt: '1' });
const taken = (second: number, attempt: number) =>
  fact('a2a.dispatched', second, { ...envelope, attempt, via: 'drain', worker: 'w1' });
const row = { status: 'error', errorDetail: 'connection reset', durationMs: 5 };

describe('the way of a message', () => {
  it('that waited, found its agent busy again, failed once and was delivered', () => {
    const way = messageWay(
      [
        queued,
        taken(10, 1),
        fact('a2a.requeued', 11, { ...brief, reason: 'busy', error: null }),
        taken(13, 1),
        fact('a2a.requeued', 14, { ...brief, reason: 'error', error: 'HTTP 500' }),
        taken(15, 2),
        fact('a2a.completed', 16, { ...brief, httpStatus: 200, attempts: 2 }),
      ],
      row,
    );
    expect(way).toMatchObject({
      id: 'm',
      rootId: 'r',
      parentId: 'p',
      depth: 2,
      callerId: 'b',
      state: 'completed',
      startedAt: at(0),
      endedAt: at(16),
      dispatches: 4,
      waitedMs: 13_000,
    });
    expect(way?.steps.map(({ text }) => text)).toEqual([
      'the agent was busy (connection reset): waits in the mailbox with priority 50',
      'taken out of the mailbox after 10.0 s, attempt 1, by w1',
      'the agent was busy again: back in the mailbox, the attempt does not count',
      'taken out of the mailbox after 2.0 s, attempt 1, by w1',
      'the attempt failed (HTTP 500): back in the mailbox',
      'taken out of the mailbox after 1.0 s, attempt 2, by w1',
      'delivered from the mailbox: HTTP 200',
    ]);
  });

  it('that was answered at once began before its fact', () =>
    expect(
      messageWay([fact('a2a.answered', 5, { ...envelope, lineage: undefined, httpStatus: 200, durationMs: 2_000 })], undefined),
    ).toMatchObject({
      rootId: 'm',
      parentId: null,
      depth: 0,
      state: 'answered',
      startedAt: at(3),
      endedAt: at(5),
      dispatches: 1,
      waitedMs: 0,
      steps: [{ at: at(5), what: 'a2a.answered', text: 'answered with HTTP 200 after 2.0 s' }],
    }));

  it.each([
    [
      fact('a2a.unreached', 1, { ...envelope, httpStatus: 502, error: 'refused' }),
      'unreached',
      'not delivered: refused; the sender was told HTTP 502',
    ],
    [fact('a2a.dispatched', 1, { ...envelope, attempt: 1, via: 'direct', worker: 'w1' }), 'open', 'sent to the agent by w1'],
  ])('ends as its fact says: %j', (end, state, text) =>
    expect(messageWay([end], undefined)).toMatchObject({ state, steps: [{ text }] }),
  );

  it.each([
    ['a2a.failed', { error: 'e', attempts: 5 }, 'failed', 'given up after attempt 5: e'],
    ['a2a.dropped', { reason: 'expired' }, 'dropped', 'dropped: its time had run out'],
    ['a2a.dropped', { reason: 'cancelled' }, 'dropped', 'dropped: it was cancelled'],
    ['a2a.requeued', { reason: 'worker-lost', error: null }, 'waiting', 'the process that sent it ended: back in the mailbox'],
  ])('%s %j: %s', (type, data, state, text) => {
    const way = messageWay([queued, fact(type, 2, { ...brief, ...data })], row);
    expect(way?.state).toBe(state);
    expect(way?.steps.at(-1)?.text).toBe(text);
    expect(way?.endedAt === null).toBe(state === 'waiting');
  });

  it('of which nothing is known is none', () => expect(messageWay([], undefined)).toBeUndefined());
});

it('the way of a delegation is told by its facts', () => {
  const about = { trackingId: 't', delegationId: 'd', workspaceId: 'b', targetId: 'w' };
  const told = (type: string, second: number, data: object) =>
    ({ type, data: { ...about, ...data }, recordedAt: at(second) }) as unknown as RecordedDelegationFact;
  expect(
    delegationWay([
      told('delegation.sent', 0, { taskPreview: 'p', by: 'platform' }),
      told('delegation.dispatched', 1, { messageId: 'm', attempt: 1, worker: 'w1' }),
      told('delegation.queued', 2, { messageId: 'm' }),
      told('delegation.completed', 3, { responsePreview: 'r', via: 'queue_drain' }),
    ]),
  ).toEqual({
    ...about,
    state: 'completed',
    messageIds: ['m'],
    steps: [
      { at: at(0), what: 'delegation.sent', text: 'accepted' },
      { at: at(1), what: 'delegation.dispatched', text: 'attempt 1 begins, by w1' },
      { at: at(2), what: 'delegation.queued', text: 'waits in the mailbox of the target' },
      { at: at(3), what: 'delegation.completed', text: 'completed from the mailbox' },
    ],
  });
  expect(delegationWay([])).toBeUndefined();
});

it('a tree has each before what it led to, by time, and loses none', () => {
  const way = (id: string, parentId: string | null, second: number) => ({ id, parentId, startedAt: at(second) }) as MessageWay;
  const ways = [way('c', 'a', 3), way('b', 'a', 2), way('d', 'b', 9), way('a', null, 1), way('lost', 'gone', 0)];
  expect(asTree(ways).map(({ id }) => id)).toEqual(['lost', 'a', 'b', 'd', 'c']);
});
