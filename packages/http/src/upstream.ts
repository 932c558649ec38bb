/**
 * The HTTP hop from the gateway to the owner of a route: undici onto the raw response (limits §3, traps 1–4).
 *
 *   U1. A request is sent to another replica only if none of it was written to the one before.
 *   U2. An answer that breaks off is never completed as if it were whole: the client's connection is destroyed.
 *   U3. A client that goes away ends a GET or HEAD upstream, and a stream of events; everything else runs to its end (spec 2 §1.7).
 *   U4. No `x-molecule-*` header of a client gets through; the owner trusts only the signed context (D4).
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { platformUnavailable, Refusal, type RequestContext } from '@molecule/contracts';
import type { Log } from '@molecule/service';
import type { Dispatcher } from 'undici';
import { BodyError } from './body.ts';
import { CONTEXT_HEADER, signContext } from './context.ts';
import { Exchange, isRequestError, requestBody, requestHeaders } from './exchange.ts';
import { sendError } from './problems.ts';
import { type Replica, Replicas } from './replicas.ts';

export interface UpstreamOptions {
  readonly internalKey: string;
  readonly log: Log;
}

export class Upstream {
  readonly #replicas: Replicas;
  readonly #internalKey: string;
  readonly #log: Log;

  /** `baseUrls`: one per replica, e.g. `http://registry-0:8081`. */
  constructor(baseUrls: readonly string[], { internalKey, log }: UpstreamOptions) {
    this.#replicas = new Replicas(baseUrls, { log });
    this.#internalKey = internalKey;
    this.#log = log;
  }

  /** Sends the request on and answers with what comes back. Resolves when the exchange is over; never rejects. */
  async forward(req: IncomingMessage, res: ServerResponse, context: RequestContext): Promise<void> {
    try {
      const path = req.url ?? '/';
      if (!path.startsWith('/')) throw new Refusal('invalid', 'malformed request target');
      const headers = requestHeaders(req, isOurs);
      headers.push(CONTEXT_HEADER, signContext(context, this.#internalKey));
      const options: Dispatcher.DispatchOptions = { path, method: req.method ?? 'GET', headers, body: await requestBody(req) };

      const tried: Replica[] = [];
      for (;;) {
        const replica = this.#replicas.next(tried);
        if (!replica) throw platformUnavailable();
        tried.push(replica);
        const exchange = new Exchange(res, options.method, () => this.#replicas.reached(replica));
        replica.pool.dispatch(options, exchange);
        const failure = await exchange.over;
        if (!failure) return;
        if (failure.written) {
          this.#log.warn({ err: failure.error, url: replica.url }, 'a service broke off an exchange');
          throw new Refusal('bad-gateway', 'the service ended the connection before its answer was complete');
        }
        if (isRequestError(failure.error)) throw new Refusal('invalid', 'malformed request');
        this.#replicas.unreachable(replica, failure.error);
        if (res.destroyed) return;
      }
    } catch (error) {
      if (error instanceof BodyError && error.reason === 'aborted') return;
      sendError(res, error, this.#log);
    }
  }

  /** Ends all connections. */
  close(): Promise<void> {
    return this.#replicas.close();
  }
}

/** Only we say these. */
const isOurs = (name: string): boolean => name.startsWith('x-molecule-');
