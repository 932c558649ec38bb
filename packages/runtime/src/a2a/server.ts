/**
 * The A2A server of an agent (spec 4 §6): its card, `POST /` with JSON-RPC, its transcript.
 *
 *   A1. A message that was let in is worked on to its end, whether or not its caller still listens.
 *   A2. A message that waits for its turn is dropped when its caller goes away: the caller will send it again.
 *   A3. What an agent does wrong is a result, never a transport error; no error text of ours names a path or a stack.
 */
import { randomUUID, timingSafeEqual } from 'node:crypto';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { BaseAdapter, Executor } from '../adapter.ts';
import type { Heartbeat } from '../heartbeat.ts';
import type { Log } from '../log.ts';
import type { TokenFile } from '../token-file.ts';
import { runMessage } from './execution.ts';
import { Gate } from './gate.ts';
import { RPC_ERRORS, type RpcError, type RpcId, RpcRequest, rpcError, rpcResult, SendParams, TaskParams } from './messages.ts';
import { isEnded, Tasks, taskShown } from './tasks.ts';

const LARGEST_BODY_BYTES = 32 * 1024 * 1024;
/** Longer than the platform keeps an idle connection, so that it is the one to close it. */
const KEEP_ALIVE_MS = 30_000;

export interface A2aParts {
  readonly card: () => object;
  readonly adapter: BaseAdapter;
  readonly executor: Executor;
  readonly token: TokenFile;
  readonly heartbeat: Pick<Heartbeat, 'taskStarted' | 'taskEnded'>;
  readonly log: Log;
}

export class A2aServer {
  readonly #parts: A2aParts;
  readonly #gate: Gate;
  readonly #tasks = new Tasks();
  readonly #server: http.Server;
  readonly #running = new Set<Promise<unknown>>();

  constructor(parts: A2aParts) {
    this.#parts = parts;
    this.#gate = new Gate(() => parts.adapter.concurrency());
    this.#server = http.createServer({ keepAliveTimeout: KEEP_ALIVE_MS }, (request, response) => {
      this.#route(request, response).catch((error: unknown) => {
        if (response.destroyed) return; // the caller went away while it was read
        parts.log.error({ err: error }, 'request failed');
        if (response.headersSent) response.destroy();
        else sendJson(response, 500, { error: 'internal error' });
      });
    });
  }

  /** Resolves with the port that is listened on; 0 asks for any free one. Rejects when it is taken. */
  listen(port: number, host: string): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        resolve((this.#server.address() as { port: number }).port);
      });
    });
  }

  /** Takes nothing new, gives what runs `graceMs` to end, then cancels it. */
  async close(graceMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    this.#server.closeIdleConnections();
    const cancel = setTimeout(() => this.#tasks.abortAll(), graceMs);
    await Promise.allSettled(this.#running);
    clearTimeout(cancel);
    this.#server.closeAllConnections();
    await closed;
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://agent');
    switch (`${request.method} ${pathname}`) {
      case 'GET /.well-known/agent-card.json':
      case 'GET /.well-known/agent.json':
        return sendJson(response, 200, this.#parts.card());
      case 'GET /transcript':
        return await this.#transcript(request, response, searchParams);
      case 'POST /':
        return await this.#rpc(request, response);
      default:
        return sendJson(response, 404, { error: 'not found' });
    }
  }

  async #transcript(request: IncomingMessage, response: ServerResponse, query: URLSearchParams): Promise<void> {
    const token = this.#parts.token.read();
    if (token === undefined || !isBearer(request.headers.authorization, token))
      return sendJson(response, 401, { error: 'unauthorized' });
    const [since, limit] = [query.get('since') ?? '0', query.get('limit') ?? '100'];
    if (![since, limit].every((text) => /^-?\d{1,15}$/.test(text))) {
      return sendJson(response, 400, { error: 'since and limit must be integers' });
    }
    return sendJson(response, 200, await this.#parts.adapter.transcriptLines(Number(since), Number(limit)));
  }

  async #rpc(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readBody(request);
    if (body === undefined) return sendJson(response, 413, { error: 'request body too large' });
    const json = parseJson(body);
    if (json === undefined) return sendText(response, rpcError(null, RPC_ERRORS.parse));
    const envelope = RpcRequest.safeParse(json);
    if (!envelope.success) return sendText(response, rpcError(idOf(json), RPC_ERRORS.request));
    const { id = null, method, params } = envelope.data;
    switch (method) {
      case 'message/send':
      case 'message/stream':
        return await this.#message(request, response, id, params, method === 'message/stream');
      case 'tasks/get':
      case 'tasks/cancel':
        return sendText(response, await this.#task(id, params, method === 'tasks/cancel'));
      default:
        return sendText(response, rpcError(id, RPC_ERRORS.method));
    }
  }

  async #message(
    request: IncomingMessage,
    response: ServerResponse,
    id: RpcId,
    given: unknown,
    streaming: boolean,
  ): Promise<void> {
    const params = SendParams.safeParse(given);
    if (!params.success) return sendText(response, rpcError(id, invalid(params.error.issues)));
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    const admission = await this.#gate.enter(gone.signal);
    if (admission.kind === 'gone') return; // A2
    if (admission.kind === 'refused') {
      request.socket.resetAndDestroy();
      return;
    }
    const task = this.#tasks.add(randomUUID(), params.data.message.contextId ?? randomUUID());
    if (streaming) response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' });
    const tell = (event: object) => {
      if (streaming && response.writable) response.write(`data: ${rpcResult(id, event)}\n\n`);
    };
    const traceparent = request.headers['traceparent'];
    const delivery = {
      params: params.data,
      streaming,
      traceparent: typeof traceparent === 'string' ? traceparent : undefined,
      onEvent: tell,
    };
    const running = runMessage({ ...this.#parts, tasks: this.#tasks }, task, delivery).finally(admission.leave); // A1
    this.#running.add(running);
    const answer = await running.finally(() => this.#running.delete(running));
    if (!streaming) return sendText(response, rpcResult(id, answer));
    tell(answer);
    response.end();
  }

  async #task(id: RpcId, given: unknown, cancel: boolean): Promise<string> {
    const params = TaskParams.safeParse(given);
    if (!params.success) return rpcError(id, invalid(params.error.issues));
    const task = this.#tasks.get(params.data.id);
    if (task === undefined) return rpcError(id, RPC_ERRORS.taskNotFound);
    if (cancel) {
      if (isEnded(task)) return rpcError(id, RPC_ERRORS.taskNotCancelable);
      this.#tasks.move(task, 'canceled');
      task.abort.abort();
      if (task.context !== undefined) await this.#parts.executor.cancel(task.context, { enqueue: () => {} });
    }
    return rpcResult(id, taskShown(task));
  }
}

async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > LARGEST_BODY_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** The id of a request that is otherwise no good, so that its answer can be told apart. */
const idOf = (json: unknown): RpcId => {
  const id = typeof json === 'object' && json !== null ? (json as { id?: unknown }).id : null;
  return typeof id === 'string' || typeof id === 'number' ? id : null;
};

const invalid = (issues: readonly { path: PropertyKey[]; message: string }[]): RpcError => ({
  ...RPC_ERRORS.params,
  data: issues.slice(0, 10).map(({ path, message }) => `${path.map(String).join('.')}: ${message}`),
});

function isBearer(header: string | undefined, token: string): boolean {
  const given = Buffer.from(header ?? '');
  const wanted = Buffer.from(`Bearer ${token}`);
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}

const sendJson = (response: ServerResponse, status: number, value: unknown): void =>
  sendText(response, JSON.stringify(value), status);

function sendText(response: ServerResponse, text: string, status = 200): void {
  if (response.destroyed) return;
  const headers = { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(text) };
  response.writeHead(status, status === 413 ? { ...headers, connection: 'close' } : headers).end(text);
}
