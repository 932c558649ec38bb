/** Requests that no well-mannered client would send: paths as they are written, bodies and headers of any kind, or no HTTP at all. */
import { once } from 'node:events';
import { request } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';

export interface Knock {
  readonly method: string;
  /** Sent as it is: nothing is encoded, nothing resolved. */
  readonly path: string;
  readonly body?: string | Buffer | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  /** Answers of these media types have no end: their heads are all that is waited for. */
  readonly untilHead?: RegExp;
}

export interface Reply {
  readonly status: number;
  readonly type: string;
  readonly text: string;
  /** `Retry-After`, if it says when to come again. */
  readonly retryAfter: string | undefined;
  readonly ms: number;
}

const PATIENCE_MS = 30_000;

/** Rejects when the connection breaks or nothing comes within 30 s. */
export async function knock(base: string, { method, path, body, headers = {}, untilHead }: Knock): Promise<Reply> {
  const { hostname, port } = new URL(base);
  const started = performance.now();
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  const outgoing = request({ hostname, port, method, path, headers: { ...length, ...headers }, agent: false });
  outgoing.setTimeout(PATIENCE_MS, () => outgoing.destroy(new Error(`no answer within ${PATIENCE_MS} ms`)));
  const answered = once(outgoing, 'response', { signal: AbortSignal.timeout(PATIENCE_MS) });
  outgoing.end(body);
  const [response] = await answered;
  const type: string = response.headers['content-type'] ?? '';
  const endless = untilHead?.test(type) === true;
  if (endless) response.destroy();
  return {
    status: response.statusCode,
    type,
    text: endless ? '' : await text(response),
    retryAfter: response.headers['retry-after'],
    ms: performance.now() - started,
  };
}

/** Says something on a connection, and hears what comes until the other side closes it. */
export async function speak(base: string, said: string): Promise<string> {
  const { hostname, port } = new URL(base);
  const socket = connect(Number(port), hostname);
  socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error(`not closed within ${PATIENCE_MS} ms`)));
  socket.write(said, 'latin1');
  return await text(socket);
}
