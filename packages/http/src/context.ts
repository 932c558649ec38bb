/**
 * Who is asking, carried from the gateway to the owner of a route so that nobody in between can change it (D4, design §7).
 *
 *   C1. In one process the context hangs on the request object; between processes it travels in a signed header.
 *   C2. A header that is missing, altered, older than a minute or from the future is no context: the request is anonymous,
 *       and tokens count as unknown, so protected routes answer 503 and none opens (I9).
 */
import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { principalOf, RequestContext } from '@molecule/contracts';
import type { Log } from '@molecule/service';
import { z } from 'zod';

/** hono's environment of every app here: `c.get('context')`, `c.get('log')`, `c.get('requestId')`. */
export type WithContext = { Variables: { context: RequestContext; log: Log; requestId: string } };

export const CONTEXT_HEADER = 'x-molecule-context';

/** How far the signing clock and ours may be apart, in milliseconds. */
const MAX_SKEW_MS = 60_000;
const VERSION = 'v1';

const Envelope = z.object({ iat: z.number(), context: RequestContext });

/** The header's value. `nowMs`: milliseconds since the epoch. */
export function signContext(context: RequestContext, key: string, nowMs: number = Date.now()): string {
  const payload = Buffer.from(JSON.stringify({ iat: nowMs, context })).toString('base64url');
  return `${VERSION}.${payload}.${digest(payload, key).toString('base64url')}`;
}

/** The context of a header's value, or `null` when it cannot be trusted. Never throws. */
export function verifyContext(header: string | undefined, key: string, nowMs: number = Date.now()): RequestContext | null {
  if (header === undefined) return null;
  const [version, payload, signature, ...rest] = header.split('.');
  if (version !== VERSION || payload === undefined || signature === undefined || rest.length > 0) return null;
  const given = Buffer.from(signature, 'base64url');
  const expected = digest(payload, key);
  if (given.length !== expected.length || !timingSafeEqual(given, expected)) return null;

  let json: unknown;
  try {
    json = JSON.parse(Buffer.from(payload, 'base64url').toString());
  } catch {
    return null;
  }
  const envelope = Envelope.safeParse(json);
  if (!envelope.success || Math.abs(nowMs - envelope.data.iat) > MAX_SKEW_MS) return null;
  return envelope.data.context;
}

const digest = (payload: string, key: string): Buffer => createHmac('sha256', key).update(`${VERSION}.${payload}`).digest();

const ATTACHED = Symbol('context');
type Carrier = IncomingMessage & { [ATTACHED]?: RequestContext };

/** Hands the context on within one process. */
export const attachContext = (req: IncomingMessage, context: RequestContext): void => {
  (req as Carrier)[ATTACHED] = context;
};

/** What hangs on the request already, if anything. */
export const attachedContext = (req: IncomingMessage): RequestContext | undefined => (req as Carrier)[ATTACHED];

/** Who a request without a trusted context comes from: nobody, and nothing is known. */
export const anonymousContext = (requestId: string): RequestContext => ({
  principal: principalOf({ kind: 'anonymous' }, { tokensKnown: false }),
  peer: '',
  requestId,
  beats: null,
});
