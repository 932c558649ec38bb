/** The only place where a refusal becomes an HTTP status, for hono and for raw routes alike. */
import type { ServerResponse } from 'node:http';
import { platformUnavailable, Refusal, type RefusalKind } from '@molecule/contracts';
import type { Log } from '@molecule/service';
import type { Context, ErrorHandler } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { BodyError } from './body.ts';
import type { WithContext } from './context.ts';

const STATUS = {
  invalid: 400,
  unauthenticated: 401,
  'payment-required': 402,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  'too-large': 413,
  'too-many': 429,
  failed: 500,
  'bad-gateway': 502,
  unavailable: 503,
} as const satisfies Record<RefusalKind, ContentfulStatusCode>;

/** The status that a kind of refusal is told with. */
export const statusOf = (kind: RefusalKind): number => STATUS[kind];

export const JSON_TYPE = 'application/json; charset=utf-8';

/** The texts of spec 1 §4 and §0 that more than one route gives. */
export const problem = {
  adminAuthRequired: () => new Refusal('unauthenticated', 'admin auth required'),
  invalidAdminToken: () => new Refusal('unauthenticated', 'invalid admin auth token'),
  missingWorkspaceToken: () => new Refusal('unauthenticated', 'missing workspace auth token'),
  invalidWorkspaceToken: () => new Refusal('unauthenticated', 'invalid workspace auth token'),
  invalidSession: () => new Refusal('unauthenticated', 'invalid session'),
  invalidWorkspaceId: () => new Refusal('invalid', 'invalid workspace ID'),
  invalidRequestBody: () => new Refusal('invalid', 'invalid request body'),
  /** Spec 2 §1.1 step 1. */
  unreadableBody: () => new Refusal('invalid', 'failed to read request body'),
  workspaceNotFound: () => new Refusal('not-found', 'workspace not found'),
  platformUnavailable,
} as const;

const UNAVAILABLE_CODES: ReadonlySet<unknown> = new Set([
  // sockets
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOTFOUND', 'EAI_AGAIN'],
  // PostgreSQL: shutting down, starting up, cancelled by the operator or by a timeout, too many connections, no room
  ...['57P01', '57P02', '57P03', '57014', '53300', '53100', '53200', '08000', '08001', '08003', '08004', '08006'],
  // so contended that trying again did not help
  ...['40001', '40P01'],
]);
const UNAVAILABLE_NAMES: ReadonlySet<string> = new Set([
  'AskTimeout',
  'AskNoResponder',
  'ServiceUnreachable',
  'VersionConflict',
  'CommitUnknown',
]);
const UNAVAILABLE_TEXT =
  /^(timeout exceeded when trying to connect|connection terminated|query read timeout|client has encountered a connection error)/i;

/** Whether an error says that a store, the bus or another service could not be reached now (spec 1 §4.9). Looks at causes too. */
export function isUnavailable(error: unknown): boolean {
  let current = error;
  for (let depth = 0; current instanceof Error && depth < 5; depth++) {
    if (UNAVAILABLE_CODES.has((current as NodeJS.ErrnoException).code)) return true;
    if (UNAVAILABLE_NAMES.has(current.name) || UNAVAILABLE_TEXT.test(current.message)) return true;
    current = current.cause;
  }
  return false;
}

interface Wire {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** What a thrown value looks like on the wire. Everything that is not a refusal is logged here; its text stays inside. */
function toWire(error: unknown, log: Log): Wire {
  if (error instanceof Refusal) return refusalToWire(error);
  if (error instanceof BodyError) return refusalToWire(problem.unreadableBody());
  if (isUnavailable(error)) {
    log.warn({ err: error }, 'a request met a dependency that is not there');
    return refusalToWire(platformUnavailable(error));
  }
  if (error instanceof HTTPException && error.status < 500) return { status: error.status, headers: {}, body: null };
  log.error({ err: error }, 'request failed');
  return { status: 500, headers: {}, body: null };
}

const refusalToWire = ({ kind, message, body, headers }: Refusal): Wire => ({
  status: STATUS[kind],
  headers: { 'content-type': JSON_TYPE, ...headers },
  body: JSON.stringify({ error: message, ...body }),
});

/** hono's `onError`. */
export const renderError =
  (log: Log): ErrorHandler<WithContext> =>
  (error, c: Context<WithContext>) => {
    const { status, headers, body } = toWire(error, c.get('log') ?? log);
    const contentful = status as ContentfulStatusCode;
    return body === null ? c.body(null, contentful) : c.body(body, contentful, { ...headers });
  };

/** The same for raw routes: answers a thrown value, or ends the connection when an answer has begun already. */
export function sendError(res: ServerResponse, error: unknown, log: Log): void {
  const { status, headers, body } = toWire(error, log);
  if (res.headersSent) {
    // Half an answer must not look like a whole one.
    res.destroy();
    return;
  }
  if (res.writableEnded || res.destroyed) return;
  if (body === null) res.writeHead(status, { ...headers, 'content-length': 0 }).end();
  else res.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body) }).end(body);
}

/** Compact JSON on a raw response (spec 1 §0). */
export function sendJson(
  res: ServerResponse,
  value: unknown,
  status = 200,
  headers: Readonly<Record<string, string>> = {},
): void {
  const body = JSON.stringify(value);
  res.writeHead(status, { 'content-type': JSON_TYPE, 'content-length': Buffer.byteLength(body), ...headers }).end(body);
}

/** Compact JSON from a hono route: `application/json; charset=utf-8`, which `c.json` does not say. */
export const json = <Status extends ContentfulStatusCode = 200>(c: Context, value: unknown, status?: Status): Response =>
  c.body(JSON.stringify(value), status ?? 200, { 'content-type': JSON_TYPE });

/** The same of JSON that was made before, with 200. */
export const jsonBody = (c: Context, made: Uint8Array<ArrayBuffer>): Response => c.body(made, 200, { 'content-type': JSON_TYPE });
