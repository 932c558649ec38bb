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
  | { readonly kind: 'cut'; readonly bytes: number };

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
