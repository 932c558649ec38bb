/**
 * Tasks that go to other agents by the way of every call: access, budget, records, mailbox (ADR 20).
 *
 *   D1. Who gives a task waits for so long at most; the call itself goes on, as every call does when its client leaves (spec 2 §1.7).
 *       To break it off would send a task into the mailbox that the agent is at.
 *   D2. A task that is not waited for has its id for its message: what became of it can be looked up, and it is dispatched once. Its id
 *       is told when the log knows it: whoever has one has a task that is not lost with this process unnoticed.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { WorkspaceId } from '@molecule/contracts';
import type { Log } from '@molecule/service';
import type { Answer } from '../call/answer.ts';
import { type Caller, limitOf } from '../call/caller.ts';
import type { DirectCalls } from '../call/direct.ts';
import { answerOf } from '../call/in-process.ts';
import { textOf } from './reply.ts';
import { toolFailure } from './rpc.ts';

export interface Task {
  readonly caller: WorkspaceId;
  readonly target: string;
  readonly task: string;
}

export interface DelegateParts {
  readonly calls: Pick<DirectCalls, 'handle'>;
  readonly newId: () => string;
  readonly log: Log;
  /** How long a task is waited for. */
  readonly waitMs: number;
}

/** The text of the reply. @throws RpcFailure */
export async function delegate(parts: DelegateParts, task: Task): Promise<string> {
  const { waitMs } = parts;
  const waiting = new AbortController();
  try {
    const late = delay(waitMs, null, { signal: waiting.signal });
    late.catch(() => undefined);
    const answer = await Promise.race([send(parts, task), late]);
    if (answer !== null) return textOf(answer, task);
  } finally {
    waiting.abort();
  }
  // D1
  const seconds = Math.ceil(waitMs / 1_000);
  throw toolFailure(`A2A call failed: no reply within ${seconds} s; the task goes on, and its reply will be in the activity`);
}

/** Begins a task, and answers its id; also of one that is refused. @throws what `isUnavailable` recognises when it could not be begun */
export async function delegateAsync(parts: DelegateParts, task: Task): Promise<string> {
  const taskId = parts.newId();
  const { promise: begun, resolve: onBegun } = Promise.withResolvers<void>();
  const answer = send(parts, task, { taskId, onBegun });
  answer.catch((error: unknown) => parts.log.warn({ err: error, taskId }, 'a task could not be dispatched'));
  await Promise.race([begun, answer]); // D2
  return taskId;
}

function send(
  { calls, newId, log }: DelegateParts,
  { caller: id, target, task }: Task,
  { taskId = null, onBegun }: { readonly taskId?: string | null; readonly onBegun?: () => void } = {},
): Promise<Answer> {
  const caller: Caller = { source: id === target ? 'self' : 'workspace', id, name: id };
  const message = { role: 'user', messageId: taskId ?? newId(), parts: [{ type: 'text', kind: 'text', text: task }] };
  const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: newId(), method: 'message/send', params: { message } }));
  return answerOf(
    calls,
    { caller, target, body, limitMs: limitOf(caller, ''), messageId: taskId, ...(onBegun && { onBegun }) },
    log,
  );
}
