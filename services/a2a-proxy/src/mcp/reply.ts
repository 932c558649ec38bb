/** What a call to an agent reads like to whoever gave the task (spec 2 §7.11). Pure and total: no reply, however odd, makes these throw. */
import { type Answer, answers } from '../call/answer.ts';
import { readReply } from '../call/classify.ts';
import { compact, memberSpan, skipSpace } from '../call/json-text.ts';
import { isObject, own } from '../call/normalise.ts';
import { toolFailure } from './rpc.ts';

/** Of a reply no more is read. */
const MAX_REPLY_BYTES = 1024 * 1024;

export const notAuthorised = (caller: string, target: string) =>
  toolFailure(`workspace ${caller} is not authorised to communicate with ${target}`);

/** @throws RpcFailure for a call that came to nothing */
export function textOf(answer: Answer, { caller, target }: { readonly caller: string; readonly target: string }): string {
  const { status, body, error } = answer;
  // What an agent said passes as bytes; a text is the platform's own.
  if (typeof body !== 'string') return replyText(body.subarray(0, MAX_REPLY_BYTES), body.length <= MAX_REPLY_BYTES);
  const said = readReply(Buffer.from(body), true).json;
  if (own(said, 'queued') === true) return queuedText(said, target);
  if (error === null) return body;
  if (answer === answers.accessDenied) throw notAuthorised(caller, target);
  if (answer === answers.notFound) throw toolFailure(`workspace ${target} not found`);
  if (answer === answers.notRoutable || answer === answers.notCreated) throw toolFailure(`invalid workspace URL: ${error}`);
  const now = own(said, 'status');
  if (status === 503 && error === NO_URL && typeof now === 'string')
    throw toolFailure(`workspace ${target} has no URL (status: ${now})`);
  throw toolFailure(`A2A call failed: ${error}`);
}

const NO_URL = answers.noUrl('').error;

function queuedText(said: unknown, target: string): string {
  const [id, depth] = [own(said, 'queue_id'), own(said, 'queue_depth')];
  return `Queued: workspace ${target} is busy. The task waits in its mailbox (${depth} waiting) and is delivered when there is room; do not send it again. check_task_status knows it as task_id ${id}.`;
}

/** The text of an agent's reply. `whole: false`: it was cut, and is no JSON any more. */
export function replyText(bytes: Buffer, whole: boolean): string {
  const { text, json } = readReply(bytes, whole);
  const failure = own(own(json, 'error'), 'message');
  if (typeof failure === 'string' && failure !== '') return `[error] ${failure}`;
  const result = own(json, 'result');
  if (!isObject(result)) return text;
  const artifact = first(own(result, 'artifacts'));
  return firstPart(artifact) ?? firstPart(own(result, 'message')) ?? asWritten(text, 'result');
}

const first = (list: unknown): unknown => (Array.isArray(list) ? list[0] : undefined);

function firstPart(holder: unknown): string | undefined {
  const text = own(first(own(holder, 'parts')), 'text');
  return typeof text === 'string' ? text : undefined;
}

/** The JSON of a member as the agent wrote it, without spaces. */
function asWritten(text: string, name: string): string {
  const span = memberSpan(text, skipSpace(text, 0), name);
  return span ? compact(text.slice(span.start, span.end)) : text;
}
