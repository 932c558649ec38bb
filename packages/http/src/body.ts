/**
 * Request bodies: read with a bound on size and time, parsed as JSON whatever `Content-Type` says (spec 1 §0), and checked.
 *
 *   B1. What is too large, too slow, not UTF-8, not JSON, nested too deeply, or holds text that PostgreSQL cannot store (NUL,
 *       half a surrogate pair) gets the route's own refusal, never a 500.
 */
import type { IncomingMessage } from 'node:http';
import type { Refusal } from '@molecule/contracts';
import type { Context, MiddlewareHandler } from 'hono';
import type { z } from 'zod';
import type { WithContext } from './context.ts';

/** What a JSON body may hold unless its route says otherwise: 1 MiB. */
export const DEFAULT_MAX_BODY_BYTES = 1024 * 1024;
/** How long the sender may take for it. */
const READ_TIMEOUT_MS = 25_000;
const MAX_DEPTH = 200;

/** Why a body was not read: `aborted` means that the client has gone. */
export class BodyError extends Error {
  readonly reason: 'too-large' | 'too-slow' | 'aborted';

  constructor(reason: 'too-large' | 'too-slow' | 'aborted') {
    super(`the request body was not read: ${reason}`);
    this.reason = reason;
  }

  override get name(): string {
    return 'BodyError';
  }
}

export interface ReadBodyOptions {
  readonly maxBytes?: number;
  readonly timeoutMs?: number;
  /** `cut` keeps the first `maxBytes` and reads past the rest (spec 2 §1.1 step 1); `refuse` throws. */
  readonly excess?: 'refuse' | 'cut';
}

/** The whole body of a raw request. @throws BodyError */
export function readBody(
  req: IncomingMessage,
  { maxBytes = DEFAULT_MAX_BODY_BYTES, timeoutMs = READ_TIMEOUT_MS, excess = 'refuse' }: ReadBodyOptions = {},
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (req.readableEnded) return resolve(Buffer.alloc(0));
    if (req.destroyed) return reject(new BodyError('aborted'));
    if (excess === 'refuse' && Number(req.headers['content-length'] ?? 0) > maxBytes) return reject(new BodyError('too-large'));

    const chunks: Buffer[] = [];
    let size = 0;
    const settle = () => {
      clearTimeout(timer);
      req.off('data', onData).off('end', onEnd).off('close', onClose).off('error', onClose);
    };
    const fail = (reason: BodyError['reason']) => {
      settle();
      if (!req.destroyed) req.resume();
      reject(new BodyError(reason));
    };
    const onData = (chunk: Buffer) => {
      const room = maxBytes - size;
      if (chunk.length > room && excess === 'refuse') return fail('too-large');
      const kept = chunk.length > room ? chunk.subarray(0, room) : chunk;
      size += kept.length;
      if (kept.length > 0) chunks.push(kept);
    };
    const onEnd = () => {
      settle();
      resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks, size));
    };
    const onClose = () => fail('aborted');
    const timer = setTimeout(fail, timeoutMs, 'too-slow');
    req.on('data', onData).on('end', onEnd).on('close', onClose).on('error', onClose);
  });
}

export type BodyProblem =
  | { readonly kind: 'too-large' | 'too-slow' | 'malformed' }
  | { readonly kind: 'mismatch'; readonly error: z.ZodError };

export type ParsedBody<Output> =
  | { readonly ok: true; readonly value: Output }
  | { readonly ok: false; readonly problem: BodyProblem };

const utf8 = new TextDecoder('utf-8', { fatal: true });

/** JSON of untrusted bytes or text, or `undefined` when it is none that we take (B1). Never throws. */
export function parseJson(raw: Uint8Array | string): unknown {
  try {
    const text = typeof raw === 'string' ? raw : utf8.decode(raw);
    if (nestsTooDeep(text)) return undefined;
    const value: unknown = JSON.parse(text);
    // Only escapes can bring in what PostgreSQL refuses: the bytes themselves were valid UTF-8, and JSON has no raw controls.
    return text.includes('\\u') && !isStorable(value) ? undefined : value;
  } catch {
    return undefined;
  }
}

/** Counts brackets outside strings; 1 ns per character. */
function nestsTooDeep(text: string): boolean {
  if (text.length <= MAX_DEPTH) return false;
  let depth = 0;
  for (let index = 0; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case 0x22: // a string: on to its end
        index = endOfString(text, index);
        break;
      case 0x5b:
      case 0x7b:
        if (++depth > MAX_DEPTH) return true;
        break;
      case 0x5d:
      case 0x7d:
        depth--;
        break;
    }
  }
  return false;
}

function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}

function isStorable(value: unknown): boolean {
  if (typeof value === 'string') return value.isWellFormed() && !value.includes('\0');
  if (Array.isArray(value)) return value.every(isStorable);
  if (value === null || typeof value !== 'object') return true;
  return Object.entries(value).every(([key, item]) => isStorable(key) && isStorable(item));
}

/** Parses and checks a body that was read already. Never throws. */
export function parseBody<Schema extends z.ZodType>(schema: Schema, raw: Uint8Array | string): ParsedBody<z.output<Schema>> {
  const value = parseJson(raw);
  if (value === undefined) return { ok: false, problem: { kind: 'malformed' } };
  try {
    const result = schema.safeParse(value);
    if (result.success) return { ok: true, value: result.data };
    return { ok: false, problem: { kind: 'mismatch', error: result.error } };
  } catch (error) {
    if (error instanceof RangeError) return { ok: false, problem: { kind: 'malformed' } };
    throw error;
  }
}

export interface BodyOptions {
  readonly maxBytes?: number;
  /** What an empty body counts as; without it, an empty body is refused. */
  readonly empty?: unknown;
}

/**
 * A route's JSON body, then in `c.req.valid('json')`. `refusal` is the route's 400, given for everything that is wrong with
 * the body; routes with a different answer for some problem look at its `kind`.
 */
export const body = <Schema extends z.ZodType>(
  schema: Schema,
  refusal: (problem: BodyProblem) => Refusal,
  { maxBytes = DEFAULT_MAX_BODY_BYTES, empty }: BodyOptions = {},
): BodyMiddleware<Schema> => Object.assign(checking(schema, refusal, { maxBytes, empty }), { bodySchema: schema });

type BodyMiddleware<Schema extends z.ZodType> = MiddlewareHandler<
  WithContext,
  string,
  { in: { json: z.input<Schema> }; out: { json: z.output<Schema> } }
> & { readonly bodySchema: Schema };

const checking = <Schema extends z.ZodType>(
  schema: Schema,
  refusal: (problem: BodyProblem) => Refusal,
  { maxBytes, empty }: { readonly maxBytes: number; readonly empty: unknown },
): MiddlewareHandler<WithContext, string, { in: { json: z.input<Schema> }; out: { json: z.output<Schema> } }> =>
  async function body(c, next) {
    const raw = await readFrom(c, maxBytes).catch((error: unknown) => {
      if (error instanceof BodyError) throw refusal({ kind: error.reason === 'aborted' ? 'malformed' : error.reason });
      throw error;
    });
    const parsed = raw.length === 0 && empty !== undefined ? parseBody(schema, JSON.stringify(empty)) : parseBody(schema, raw);
    if (!parsed.ok) throw refusal(parsed.problem);
    c.req.addValidatedData('json', parsed.value as object);
    await next();
  };

/** From the node request where there is one: no web stream in between. */
async function readFrom(c: Context<WithContext>, maxBytes: number): Promise<Uint8Array> {
  const incoming = (c.env as { incoming?: IncomingMessage } | undefined)?.incoming;
  if (incoming) return readBody(incoming, { maxBytes });
  const bytes = new Uint8Array(await c.req.arrayBuffer());
  if (bytes.length > maxBytes) throw new BodyError('too-large');
  return bytes;
}
