/** What a service puts behind its port, and how a node request gets there: raw routes first, then hono (limits, trap 2). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import type { BeatMark, RebuildReport, RequestContext, ServiceHealth, ServiceName } from '@molecule/contracts';
import { type Log, newId } from '@molecule/service';
import type { Hono } from 'hono';
import { listRoutes, type RouteInfo, redirectStatus, trimSlashes } from './app.ts';
import { anonymousContext, attachContext, attachedContext, CONTEXT_HEADER, verifyContext, type WithContext } from './context.ts';
import type { RouteDoc } from './doc.ts';
import { sendError } from './problems.ts';

/** A hot route, answered on node's own request and response. */
export interface RawRoute {
  readonly method: 'POST' | 'GET';
  /** Anchored; `:id` captured as group 1. Tried on the raw path, without the query, not percent-decoded. */
  readonly pattern: RegExp;
  /** For documents and tests: `/workspaces/:id/a2a`. */
  readonly path: string;
  readonly authClass?: string;
  readonly doc?: RouteDoc;
  handle(
    req: IncomingMessage,
    res: ServerResponse,
    matched: { readonly params: string[]; readonly context: RequestContext },
  ): void | Promise<void>;
}

export interface HttpService {
  readonly app: Hono<WithContext>;
  readonly raw?: readonly RawRoute[];
  routes(): RouteInfo[];
}

export const httpService = (app: Hono<WithContext>, raw: readonly RawRoute[] = []): HttpService => ({
  app,
  raw,
  routes: () => [
    ...raw.map(({ method, path, authClass = 'undeclared', doc }) => ({ method, path, authClass, ...(doc && { doc }) })),
    ...listRoutes(app),
  ],
});

export type Listener = (req: IncomingMessage, res: ServerResponse) => void;

/** A service as its composition root hands it out. */
export interface RunningService {
  readonly name: ServiceName;
  readonly http: HttpService;
  readonly listener: Listener;
  /** The API port it listens on. */
  readonly port: number;
  health(): Promise<ServiceHealth>;
  rebuild?(check: boolean): Promise<RebuildReport>;
}

/** The part of a reader of beats that matters here. */
export interface CatchesUp {
  caughtUp(mark: BeatMark | null, timeoutMs?: number): Promise<boolean> | true;
}

export interface ListenerOptions {
  readonly log: Log;
  /** Shared with the gateway; see `signContext`. */
  readonly internalKey: string;
  /** Given by services that act on beats: a request waits (bounded) until they know what its gateway knew. */
  readonly beats?: CatchesUp;
}

/** The node listener of a service. It never throws, and answers every request. */
export function createListener({ app, raw = [] }: HttpService, { log, internalKey, beats }: ListenerOptions): Listener {
  const toHono = getRequestListener(app.fetch);

  const dispatch = (req: IncomingMessage, res: ServerResponse, context: RequestContext): void => {
    const url = req.url ?? '/';
    const query = url.indexOf('?');
    const path = query === -1 ? url : url.slice(0, query);
    for (const route of raw) {
      if (route.method !== req.method) continue;
      const match = route.pattern.exec(path);
      if (match) {
        answerRaw(route, req, res, { params: match.slice(1), context });
        return;
      }
    }
    if (raw.length > 0 && path.endsWith('/')) {
      const trimmed = trimSlashes(path);
      if (raw.some(({ method, pattern }) => method === req.method && pattern.test(trimmed))) {
        const location = query === -1 ? trimmed : `${trimmed}${url.slice(query)}`;
        res.writeHead(redirectStatus(req.method), { location, 'content-length': 0 }).end();
        return;
      }
    }
    toHono(req, res).catch((error: unknown) => sendError(res, error, log));
  };

  const answerRaw = (
    route: RawRoute,
    req: IncomingMessage,
    res: ServerResponse,
    matched: { params: string[]; context: RequestContext },
  ): void => {
    try {
      const answering = route.handle(req, res, matched);
      if (answering) answering.catch((error: unknown) => sendError(res, error, log));
    } catch (error) {
      sendError(res, error, log);
    }
  };

  return function listener(req, res) {
    let context = attachedContext(req);
    if (!context) {
      const header = req.headers[CONTEXT_HEADER];
      context = verifyContext(typeof header === 'string' ? header : undefined, internalKey) ?? anonymousContext(newId());
      attachContext(req, context);
    }
    const known = context;
    const ready = beats && known.beats ? beats.caughtUp(known.beats) : true;
    if (ready === true) return dispatch(req, res, known);
    ready.then(
      () => dispatch(req, res, known),
      (error: unknown) => sendError(res, error, log),
    );
  };
}
