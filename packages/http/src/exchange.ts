/**
 * One exchange with a server behind us: undici onto the raw response (limits §3, traps 1–4), and the headers that pass.
 *
 *   X1. An answer that breaks off is never completed as if it were whole: the client's connection is destroyed.
 *   X2. A client that goes away ends a GET or HEAD upstream, and a stream of events, so that streams end: what then becomes of the work
 *       is for the server to say. Everything else runs to its end (spec 2 §1.7).
 *   X3. An answer may come before the body has been sent: the client's next request is read all the same.
 */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { PassThrough, type Readable } from 'node:stream';
import type { Dispatcher } from 'undici';
import { BodyError, readBody } from './body.ts';

/** Bodies up to this size are read whole before they are sent on; larger ones, and those of unknown size, are streamed. */
const BUFFERED_BYTES = 64 * 1024;

/** Beyond, copying costs more than a second piece in a write. */
const ONE_WRITE_BYTES = 8 * 1024;

/** Headers that concern one connection only, and those that this hop makes itself. */
const HOP_BY_HOP: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'proxy-authenticate',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'expect',
  'http2-settings',
]);

export interface Failure {
  readonly error: Error;
  /** Whether the service may have seen any of the request. */
  readonly written: boolean;
}

/** One attempt: what undici reports of it, on its way to the client. */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly over: Promise<Failure | null>;
  readonly #end: (failure: Failure | null) => void;
  readonly #res: ServerResponse;
  #abortable: boolean;
  readonly #onReached: () => void;
  #controller: Dispatcher.DispatchController | undefined;
  #answering = false;
  #clientGone = false;
  /** How long the answer's body is, where it says so, and the whole of it, where it came in one piece. */
  #length = -1;
  #whole: Buffer | undefined;

  constructor(res: ServerResponse, method: string, onReached: () => void) {
    const { promise, resolve } = Promise.withResolvers<Failure | null>();
    this.over = promise;
    this.#end = resolve;
    this.#res = res;
    this.#abortable = method === 'GET' || method === 'HEAD';
    this.#onReached = onReached;
    this.#clientGone = res.destroyed;
    res.on('drain', this.#onDrain).on('close', this.#onClose);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#onReached();
    if (this.#clientGone && this.#abortable) controller.abort(new ClientGone());
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: OutgoingHttpHeaders): void {
    if (status < 200) return;
    this.#abortable ||= isEventStream(headers);
    if (this.#clientGone) {
      if (this.#abortable) controller.abort(new ClientGone());
      return;
    }
    this.#answering = true;
    this.#res.writeHead(status, responseHeaders(headers));
    // A stream's head must not wait for its first event; when data is there already, head and data leave together.
    if (headers['content-length'] === undefined) process.nextTick(this.#flush);
    else this.#length = Number(headers['content-length']);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#clientGone) return;
    // Its end follows at once, and both leave in one write.
    if (chunk.length === this.#length && chunk.length <= ONE_WRITE_BYTES) this.#whole = chunk;
    else if (!this.#res.write(chunk)) controller.pause();
  }

  onResponseEnd(): void {
    this.#detach();
    if (!this.#clientGone) {
      if (this.#whole === undefined) this.#res.end();
      else endWith(this.#res, this.#whole);
    }
    this.#end(null);
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#detach();
    if (this.#answering) this.#res.destroy(); // X1
    this.#end(this.#clientGone ? null : { error, written: this.#controller !== undefined });
  }

  readonly #onDrain = (): void => this.#controller?.resume();

  readonly #onClose = (): void => {
    if (this.#res.writableFinished) return;
    this.#clientGone = true;
    if (this.#abortable) this.#controller?.abort(new ClientGone());
    else this.#controller?.resume(); // X2: what still comes is read and dropped
  };

  readonly #flush = (): void => {
    if (!this.#clientGone && !this.#res.writableEnded) this.#res.flushHeaders();
  };

  #detach(): void {
    this.#res.off('drain', this.#onDrain).off('close', this.#onClose);
  }
}

/** Whether an answer is one of server-sent events. */
export const isEventStream = ({ 'content-type': type }: { readonly 'content-type'?: unknown }): boolean =>
  typeof type === 'string' && /^text\/event-stream\s*(;|$)/i.test(type);

/** Ends an answer with the whole of its body: a small one as text of as many characters, which node joins with the head. */
export function endWith(res: ServerResponse, body: Buffer): void {
  if (body.length <= ONE_WRITE_BYTES) res.end(body.toString('latin1'), 'latin1');
  else res.end(body);
}

class ClientGone extends Error {
  constructor() {
    super('the client has gone');
  }
}

/** undici refuses to send it: the client's doing, not the service's. */
export const isRequestError = (error: Error): boolean => (error as NodeJS.ErrnoException).code === 'UND_ERR_INVALID_ARG';

/** The client's headers, flat, without those of the hop and without those to be dropped. Names come in lower case. */
export function requestHeaders({ rawHeaders, headers }: IncomingMessage, drop: (name: string) => boolean): string[] {
  const named = namedByConnection(headers.connection);
  const kept: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] as string;
    const lower = name.toLowerCase();
    if (HOP_BY_HOP.has(lower) || drop(lower) || named?.has(lower)) continue;
    kept.push(name, rawHeaders[index + 1] as string);
  }
  return kept;
}

function responseHeaders(headers: OutgoingHttpHeaders): OutgoingHttpHeaders {
  const named = namedByConnection(headers['connection']);
  const kept: OutgoingHttpHeaders = {};
  for (const name of Object.keys(headers)) {
    if (HOP_BY_HOP.has(name) || named?.has(name)) continue;
    kept[name] = headers[name];
  }
  return kept;
}

/** `Connection: keep-alive, x-foo` makes `x-foo` a header of the hop. */
function namedByConnection(value: OutgoingHttpHeaders[string]): ReadonlySet<string> | undefined {
  if (typeof value !== 'string' || value === 'keep-alive' || value === 'close') return undefined;
  return new Set(
    value
      .toLowerCase()
      .split(',')
      .map((name) => name.trim())
      // These are not the connection's business, whatever a client says.
      .filter((name) => name !== 'host' && name !== 'content-length' && name !== 'authorization'),
  );
}

/** @throws BodyError when the client goes away, or is too slow */
export async function requestBody(req: IncomingMessage): Promise<Buffer | Readable | null> {
  const length = req.headers['content-length'];
  if (length === undefined) return req.headers['transfer-encoding'] === undefined ? null : onItsWay(req);
  if (Number(length) === 0) return null;
  return Number(length) <= BUFFERED_BYTES ? readBody(req, { maxBytes: BUFFERED_BYTES }) : onItsWay(req);
}

/** The body as it comes. What is left of it when nobody takes any more is read and dropped (X3). */
function onItsWay(req: IncomingMessage): Readable {
  const body = new PassThrough();
  const broken = () => {
    if (!req.complete) body.destroy(new BodyError('aborted'));
  };
  req.on('error', broken).on('close', broken);
  // Whoever sends it on hears of it as well; between two attempts nobody else listens.
  body.on('error', () => undefined);
  body.once('close', () => {
    req.off('close', broken).unpipe(body);
    req.resume();
  });
  return req.pipe(body);
}
