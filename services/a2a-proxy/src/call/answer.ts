/** What a caller is told: the exact texts of spec 2 §1, ready to be written. */
import { STATUS_CODES } from 'node:http';
import type { LineageRefusal } from '../lineage/refused.ts';

export interface Answer {
  readonly status: number;
  readonly body: string | Buffer;
  /** Seconds. */
  readonly retryAfter?: number;
  /** Where what became of it can be read. */
  readonly location?: string;
  /** The `error` of the body; `null` for what is none. */
  readonly error: string | null;
}

const refusal = (status: number, error: string, more: object = {}, retryAfter?: number): Answer =>
  Object.freeze({
    status,
    body: JSON.stringify({ error, ...more }),
    error,
    ...(retryAfter === undefined ? {} : { retryAfter }),
  });

const UNAVAILABLE = { code: 'platform_unavailable' };

export const answers = {
  unreadable: refusal(400, 'failed to read request body'),
  /** Our addition: a service of ours gave a message id that is none. */
  invalidMessageId: refusal(400, 'invalid message ID'),
  /** Likewise of a priority. */
  invalidPriority: refusal(400, 'invalid priority'),
  invalidCaller: refusal(403, 'invalid caller ID'),
  missingCallerToken: refusal(401, 'missing caller auth token'),
  invalidCallerToken: refusal(401, 'invalid caller auth token'),
  missingToken: refusal(401, 'missing workspace auth token'),
  invalidToken: refusal(401, 'invalid workspace auth token'),
  /** Spec 1 §4.9. */
  unavailable: refusal(503, 'platform datastore unavailable — retry shortly', UNAVAILABLE, 5),
  accessDenied: refusal(403, 'access denied: workspaces cannot communicate per hierarchy rules'),
  overBudget: refusal(402, 'workspace budget limit exceeded'),
  notFound: refusal(404, 'workspace not found'),
  lookupFailed: refusal(500, 'lookup failed'),
  waking: refusal(503, 'workspace is waking from hibernation — retry in ~15 seconds', { waking: true, retry_after: 15 }, 15),
  notRoutable: refusal(502, 'workspace URL is not publicly routable'),
  invalidJson: refusal(400, 'invalid JSON'),
  notCreated: refusal(500, 'failed to create proxy request'),
  restarting: refusal(503, 'workspace agent unreachable — container restart triggered', { restarting: true }),
  nativeSession: refusal(
    503,
    'workspace agent busy — adapter handles retry (native_session)',
    { busy: true, retry_after: 30, native_session: true },
    30,
  ),
  busy: refusal(503, 'workspace agent busy — retry after a short backoff', { busy: true, retry_after: 30 }, 30),
  unreachable: refusal(502, 'failed to reach workspace agent'),
  /** Our addition: the call was in flight when its process stopped. */
  interrupted: refusal(502, 'interrupted'),
  /** Our addition: the same message id is being dispatched right now. */
  inProgress: refusal(409, 'in progress', {}, 1),
  noUrl: (status: string): Answer => refusal(503, 'workspace has no URL', { status }),
  unreadReply: (deliveryConfirmed: boolean): Answer =>
    refusal(502, 'failed to read agent response', { delivery_confirmed: deliveryConfirmed }),
  /** Our addition: as many wait as may. Says `busy` to who knows no 429. */
  mailboxFull: (depth: number, limit: number): Answer =>
    refusal(
      429,
      'workspace mailbox is full — retry after a short backoff',
      { busy: true, retry_after: 30, queue_depth: depth, queue_limit: limit },
      30,
    ),
  queued: (workspaceId: string, queueId: string, queueDepth: number): Answer => ({
    status: 202,
    location: `/workspaces/${workspaceId}/a2a/queue/${queueId}`,
    body: JSON.stringify({
      queued: true,
      queue_id: queueId,
      queue_depth: queueDepth,
      message: 'workspace agent busy — request queued, will dispatch when capacity available',
    }),
    error: null,
  }),
  /** What became of a message id that was dispatched before. A success only where the first answer was one. */
  recorded: (httpStatus: number, error: string): Answer =>
    httpStatus >= 200 && httpStatus < 300
      ? { status: httpStatus, body: JSON.stringify({ recorded: true, status: httpStatus }), error: null }
      : refusal(502, error || `HTTP ${httpStatus}`, { recorded: true, status: httpStatus }),
  /** Our addition: what led to the call forbids it. */
  lineage: ({ error, ...more }: LineageRefusal): Answer => refusal(409, error, more),
  upstreamError: (status: number, error: string): Answer => refusal(status, error),
} as const;

/** The standard phrase of a status; for one that has none, its number. */
export const reasonPhrase = (status: number): string => STATUS_CODES[status] ?? `HTTP ${status}`;
