/**
 * A way out to a server that is none of ours: the canvas, or a control plane (spec 1 §4.10, §4.11). Requests and answers are streamed
 * as they are, under the server's own name, without what is not meant for it.
 *
 *   V1. Nothing is sent twice. What fails before an answer began is 502 with the text of this proxy; afterwards the connection ends.
 *   V2. Connections are bounded, and so is how long a server may be silent.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Refusal } from '@molecule/contracts';
import type { Log } from '@molecule/service';
import { Pool } from 'undici';
import { BodyError } from './body.ts';
import { Exchange, isRequestError, requestBody, requestHeaders } from './exchange.ts';
import { sendError } from './problems.ts';

const MAX_CONNECTIONS = 256;
const CONNECT_TIMEOUT_MS = 3_000;
const HEADERS_TIMEOUT_MS = 60_000;
/** Between two parts of an answer: a stream of events may be quiet for a while. */
const SILENCE_TIMEOUT_MS = 300_000;

export interface ReverseProxyOptions {
  /** What the client is told when the server cannot be reached. */
  readonly unavailable: string;
  /** A header's value for the server, by its name in lower case; `undefined` keeps it back. */
  readonly header?: (name: string, value: string) => string | undefined;
  readonly log: Log;
  readonly headersTimeoutMs?: number;
}

export class ReverseProxy {
  readonly #base: URL;
  readonly #pool: Pool;
  readonly #options: ReverseProxyOptions;

  /** `target`: where the server is; a path of it is put before every path. */
  constructor(target: string, options: ReverseProxyOptions) {
    this.#base = new URL(target);
    this.#options = options;
    this.#pool = new Pool(this.#base.origin, {
      connections: MAX_CONNECTIONS,
      pipelining: 1,
      allowH2: false,
      connect: { timeout: CONNECT_TIMEOUT_MS },
      headersTimeout: options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
      bodyTimeout: SILENCE_TIMEOUT_MS,
    });
  }

  /** Sends a request on, with this path and query. Resolves when the exchange is over; never rejects. */
  async forward(req: IncomingMessage, res: ServerResponse, path: string): Promise<void> {
    const { unavailable, log } = this.#options;
    try {
      const method = req.method ?? 'GET';
      const body = await requestBody(req);
      const exchange = new Exchange(res, method, () => undefined);
      const prefix = this.#base.pathname.replace(/\/$/, '');
      this.#pool.dispatch({ path: `${prefix}${path}`, method, headers: this.#headers(req), body }, exchange);
      const failure = await exchange.over;
      if (failure === null) return;
      if (isRequestError(failure.error)) throw new Refusal('invalid', 'malformed request');
      log.warn({ err: failure.error, host: this.#base.host }, unavailable);
      throw new Refusal('bad-gateway', unavailable);
    } catch (error) {
      if (error instanceof BodyError && error.reason === 'aborted') return;
      sendError(res, error, log);
    }
  }

  /** Ends all connections. */
  close(): Promise<void> {
    return this.#pool.destroy();
  }

  #headers(req: IncomingMessage): string[] {
    const { header = (_, value) => value } = this.#options;
    const given = requestHeaders(req, (name) => name === 'host');
    const headers = ['host', this.#base.host];
    for (let at = 0; at < given.length; at += 2) {
      const name = given[at] as string;
      const value = header(name.toLowerCase(), given[at + 1] as string);
      if (value !== undefined) headers.push(name, value);
    }
    return headers;
  }
}
