/**
 * The one listener in front of everything (spec 1 §4.1). It decides nothing but where a request goes.
 *
 *   E1. What CORS refuses goes no further, carries no security headers and is not counted.
 *   E2. Every request that reaches an owner carries a context made here; no `x-molecule-*` header of a client gets past.
 *   E3. It never throws, and one request never disturbs another.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BeatMark, RequestContext, ServiceName } from '@molecule/contracts';
import { attachContext, type Listener, sendError } from '@molecule/http';
import type { Log } from '@molecule/service';
import type { Cors } from './cors.ts';
import { HEARTBEAT_PATH } from './heartbeat.ts';
import type { EdgeMetrics } from './metrics.ts';
import { ownerOf } from './owners.ts';
import type { Principals } from './principal.ts';
import { setSecurityHeaders } from './security-headers.ts';

/** Where the requests of a service go. */
export type Forward = (request: IncomingMessage, response: ServerResponse, context: RequestContext) => void;

export interface EdgeParts {
  readonly cors: Cors;
  readonly principals: Principals;
  readonly metrics: EdgeMetrics;
  readonly heartbeat: Listener;
  readonly forward: Readonly<Record<ServiceName, Forward>>;
  /** How far our own beats have got. */
  readonly mark: () => BeatMark | null;
  readonly newId: () => string;
  readonly log: Log;
}

const UNMATCHED = 'unmatched';

export function createEdge(parts: EdgeParts): Listener {
  const { cors, metrics, heartbeat, forward, log } = parts;

  const route = (request: IncomingMessage, response: ServerResponse, path: string): void => {
    setSecurityHeaders(response, path);
    const owned = ownerOf(path);
    count(metrics, request, response, owned?.label ?? UNMATCHED);
    if (owned === undefined) {
      notFound(request, response, path);
      return;
    }
    const context = contextOf(request, parts);
    attachContext(request, context);
    withoutOurHeaders(request); // E2
    forward[owned.owner](request, response, context);
  };

  return function edge(request, response) {
    try {
      if (cors.answered(request, response)) return; // E1
      // The limit per address stands here: after CORS, before everything that costs (spec 1 §4.1).
      const path = pathOf(request);
      if (path === HEARTBEAT_PATH && request.method === 'POST') heartbeat(request, response);
      else route(request, response, path);
    } catch (error) {
      sendError(response, error, log); // E3
    }
  };
}

/** Who asks, and what the owner of the route may rely on. */
export const contextOf = (
  request: IncomingMessage,
  { principals, newId, mark }: Pick<EdgeParts, 'principals' | 'newId' | 'mark'>,
): RequestContext => ({
  principal: principals.of(request.headers.authorization),
  peer: request.socket.remoteAddress ?? '',
  requestId: newId(),
  beats: mark(),
});

/** The path without its query. A target in absolute form, as to a proxy, is made one of ours. */
export function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '/';
  if (!url.startsWith('/') && URL.canParse(url)) {
    const { pathname, search } = new URL(url);
    request.url = `${pathname}${search}`;
    return pathname;
  }
  const query = url.indexOf('?');
  return query === -1 ? url : url.slice(0, query);
}

/** Spec 1 §0: a slash too many is a detour, everything else is not here. */
function notFound(request: IncomingMessage, response: ServerResponse, path: string): void {
  const trimmed = path.length > 1 && path.endsWith('/') && !path.endsWith('//') ? path.slice(0, -1) : undefined;
  if (trimmed !== undefined && ownerOf(trimmed) !== undefined) {
    const query = (request.url ?? '').slice(path.length);
    const status = request.method === 'GET' ? 301 : 307;
    response.writeHead(status, { Location: `${trimmed}${query}`, 'Content-Length': '0' }).end();
    return;
  }
  response.writeHead(404, NOT_FOUND_HEADERS).end(NOT_FOUND);
}

const NOT_FOUND = '404 page not found';
const NOT_FOUND_HEADERS = { 'Content-Type': 'text/plain', 'Content-Length': String(NOT_FOUND.length) };

const OURS = 'x-molecule-';

/** Takes `x-molecule-*` out, in both forms in which node keeps headers: owners read either. */
function withoutOurHeaders(request: IncomingMessage): void {
  const { rawHeaders, headers } = request;
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at] as string;
    if ((name.charCodeAt(0) | 0x20) !== 0x78 || !name.toLowerCase().startsWith(OURS)) continue; // 0x78: x
    delete headers[name.toLowerCase()];
    rawHeaders.splice(at, 2);
    at -= 2;
  }
}

function count(metrics: EdgeMetrics, request: IncomingMessage, response: ServerResponse, label: string): void {
  const started = performance.now();
  response.once('close', () => {
    metrics.answered(request.method ?? '', label, response.statusCode, (performance.now() - started) / 1000);
  });
}
