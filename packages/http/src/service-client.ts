/** How one service of ours calls another's HTTP API: on its own behalf, with a signed context. */
import { principalOf, type RequestContext } from '@molecule/contracts';
import { type Log, newId } from '@molecule/service';
import type { Dispatcher } from 'undici';
import { CONTEXT_HEADER, signContext } from './context.ts';
import { type Replica, Replicas } from './replicas.ts';

const DEFAULT_TIMEOUT_MS = 30_000;
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** No whole answer came. `written: false` means that the other service has seen nothing of the request. */
export class ServiceUnreachable extends Error {
  readonly written: boolean;
  readonly timedOut: boolean;

  constructor(message: string, { written, timedOut, cause }: { written: boolean; timedOut: boolean; cause?: unknown }) {
    super(message, { cause });
    this.written = written;
    this.timedOut = timedOut;
  }

  override get name(): string {
    return 'ServiceUnreachable';
  }
}

export interface ServiceRequest {
  readonly method: string;
  /** With its query. */
  readonly path: string;
  /** Sent as JSON; a string or bytes are sent as they are. */
  readonly body?: unknown;
  /** The caller's name of spec 2 §1.2, e.g. `system:restart-context`; `''` for one that counts as the canvas. */
  readonly as: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** For the whole exchange. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

export interface ServiceAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

export interface ServiceClientOptions {
  /** One per replica of the service that is called. */
  readonly baseUrls: readonly string[];
  readonly internalKey: string;
  /** The service that calls. */
  readonly service: string;
  readonly log: Log;
}

export class ServiceClient {
  readonly #replicas: Replicas;
  readonly #internalKey: string;
  readonly #service: string;

  constructor({ baseUrls, internalKey, service, log }: ServiceClientOptions) {
    this.#replicas = new Replicas(baseUrls, { log });
    this.#internalKey = internalKey;
    this.#service = service;
  }

  /** Any status is an answer. @throws ServiceUnreachable; the reason of `signal` when that aborts */
  async request({
    method,
    path,
    body,
    as,
    headers = {},
    timeoutMs = DEFAULT_TIMEOUT_MS,
    signal,
  }: ServiceRequest): Promise<ServiceAnswer> {
    const deadline = AbortSignal.timeout(timeoutMs);
    const ending = signal ? AbortSignal.any([signal, deadline]) : deadline;
    const payload = body === undefined || typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
    const options: Dispatcher.DispatchOptions = {
      method,
      path,
      headers: {
        ...(payload === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
        [CONTEXT_HEADER]: signContext(this.#context(as), this.#internalKey),
      },
      body: payload ?? null,
    };

    const tried: Replica[] = [];
    let last: Error | undefined;
    for (;;) {
      signal?.throwIfAborted();
      const replica = this.#replicas.next(tried);
      if (!replica)
        throw new ServiceUnreachable('the service cannot be reached', { written: false, timedOut: false, cause: last });
      tried.push(replica);
      const outcome = await new Collector(replica, this.#replicas, ending).send(options);
      if ('answer' in outcome) return outcome.answer;
      if (deadline.aborted && !signal?.aborted) {
        const { written, error: cause } = outcome;
        throw new ServiceUnreachable(`the service did not answer within ${timeoutMs} ms`, { written, timedOut: true, cause });
      }
      signal?.throwIfAborted();
      if (outcome.written) {
        throw new ServiceUnreachable('the service broke off its answer', {
          written: true,
          timedOut: false,
          cause: outcome.error,
        });
      }
      last = outcome.error;
      this.#replicas.unreachable(replica, outcome.error);
    }
  }

  close(): Promise<void> {
    return this.#replicas.close();
  }

  #context(as: string): RequestContext {
    return {
      principal: principalOf({ kind: 'service', service: this.#service, as }),
      peer: '',
      requestId: newId(),
      beats: null,
    };
  }
}

type Outcome = { readonly answer: ServiceAnswer } | { readonly error: Error; readonly written: boolean };

/** One attempt, its answer gathered in memory. */
class Collector implements Dispatcher.DispatchHandler {
  readonly #replica: Replica;
  readonly #replicas: Replicas;
  readonly #ending: AbortSignal;
  readonly #outcome = Promise.withResolvers<Outcome>();
  readonly #chunks: Buffer[] = [];
  #size = 0;
  #status = 0;
  #headers: ServiceAnswer['headers'] = {};
  #controller: Dispatcher.DispatchController | undefined;

  constructor(replica: Replica, replicas: Replicas, ending: AbortSignal) {
    this.#replica = replica;
    this.#replicas = replicas;
    this.#ending = ending;
  }

  async send(options: Dispatcher.DispatchOptions): Promise<Outcome> {
    const onAbort = () => this.#fail(new Error('told to stop waiting'));
    if (this.#ending.aborted) return { error: new Error('told to stop waiting'), written: false };
    this.#ending.addEventListener('abort', onAbort, { once: true });
    this.#replica.pool.dispatch(options, this);
    try {
      return await this.#outcome.promise;
    } finally {
      this.#ending.removeEventListener('abort', onAbort);
    }
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    this.#replicas.reached(this.#replica);
    if (this.#ending.aborted) controller.abort(new Error('told to stop waiting'));
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: ServiceAnswer['headers']): void {
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#size += chunk.length;
    if (this.#size > MAX_ANSWER_BYTES) this.#fail(new Error('the answer is too large'));
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const text = Buffer.concat(this.#chunks, this.#size).toString();
    this.#outcome.resolve({ answer: { status: this.#status, headers: this.#headers, text } });
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#outcome.resolve({ error, written: this.#controller !== undefined });
  }

  #fail(error: Error): void {
    this.#outcome.resolve({ error, written: this.#controller !== undefined });
    this.#controller?.abort(error);
  }
}
