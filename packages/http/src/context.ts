/**
 * Who is asking, carried from the gateway to the owner of a route so that nobody in between can change it (D4, design §7).
 *
 *   C1. In one process the context hangs on the request object; between processes it travels in a signed header.
 *   C2. A header that is missing, altered, older than a minute or from the future is no context: the request is anonymous,
 *       and tokens count as unknown, so protected routes answer 503 and none opens (I9).
 */
import { hash, timingSafeEqual } from 'node:crypto';
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
  const signed = `${VERSION}.${payload}`;
  return `${signed}.${macUnder(key).of(signed)}`;
}

/** The context of a header's value, or `null` when it cannot be trusted. Never throws. */
export function verifyContext(header: string | undefined, key: string, nowMs: number = Date.now()): RequestContext | null {
  if (header === undefined) return null;
  const [version, payload, signature, ...rest] = header.split('.');
  if (version !== VERSION || payload === undefined || signature === undefined || rest.length > 0) return null;
  const expected = macUnder(key).of(`${VERSION}.${payload}`);
  if (signature.length !== expected.length || !timingSafeEqual(Buffer.from(signature), Buffer.from(expected))) return null;

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

const BLOCK_BYTES = 64;
const DIGEST_BYTES = 32;

/**
 * HMAC-SHA-256 (RFC 2104) under one key, by two one-shot hashes: what `createHmac` computes, for a third of its time, on a path that
 * every request takes twice.
 */
class Mac {
  /** The key and what is hashed under it; it grows to what is asked for most. */
  #inner: Buffer;
  readonly #outer = Buffer.alloc(BLOCK_BYTES + DIGEST_BYTES);

  constructor(key: string) {
    const bytes = Buffer.from(key);
    const block = Buffer.alloc(BLOCK_BYTES);
    (bytes.length > BLOCK_BYTES ? hash('sha256', bytes, 'buffer') : bytes).copy(block);
    this.#inner = Buffer.from(block.map((byte) => byte ^ 0x36));
    this.#outer.set(block.map((byte) => byte ^ 0x5c));
  }

  /** In base64url. */
  of(text: string): string {
    const most = BLOCK_BYTES + text.length * 3;
    if (this.#inner.length < most) this.#inner = Buffer.concat([this.#inner.subarray(0, BLOCK_BYTES)], most);
    const end = BLOCK_BYTES + this.#inner.write(text, BLOCK_BYTES);
    this.#outer.write(hash('sha256', this.#inner.subarray(0, end), 'binary'), BLOCK_BYTES, 'latin1');
    return hash('sha256', this.#outer, 'base64url');
  }
}

/** One a process, but for tests. */
const macs = new Map<string, Mac>();

function macUnder(key: string): Mac {
  let mac = macs.get(key);
  if (mac === undefined) {
    mac = new Mac(key);
    macs.set(key, mac);
  }
  return mac;
}

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
