/** What the answer to a delegation's call means for it (spec 2 §3.2). Pure and total. */
import { type Answer, answers } from '../call/answer.ts';
import { readReply, replyText } from '../call/classify.ts';
import { own } from '../call/normalise.ts';
import type { Told } from './rows.ts';

export type Outcome =
  | Told
  /** `queueId`: of the message in our mailbox; `null`: the agent says so of a queue of its own. */
  | { readonly outcome: 'queued'; readonly queueId: string | null }
  /** Nothing was sent, and the platform is the reason: it is asked again. */
  | { readonly outcome: 'not-now' }
  /** The message had been dispatched before: the log says what becomes of it. */
  | { readonly outcome: 'known' };

/** The message as it goes to the target; its parts say `type` (spec 2 §3.2). */
export const callBody = (delegationId: string, task: string): Buffer =>
  Buffer.from(
    JSON.stringify({
      method: 'message/send',
      params: {
        message: {
          role: 'user',
          messageId: delegationId,
          parts: [{ type: 'text', text: task }],
          metadata: { delegation_id: delegationId },
        },
      },
    }),
  );

export function outcomeOf(answer: Answer): Outcome {
  const { status, body, error } = answer;
  if (answer === answers.unavailable) return { outcome: 'not-now' };
  if (answer === answers.inProgress) return { outcome: 'known' };
  const ours = typeof body === 'string';
  const reply = readReply(ours ? Buffer.from(body) : body, true);
  if (ours && own(reply.json, 'recorded') === true) return { outcome: 'known' };
  if (status >= 200 && status < 300) {
    // Queue JSON is never the agent's reply (spec 2 §8.1).
    if (status === 202 && own(reply.json, 'queued') === true)
      return { outcome: 'queued', queueId: ours ? String(own(reply.json, 'queue_id')) : null };
    return { outcome: 'completed', text: replyText(reply.json, reply.text) };
  }
  return { outcome: 'failed', error: error || `HTTP ${status}` };
}

/**
 * Whether the answer says that the target did not get the message, so that it may be sent again: 502, and 503 of a container that is
 * being restarted; never where delivery was confirmed, and never where the platform itself broke the call off.
 */
export function isUndelivered({ status, body, error }: Answer): boolean {
  if (error === answers.interrupted.error) return false;
  const { json } = readReply(typeof body === 'string' ? Buffer.from(body) : body, true);
  if (status === 502) return own(json, 'delivery_confirmed') !== true;
  return status === 503 && own(json, 'restarting') === true;
}
