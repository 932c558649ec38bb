import type { WorkspaceId } from '@molecule/contracts';
import { createLog } from '@molecule/service';
import { describe, expect, it } from 'vitest';
import { type Answer, answers } from '../call/answer.ts';
import type { DirectCall } from '../call/direct.ts';
import { delegate, delegateAsync } from './delegate.ts';

const caller = '0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f' as WorkspaceId;
const task = { caller, target: 'b', task: 'dig' };
const log = createLog({ service: 'a2a-proxy', level: 'silent' });

/** Calls that end when they are told to. */
function setUp(waitMs = 10_000) {
  const made: DirectCall[] = [];
  const { promise: ended, resolve: end } = Promise.withResolvers<Answer>();
  const handle = async (call: DirectCall, respond: (answer: Answer) => void) => {
    made.push(call);
    respond(await ended);
  };
  return { made, end, parts: { calls: { handle }, newId: () => 'an-id', log, waitMs } };
}

describe('a task', () => {
  it('is a call of the workspace, and is answered with the reply', async () => {
    const { made, end, parts } = setUp();
    end({ status: 200, body: Buffer.from('dug'), error: null });
    expect(await delegate(parts, task)).toBe('dug');
    const [call] = made;
    expect(call).toMatchObject({ caller: { source: 'workspace', id: caller, name: caller }, target: 'b', messageId: null });
    expect(JSON.parse(String(call?.body))).toEqual({
      jsonrpc: '2.0',
      id: 'an-id',
      method: 'message/send',
      params: { message: { role: 'user', messageId: 'an-id', parts: [{ type: 'text', kind: 'text', text: 'dig' }] } },
    });
  });

  it('goes on when it is not waited for any more (D1)', async () => {
    const { end, parts } = setUp(1);
    await expect(delegate(parts, task)).rejects.toMatchObject({
      code: -32_000,
      message: 'A2A call failed: no reply within 1 s; the task goes on, and its reply will be in the activity',
    });
    end(answers.unreachable); // to nobody
  });

  it('fails as its call does', async () => {
    const { parts } = setUp();
    const calls = { handle: () => Promise.reject(new Error('away')) };
    await expect(delegate({ ...parts, calls }, task)).rejects.toThrow('away');
  });

  it('that is not waited for has its id for its message, and is told of when it has begun (D2)', async () => {
    const { made, parts } = setUp();
    let told = '';
    const telling = delegateAsync(parts, { ...task, target: caller }).then((id) => {
      told = id;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect([told, made]).toMatchObject(['', [{ messageId: 'an-id', caller: { source: 'self' } }]]);
    made[0]?.onBegun?.();
    await telling;
    expect(told).toBe('an-id');
  });

  it('that is refused has its id all the same, and one that cannot be begun has none', async () => {
    const { end, parts } = setUp();
    end(answers.overBudget);
    expect(await delegateAsync(parts, task)).toBe('an-id');
    const calls = { handle: () => Promise.reject(new Error('away')) };
    await expect(delegateAsync({ ...parts, calls }, task)).rejects.toThrow('away');
  });
});
