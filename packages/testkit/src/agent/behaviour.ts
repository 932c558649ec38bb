/** What an agent can be told to do with a call: the honest answer, and the ways in which agents go wrong. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';

export type Behaviour =
  /** Answers with the text it was sent. */
  | { readonly kind: 'echo' }
  /** The same, after a while. */
  | { readonly kind: 'slow'; readonly ms: number }
  /** Answers when `release()` is called, and not before. */
  | { readonly kind: 'hang' }
  /** Takes the message and resets the connection. */
  | { readonly kind: 'reset' }
  /** Says 200 and then bytes that are no text. */
  | { readonly kind: 'garbage' }
  /** Says 200 and then a page. */
  | { readonly kind: 'not-json' }
  | {
      readonly kind: 'status';
      readonly status: number;
      readonly body?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Says 202: it will answer some other way. */
  | { readonly kind: 'accepted' }
  /** Server-sent events, one JSON-RPC result each. */
  | { readonly kind: 'stream'; readonly chunks: readonly string[]; readonly everyMs: number }
  /** Promises the whole answer and closes the connection after `bytes` of it. */
  | { readonly kind: 'cut'; readonly bytes: number }
  /** Says 200 and its headers, and nothing more until it is released. */
  | { readonly kind: 'headers-only' }
  /** The honest answer, a byte every so often. */
  | { readonly kind: 'trickle'; readonly everyMs: number }
  /** Says 200 and so many blanks, as fast as they are taken; `Infinity`: without end. */
  | { readonly kind: 'pour'; readonly bytes: number }
  /** Writes just these bytes, whatever they are; then it keeps the connection, ends it, or resets it. */
  | { readonly kind: 'raw'; readonly bytes: string | Buffer; readonly after: 'keep' | 'end' | 'reset' }
  /** The honest answer, and then these bytes that nobody asked for, on the same connection. */
  | { readonly kind: 'more'; readonly bytes: string; readonly afterMs: number }
  /** The honest answer, and then the connection is gone: as it said, without a word, or by a reset. */
  | { readonly kind: 'last-words'; readonly how: 'said' | 'unsaid' | 'reset' };

export interface Call {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly rpcId: unknown;
  readonly text: string;
  /** Resolves when hanging calls are released. */
  readonly released: Promise<void>;
  /** Aborts when the caller has gone. */
  readonly gone: AbortSignal;
}

/** Behaves so. Resolves when this call is over; a caller who left ends it. */
export async function behave(behaviour: Behaviour, call: Call): Promise<void> {
  const { request, response, released, gone } = call;
  switch (behaviour.kind) {
    case 'echo':
      return send(response, 200, echoOf(call));
    case 'slow':
      await delay(behaviour.ms, undefined, { signal: gone }).catch(() => undefined);
      return send(response, 200, echoOf(call));
    case 'hang':
      await Promise.race([released, aborted(gone)]);
      return send(response, 200, echoOf(call));
    case 'reset':
      request.socket.resetAndDestroy();
      return;
    case 'garbage':
      return send(response, 200, Buffer.from([0xff, 0xfe, 0x00, 0x80, 0xc3, 0x28]));
    case 'not-json':
      return send(response, 200, '<html><body>It works!</body></html>', { 'content-type': 'text/html' });
    case 'status':
      return send(response, behaviour.status, behaviour.body ?? '', behaviour.headers);
    case 'accepted':
      return send(response, 202, '');
    case 'stream':
      return stream(behaviour, call);
    case 'cut': {
      const answer = Buffer.from(echoOf(call));
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
      response.write(answer.subarray(0, behaviour.bytes), () => response.destroy());
      return;
    }
    case 'headers-only':
      response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders();
      await Promise.race([released, aborted(gone)]);
      response.end(echoOf(call));
      return;
    case 'trickle':
      return trickle(behaviour, call);
    case 'pour':
      return pour(behaviour, call);
    case 'raw':
      return raw(behaviour, call);
    case 'more': {
      send(response, 200, echoOf(call));
      await taken(response);
      if (behaviour.afterMs > 0) await delay(behaviour.afterMs);
      request.socket.write(behaviour.bytes);
      return;
    }
    case 'last-words':
      send(response, 200, echoOf(call), { connection: behaviour.how === 'said' ? 'close' : 'keep-alive' });
      await taken(response);
      if (behaviour.how === 'unsaid') request.socket.end();
      if (behaviour.how === 'reset') request.socket.resetAndDestroy();
      return;
  }
}

/** The JSON-RPC answer of an agent that repeats what it hears. */
export const echoOf = ({ rpcId, text }: Pick<Call, 'rpcId' | 'text'>): string =>
  JSON.stringify({
    jsonrpc: '2.0',
    id: rpcId ?? null,
    result: { kind: 'message', role: 'agent', messageId: crypto.randomUUID(), parts: [{ kind: 'text', text }] },
  });

function send(
  response: ServerResponse,
  status: number,
  body: string | Buffer,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.destroyed) return;
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers });
  response.end(body);
}

/** Resolves when the system has taken the answer, or the caller has gone. */
const taken = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    if (response.writableFinished || response.destroyed) resolve();
    else response.once('finish', resolve).once('close', resolve);
  });

async function trickle({ everyMs }: { readonly everyMs: number }, call: Call): Promise<void> {
  const { response, gone } = call;
  const answer = Buffer.from(echoOf(call));
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': answer.length });
  for (let at = 0; at < answer.length && !gone.aborted; at++) {
    response.write(answer.subarray(at, at + 1));
    await delay(everyMs, undefined, { signal: gone }).catch(() => undefined);
  }
  response.end();
}

const BLANKS = Buffer.alloc(64 * 1024, ' ');

async function pour({ bytes }: { readonly bytes: number }, { response, gone }: Call): Promise<void> {
  response.writeHead(200, {
    'content-type': 'application/json',
    ...(Number.isFinite(bytes) && { 'content-length': bytes }),
  });
  for (let left = bytes; left > 0 && !gone.aborted; left -= BLANKS.length) {
    if (response.write(left < BLANKS.length ? BLANKS.subarray(0, left) : BLANKS)) continue;
    await Promise.race([new Promise((drained) => response.once('drain', drained)), aborted(gone)]);
  }
  response.end();
}

/** The server's own response stays unused; it goes with the connection. */
async function raw({ bytes, after }: Extract<Behaviour, { kind: 'raw' }>, { request, released, gone }: Call): Promise<void> {
  const { socket } = request;
  await new Promise<unknown>((written) => socket.write(bytes, written));
  if (after === 'keep') await Promise.race([released, aborted(gone)]);
  if (after === 'reset') socket.resetAndDestroy();
  else socket.end();
}

async function stream(behaviour: Extract<Behaviour, { kind: 'stream' }>, { response, rpcId, gone }: Call): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  response.flushHeaders();
  for (const text of behaviour.chunks) {
    if (gone.aborted) return;
    const result = { kind: 'message', role: 'agent', messageId: crypto.randomUUID(), parts: [{ kind: 'text', text }] };
    response.write(`data: ${JSON.stringify({ jsonrpc: '2.0', id: rpcId ?? null, result })}\n\n`);
    await delay(behaviour.everyMs, undefined, { signal: gone }).catch(() => undefined);
  }
  response.end();
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
