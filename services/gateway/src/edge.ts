/**
 * The one listener in front of everything, in the order of spec 1 §4.1: CORS, the limit per address, figures, the tenant guard,
 * security headers, who asks. It decides nothing but where a request goes.
 *
 *   E1. What CORS or the limit refuses goes no further, carries no security headers and is not counted among requests; what the
 *       tenant guard refuses is counted, and carries none either.
 *   E2. Every request that reaches an owner carries a context made here; no `x-molecule-*` header of a client gets past.
 *   E3. It never throws, and one request never disturbs another.
 *   E4. Whom a wrong guess too many has locked out gets no further with any credential but a live workspace token.
 *   E5. The path that is judged here is the one that the owner will read: what a URL would make shorter is made so before anything
 *       is decided by it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { BeatMark, Principal, RequestContext, ServiceName } from '@molecule/contracts';
import { adminRefusal, attachContext, type Listener, sendError } from '@molecule/http';
import type { Log } from '@molecule/service';
import type { ControlPlaneProxy } from './control-plane/proxy.ts';
import type { Cors } from './cors.ts';
import { HEARTBEAT_PATH, type HeartbeatBridge } from './heartbeat.ts';
import type { Lockout } from './limits/lockout.ts';
import { isExhausted, type RateLimits, refuseExhausted, setLimitHeaders } from './limits/rate-limit.ts';
import type { EdgeMetrics } from './metrics.ts';
import { type Owned, ownerOf } from './owners.ts';
import { peerOf } from './peer.ts';
import type { Principals } from './principal.ts';
import { type Denials, denialReason } from './reports/denials.ts';
import type { TokenUses } from './reports/token-uses.ts';
import { setSecurityHeaders } from './security-headers.ts';
import type { TenantGuard } from './tenant-guard.ts';

/** Where the requests of a service go. */
export type Forward = (request: IncomingMessage, response: ServerResponse, context: RequestContext) => void;

export interface EdgeParts {
  readonly cors: Cors;
  readonly limits: RateLimits;
  /** `null`: guesses are not limited here. */
  readonly lockout: Lockout | null;
  /** `null`: the platform is nobody's in particular. */
  readonly tenantGuard: TenantGuard | null;
  readonly principals: Principals;
  readonly metrics: EdgeMetrics;
  readonly denials: Denials;
  readonly tokenUses: TokenUses;
  readonly heartbeat: HeartbeatBridge['beat'];
  readonly forward: Readonly<Record<ServiceName, Forward>>;
  /** Where `/cp/…` goes, if anywhere. */
  readonly controlPlane: ControlPlaneProxy | null;
  /** Where what nobody here answers goes, if anywhere. */
  readonly canvas: ((request: IncomingMessage, response: ServerResponse) => void) | null;
  /** How far our own beats have got. */
  readonly mark: () => BeatMark | null;
  readonly newId: () => string;
  readonly log: Log;
}

const UNMATCHED = 'unmatched';
const CONTROL_PLANE = '/cp/';
const MINT_PATH = '/org/tokens';
/** Says that we are there, to whoever asks and whatever they show. */
const HEALTH_PATH = '/health';

/** One request on its way. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly path: string;
  readonly peer: string;
  /** The pattern that stands for the path in figures. */
  readonly label: string;
  /** Known once it was asked who asks. */
  principal: Principal | null;
}

export function createEdge(parts: EdgeParts): Listener {
  const { cors, limits, lockout, tenantGuard, principals, denials, heartbeat, forward, controlPlane, canvas, log } = parts;

  const denied = (
    { request, label, peer }: Pick<Exchange, 'request' | 'label' | 'peer'>,
    reason: Parameters<Denials['add']>[0]['reason'],
  ) => denials.add({ reason, method: request.method ?? '', path: label, peer });

  /** What stands between a request and its owner once it is known who asks. */
  const admit = (exchange: Exchange, owner: ServiceName, principal: Principal): void => {
    const { request, response, path, peer } = exchange;
    const refusal = path === HEALTH_PATH ? null : (lockout?.judge(peer, principal, request) ?? null);
    if (refusal !== null) {
      if (refusal.kind === 'too-many') denied(exchange, 'locked-out'); // E4
      sendError(response, refusal, log);
      return;
    }
    if (path === MINT_PATH && request.method === 'POST' && adminRefusal(principal) === null) {
      const admission = limits.mints.take(peer);
      if (isExhausted(admission)) {
        denied(exchange, 'rate-limited');
        refuseExhausted(response, admission);
        return;
      }
      setLimitHeaders(response, admission);
    }
    exchange.principal = principal;
    const context = contextFor(request, principal, parts);
    attachContext(request, context);
    withoutOurHeaders(request); // E2
    forward[owner](request, response, context);
  };

  const route = (request: IncomingMessage, response: ServerResponse, path: string, peer: string): void => {
    const owned = ownerOf(path);
    const toControlPlane = controlPlane !== null && path.startsWith(CONTROL_PLANE);
    const label = labelOf(owned, toControlPlane);
    const exchange: Exchange = { request, response, path, peer, label, principal: null };
    account(exchange, parts);
    if (tenantGuard?.passes(request, path) === false) {
      denied(exchange, 'other-tenant');
      response.writeHead(404, { 'content-length': '0' }).end();
      return;
    }
    setSecurityHeaders(response, path);
    if (toControlPlane) controlPlane.forward(request, response, path);
    else if (owned === undefined) elsewhere(request, response, path, canvas);
    else {
      const principal = principals.of(request, { path });
      if (!(principal instanceof Promise)) admit(exchange, owned.owner, principal);
      else
        principal
          .then((verified) => admit(exchange, owned.owner, verified))
          .catch((error: unknown) => sendError(response, error, log));
    }
  };

  return function edge(request, response) {
    try {
      const answer = cors.answer(request, response);
      if (answer === 'preflight') return;
      const peer = peerOf(request);
      const path = pathOf(request);
      if (answer === 'refused') {
        denied({ request, label: labelOf(ownerOf(path)), peer }, 'foreign-origin'); // E1
        return;
      }
      const admission = limits.requests.take(peer);
      if (isExhausted(admission)) {
        denied({ request, label: labelOf(ownerOf(path)), peer }, 'rate-limited'); // E1
        refuseExhausted(response, admission);
        return;
      }
      if (path === HEARTBEAT_PATH && request.method === 'POST') heartbeat(request, response, { peer, admission });
      else {
        setLimitHeaders(response, admission);
        route(request, response, path, peer);
      }
    } catch (error) {
      sendError(response, error, log); // E3
    }
  };
}

const labelOf = (owned: Owned | undefined, toControlPlane = false): string =>
  toControlPlane ? '/cp/*' : (owned?.label ?? UNMATCHED);

/** What the owner of the route may rely on. */
const contextFor = (
  request: IncomingMessage,
  principal: Principal,
  { newId, mark }: Pick<EdgeParts, 'newId' | 'mark'>,
): RequestContext => ({ principal, peer: peerOf(request), requestId: newId(), beats: mark() });

/** What a URL reads as another path than it says: segments of dots, encoded ones too, the other slash, and a fragment. */
const READ_OTHERWISE = /[\\#]|\/(?:\.|%2e)/i;

/** The path without its query (E5). A target in absolute form, as to a proxy, is made one of ours. */
export function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '/';
  if (!url.startsWith('/') && URL.canParse(url)) {
    const { pathname, search } = new URL(url);
    request.url = `${pathname}${search}`;
    return pathname;
  }
  const query = url.indexOf('?');
  const path = query === -1 ? url : url.slice(0, query);
  if (!READ_OTHERWISE.test(path)) return path;
  const { pathname } = new URL(`http://edge${path}`);
  request.url = query === -1 ? pathname : `${pathname}${url.slice(query)}`;
  return pathname;
}

/** Spec 1 §0 and §4.11: a slash too many is a detour, everything else is the canvas's, or not here. */
function elsewhere(request: IncomingMessage, response: ServerResponse, path: string, canvas: EdgeParts['canvas']): void {
  const trimmed = path.length > 1 && path.endsWith('/') && !path.endsWith('//') ? path.slice(0, -1) : undefined;
  if (trimmed !== undefined && ownerOf(trimmed) !== undefined) {
    const query = (request.url ?? '').slice(path.length);
    const status = request.method === 'GET' ? 301 : 307;
    response.writeHead(status, { Location: `${trimmed}${query}`, 'Content-Length': '0' }).end();
    return;
  }
  if (canvas === null) response.writeHead(404, NOT_FOUND_HEADERS).end(NOT_FOUND);
  else canvas(request, response);
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

/** When the answer is out: the figures, and what it says of who asked. */
function account(exchange: Exchange, { metrics, denials, tokenUses }: EdgeParts): void {
  const { request, response, label: path, peer } = exchange;
  const started = performance.now();
  const method = request.method ?? '';
  response.once('close', () => {
    const { statusCode, headersSent } = response;
    metrics.answered(method, path, statusCode, (performance.now() - started) / 1000);
    const { principal } = exchange;
    if (principal === null || !headersSent) return;
    const reason = denialReason(statusCode, principal);
    if (reason !== null) denials.add({ reason, method, path, peer });
    else if (principal.identity.kind === 'workspace' || principal.identity.kind === 'org')
      tokenUses.opened(principal.identity.tokenId);
  });
}
