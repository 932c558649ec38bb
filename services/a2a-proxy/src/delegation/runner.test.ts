/** How often a call is made, and when what came of it is written down; the log and the agents are stood in for. */
import type { DelegationId, MessageId, WorkspaceId } from '@molecule/contracts';
import { createLog, systemClock } from '@molecule/service';
import { describe, expect, it } from 'vitest';
import { type Answer, answers } from '../call/answer.ts';
import type { DirectCall } from '../call/direct.ts';
import type { Job } from './book.ts';
import { DelegationRunner, LIMIT_MS } from './runner.ts';

const id = (n: number) => `${String(n).padStart(8, '0')}-0000-4000-8000-000000000000`;
const job = (n = 1): Job => ({
  about: {
    trackingId: id(n) as DelegationId,
    delegationId: id(n),
    workspaceId: id(91) as WorkspaceId,
    targetId: id(92) as WorkspaceId,
  },
  task: 't',
  messageId: id(n + 10) as MessageId,
  origin: null,
});
const reply: Answer = { status: 200, body: Buffer.from('{"result":{"parts":[{"kind":"text","text":"done"}]}}'), error: null };
const away = () => Object.assign(new Error('away'), { code: 'ECONNREFUSED', syscall: 'connect' });

/** Carries one delegation out against these answers, in turn. */
async function run(given: readonly (Answer | Error)[], { passedMs = 0 } = {}) {
  const calls: DirectCall[] = [];
  const said: unknown[] = [];
  let nowMs = 0;
  const left = [...given];
  const runner = new DelegationRunner({
    clock: { ...systemClock, monotonicMs: () => nowMs },
    log: createLog({ service: 'a2a-proxy', level: 'silent' }),
    newId: () => id(77),
    atOnce: 1,
    retryMs: 1,
    onRoom: () => said.push('room'),
    calls: {
      handle: async (call, respond) => {
        calls.push(call);
        nowMs += passedMs;
        const next = left.shift() ?? reply;
        if (next instanceof Error) throw next;
        respond(next);
      },
    },
    book: {
      dispatch: async (_about, { attempt }) => said.push(`call ${attempt}`) > 0,
      queue: async (_about, messageId) => said.push(`queued ${messageId}`) > 0,
      settle: async (_about, told) => said.push(told) > 0,
    },
  });
  expect(runner.start(job())).toBe(true);
  expect(runner.room).toBe(0);
  expect([runner.start(job()), runner.start(job(2))]).toEqual([false, false]);
  await runner.settled();
  expect(said.pop()).toBe('room');
  return { said, calls };
}

describe('a delegation', () => {
  it('is called once, as the delegating workspace, within 30 minutes', async () => {
    const { said, calls } = await run([reply]);
    expect(said).toEqual(['call 1', { outcome: 'completed', text: 'done' }]);
    expect(calls).toMatchObject([
      { caller: { source: 'workspace', id: id(91) }, target: id(92), limitMs: LIMIT_MS, messageId: id(11), origin: null },
    ]);
  });
  it('is called once more where nothing was delivered, under another message id', async () => {
    for (const first of [answers.unreachable, answers.restarting, answers.unreadReply(false)]) {
      const { said, calls } = await run([first, reply]);
      expect(said).toEqual(['call 1', 'call 2', { outcome: 'completed', text: 'done' }]);
      expect(calls.map(({ messageId }) => messageId)).toEqual([id(11), id(77)]);
      expect(calls[0]?.body).toEqual(calls[1]?.body);
    }
  });
  it('fails after the second', async () => {
    const { said } = await run([answers.unreachable, answers.restarting, reply]);
    expect(said).toEqual(['call 1', 'call 2', { outcome: 'failed', error: answers.restarting.error }]);
  });
  it('is not called again where it may have been delivered', async () => {
    for (const first of [answers.busy, answers.unreadReply(true), answers.interrupted, answers.waking, answers.accessDenied]) {
      const { said } = await run([first, reply]);
      expect(said).toEqual(['call 1', { outcome: 'failed', error: first.error }]);
    }
  });
  it('is not called again when its time is over', async () => {
    const { said } = await run([answers.unreachable, reply], { passedMs: LIMIT_MS });
    expect(said).toEqual(['call 1', { outcome: 'failed', error: answers.unreachable.error }]);
  });
  it('is queued, and no more is said', async () => {
    const { said } = await run([answers.queued('w', id(5), 1)]);
    expect(said).toEqual(['call 1', `queued ${id(5)}`]);
  });
  it('is asked for again as long as the platform itself could not send it', async () => {
    const { said, calls } = await run([answers.unavailable, away(), reply]);
    expect(said).toEqual(['call 1', { outcome: 'completed', text: 'done' }]);
    expect(new Set(calls.map(({ messageId }) => messageId)).size).toBe(1);
  });
  it('fails when its time is over before it could be sent', async () => {
    const { said } = await run([answers.unavailable], { passedMs: LIMIT_MS });
    expect(said).toEqual(['call 1', { outcome: 'failed', error: 'the delegation could not be begun within its 30 minutes' }]);
  });
  it('is left to the log where that knows more', async () => {
    for (const known of [answers.inProgress, answers.recorded(200, '')]) expect((await run([known])).said).toEqual(['call 1']);
  });
  it('fails when the call cannot be made at all', async () => {
    const { said } = await run([new TypeError('a defect')]);
    expect(said).toEqual(['call 1', { outcome: 'failed', error: 'the platform failed to make the call' }]);
  });
});
