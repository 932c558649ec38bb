/**
 * Sends what a schedule says to its workspace, through the a2a-proxy, and reads what came of it (spec 2 §6.5).
 *
 * An occurrence has one message id, made from what it is. The proxy dispatches a message id once, so a worker that takes over
 * from a dead one may send again: either nothing was sent yet, or it learns what became of it.
 */
import { createHash } from 'node:crypto';
import { type ServiceClient, type ServiceRequest, ServiceUnreachable } from '@molecule/http';
import { type Clock, sleep } from '@molecule/service';
import type { DueSchedule } from './projections/schedule-list.ts';

/** Spec 2 §1.7: a scheduled run is given five minutes. */
export const RUN_LIMIT_MS = 300_000;
/** The proxy says that a worker before us is still waiting for the agent. */
const IN_PROGRESS = 409;
const ASK_AGAIN_MS = 1_000;

export interface Outcome {
  /** `''` when it was delivered or queued. */
  readonly error: string;
  readonly empty: boolean;
}

/** The id of the one message of an occurrence: a UUID made from the schedule and the due instant. */
export function messageIdOf(scheduleId: string, dueAt: Date): string {
  const hash = createHash('sha256').update(`${scheduleId} ${dueAt.toISOString()}`).digest('hex');
  return `${hash.slice(0, 8)}-${hash.slice(8, 12)}-4${hash.slice(13, 16)}-8${hash.slice(17, 20)}-${hash.slice(20, 32)}`;
}

/** The message of spec 2 §6.5. */
export const messageOf = (scheduleId: string, messageId: string, prompt: string): string =>
  JSON.stringify({
    method: 'message/send',
    params: {
      message: {
        role: 'user',
        messageId: `cron-${scheduleId.slice(0, 8)}-${messageId.slice(0, 8)}`,
        parts: [{ kind: 'text', text: prompt.toWellFormed() }],
      },
    },
  });

export async function fire(
  { a2aProxy, clock }: { readonly a2aProxy: ServiceClient; readonly clock: Clock },
  due: DueSchedule & { readonly messageId: string },
  signal: AbortSignal,
): Promise<Outcome> {
  const giveUpAt = clock.monotonicMs() + RUN_LIMIT_MS;
  const request = {
    method: 'POST',
    path: `/workspaces/${due.workspaceId}/a2a`,
    body: messageOf(due.scheduleId, due.messageId, due.prompt),
    as: '',
    headers: { 'x-molecule-message-id': due.messageId, 'x-timeout': String(RUN_LIMIT_MS / 1000) },
    timeoutMs: RUN_LIMIT_MS,
    signal,
  } as const;
  for (;;) {
    const answer = await ask(a2aProxy, request);
    if (answer !== 'ask again') return readAnswer(answer.status, answer.text);
    if (clock.monotonicMs() > giveUpAt) return { error: 'no answer within the limit of a scheduled run', empty: false };
    await sleep(ASK_AGAIN_MS, signal);
    if (signal.aborted) throw signal.reason;
  }
}

/** Asking again is harmless under one message id, so whatever is only for now is waited out. */
async function ask(
  a2aProxy: ServiceClient,
  request: ServiceRequest,
): Promise<{ readonly status: number; readonly text: string } | 'ask again'> {
  try {
    const answer = await a2aProxy.request(request);
    const passing = answer.status === IN_PROGRESS || (answer.status === 503 && answer.text.includes('"platform_unavailable"'));
    return passing ? 'ask again' : answer;
  } catch (error) {
    if (error instanceof ServiceUnreachable) return 'ask again';
    throw error;
  }
}

/** Pure: what an answer of the proxy means for the schedule. No answer crashes it. */
export function readAnswer(status: number, text: string): Outcome {
  if (status >= 200 && status < 300) return { error: '', empty: isEmpty(text) };
  return { error: errorText(text) ?? `HTTP ${status}`, empty: false };
}

const isEmpty = (text: string): boolean =>
  text.length === 0 || text.includes('(no response generated)') || /"text": ?""/.test(text);

function errorText(text: string): string | undefined {
  try {
    const { error } = JSON.parse(text) as { error?: unknown };
    return typeof error === 'string' && error !== '' ? error.toWellFormed() : undefined;
  } catch {
    return undefined;
  }
}
