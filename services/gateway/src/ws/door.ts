/**
 * Who may open a socket (spec 1 §6.2), and what it takes to keep one.
 *
 *   S1. Who may not come in hears so over HTTP, before the upgrade; what is asked, in which order, is what every request is asked
 *       (edge.ts).
 *   S2. What a client sends is read and thrown away; what it does wrong ends its own connection and nothing else.
 *   S3. A workspace whose token ends, ends its sockets; so do its first token and its removal those that came in without one
 *       (see credential.ts).
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { DenialReason, Principal, Refusal } from '@molecule/contracts';
import { JSON_TYPE, statusOf } from '@molecule/http';
import type { Admission, Log } from '@molecule/service';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Cors } from '../cors.ts';
import { pathOf } from '../edge.ts';
import type { Lockout } from '../limits/lockout.ts';
import type { OpenConnections } from '../limits/open-connections.ts';
import { exhausted, isExhausted, limitHeaders, type RateLimits } from '../limits/rate-limit.ts';
import type { EdgeMetrics } from '../metrics.ts';
import { peerOf } from '../peer.ts';
import { bearerOf, judgeRegistryToken, type Principals, type TokenBook, tokenHash } from '../principal.ts';
import { type Denials, denialReason } from '../reports/denials.ts';
import type { TokenUses } from '../reports/token-uses.ts';
import { API_SECURITY_HEADERS } from '../security-headers.ts';
import type { TenantGuard } from '../tenant-guard.ts';
import type { Audience, Farewell } from './client.ts';
import { adminCredentialOf, type Credential, LASTING } from './credential.ts';
import type { Fanout } from './fanout.ts';
import type { Replayer } from './replay.ts';
import { sinceOf } from './seq.ts';
import { WEBSOCKET } from './wire.ts';

const SOCKET_PATH = '/ws';

/** Clients have nothing to say; what is larger than this ends the connection. */
const MAX_INCOMING_BYTES = 64 * 1024;
/** A peer that vanished without a word is noticed by TCP. */
const KEEP_ALIVE_MS = 30_000;
/** How long a client may take to answer our goodbye. */
const CLOSING_MS = 1_000;

export interface DoorParts {
  readonly cors: Cors;
  readonly limits: RateLimits;
  readonly tenantGuard: TenantGuard | null;
  readonly lockout: Lockout | null;
  readonly connections: OpenConnections;
  readonly principals: Principals;
  readonly metrics: EdgeMetrics;
  readonly denials: Denials;
  readonly tokenUses: TokenUses;
  readonly directory: TokenBook & { liveTokens(workspaceId: string): number };
  readonly fanout: Fanout;
  readonly replayer: Replayer;
  /** Why a canvas may not listen, if so: `null` lets it in. */
  readonly canvasRefusal: (principal: Principal) => Refusal | null;
  /** Production: also a canvas, and a workspace that has no token yet, may not listen without one. */
  readonly everyoneNeedsToken: boolean;
  readonly log: Log;
}

/** Who was let in: whom it hears of, and by what right. */
interface Admitted {
  readonly audience: Audience;
  readonly credential: Credential;
}
interface Welcomed extends Admitted {
  readonly since: string | null;
  readonly peer: string;
}
/** Who was not, and what is said to them. */
interface Refused {
  readonly status: number;
  /** `null`: nothing. */
  readonly body: Readonly<Record<string, unknown>> | null;
  readonly headers?: readonly string[];
  readonly reason?: DenialReason | null;
  /** How early: what comes later in the order of spec 1 §4.1 does not happen to it. */
  readonly before?: 'figures' | 'security-headers';
}
type Judgement = Admitted | Refused;

const CLOSING: Refused = { status: 503, body: null, before: 'figures' };
const FOREIGN_ORIGIN: Refused = { status: 403, body: null, reason: 'foreign-origin', before: 'figures' };
const OTHER_TENANT: Refused = { status: 404, body: null, reason: 'other-tenant', before: 'security-headers' };

const rateLimited = (admission: Admission): Refused => ({
  status: 429,
  body: exhausted(admission),
  headers: ['Retry-After', String(admission.resetSeconds)],
  reason: 'rate-limited',
  before: 'figures',
});

const GOODBYES = {
  'right-ended': [1008, 'the token is no longer valid'],
  'too-slow': [1013, 'reading too slowly'],
  stopping: [1001, 'the gateway stops'],
} as const satisfies Record<Farewell, readonly [code: number, reason: string]>;

/** Whether node should hand a request over as an upgrade; all others are ordinary requests, whatever they ask for. */
export const isSocketRequest = (request: IncomingMessage): boolean =>
  request.method === 'GET' && request.headers.upgrade?.toLowerCase() === 'websocket' && pathOf(request) === SOCKET_PATH;

export class SocketDoor {
  readonly #parts: DoorParts;
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: MAX_INCOMING_BYTES,
    skipUTF8Validation: true,
  });
  /** Those that are open or still saying goodbye. */
  readonly #open = new Set<WebSocket>();
  readonly #limitHeaders = new WeakMap<IncomingMessage, readonly string[]>();
  #closing = false;

  constructor(parts: DoorParts) {
    this.#parts = parts;
    this.#server.on('headers', (lines, request) => {
      for (const [name, value] of pairs(this.#limitHeaders.get(request) ?? [])) lines.push(`${name}: ${value}`);
    });
  }

  /** Connections that are open: +1 after the upgrade, −1 once when they end (spec 1 §7). */
  get size(): number {
    return this.#open.size;
  }

  /** The `upgrade` listener of the server. */
  readonly upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    // A client that goes away in the middle is no news.
    socket.on('error', () => socket.destroy());
    const started = performance.now();
    const peer = peerOf(request);
    const answer = (judged: Judgement): void => {
      const admitted = 'status' in judged ? judged : (this.#judgeRoom(peer) ?? judged);
      const judgement = this.#closing ? CLOSING : admitted; // also who was asked about while everybody was sent away
      this.#account(judgement, peer, started);
      const limit = this.#limitHeaders.get(request) ?? [];
      if ('status' in judgement)
        refuse(socket, judgement, limit); // S1
      else
        this.#server.handleUpgrade(request, socket, head, (websocket) => {
          this.#welcome(websocket, socket as Socket, { ...judgement, since: sinceOf(request.url), peer });
        });
    };
    const judgement = this.#closing ? CLOSING : this.#judge(request, peer);
    if (judgement instanceof Promise) void judgement.then(answer);
    else answer(judgement);
  };

  /** Says goodbye to everybody, and ends who does not answer. */
  async close(): Promise<void> {
    this.#closing = true;
    const gone = [...this.#open].map((websocket) => new Promise((resolve) => websocket.once('close', resolve)));
    this.#parts.fanout.closeAll('stopping');
    await Promise.all(gone);
  }

  #account(judgement: Judgement, peer: string, started: number): void {
    const { metrics, denials } = this.#parts;
    const refused = 'status' in judgement ? judgement : null;
    if (refused?.reason != null) denials.add({ reason: refused.reason, method: 'GET', path: SOCKET_PATH, peer });
    if (refused?.before === 'figures') return;
    metrics.answered('GET', SOCKET_PATH, refused?.status ?? 101, (performance.now() - started) / 1000);
  }

  /** `null`: there is room for one more of this address. */
  #judgeRoom(peer: string): Refused | null {
    const refusal = this.#parts.connections.judge(peer);
    return refusal === null ? null : { status: statusOf(refusal.kind), body: { error: refusal.message }, reason: 'rate-limited' };
  }

  #judge(request: IncomingMessage, peer: string): Judgement | Promise<Judgement> {
    const { cors, limits, tenantGuard, principals } = this.#parts;
    if (cors.judge(request) === false || !cors.allowsSocket(request)) return FOREIGN_ORIGIN;
    const admission = limits.requests.take(peer);
    this.#limitHeaders.set(request, limitHeaders(admission));
    if (isExhausted(admission)) return rateLimited(admission);
    if (tenantGuard?.passes(request, SOCKET_PATH) === false) return OTHER_TENANT;
    const { 'x-workspace-id': named } = request.headers;
    const id = typeof named === 'string' ? named.trim().toLowerCase() : '';
    if (id !== '') return this.#judgeWorkspace(request, peer, id);
    const principal = principals.of(request, { path: SOCKET_PATH });
    const judge = (known: Principal) => this.#judgeCanvas(request, peer, known);
    return principal instanceof Promise ? principal.then(judge) : judge(principal);
  }

  #judgeCanvas(request: IncomingMessage, peer: string, principal: Principal): Judgement {
    const { lockout, canvasRefusal, everyoneNeedsToken, tokenUses } = this.#parts;
    const lockedOut = lockout?.judge(peer, principal, request) ?? null;
    if (lockedOut !== null) return lockedOutOf(lockedOut);
    const refusal = canvasRefusal(principal);
    if (refusal !== null) {
      const status = statusOf(refusal.kind);
      return { status, body: { error: refusal.message, ...refusal.body }, reason: denialReason(status, principal) };
    }
    if (!everyoneNeedsToken) return { audience: { kind: 'everything' }, credential: LASTING };
    if (principal.identity.kind === 'org') tokenUses.opened(principal.identity.tokenId);
    return { audience: { kind: 'everything' }, credential: adminCredentialOf(principal) };
  }

  #judgeWorkspace(request: IncomingMessage, peer: string, id: string): Judgement {
    const { principals, directory, lockout, everyoneNeedsToken, tokenUses } = this.#parts;
    const { authorization } = request.headers;
    if (!directory.ready) return { status: 500, body: { error: 'auth check failed' } };
    const identity = principals.identify(bearerOf(authorization));
    const lockedOut =
      lockout?.judge(peer, { identity, session: null, invalidSession: false, tokensKnown: true }, request) ?? null;
    if (lockedOut !== null) return lockedOutOf(lockedOut);
    const opened = (tokenId: string) => tokenUses.opened(tokenId);
    const verdict = judgeRegistryToken(directory, id, authorization, { everyoneNeedsToken, opened });
    if (verdict !== 'allowed') return { status: 401, body: { error: `${verdict} workspace auth token` }, reason: verdict };
    const bearer = directory.liveTokens(id) > 0 ? bearerOf(authorization) : undefined;
    const owner = bearer === undefined ? undefined : directory.workspaceOfToken(tokenHash(bearer));
    return {
      audience: { kind: 'neighbours', of: id },
      credential:
        owner === undefined
          ? { kind: 'tokenless', workspaceId: id }
          : { kind: 'workspace-token', workspaceId: id, tokenId: owner.tokenId },
    };
  }

  #welcome(websocket: WebSocket, socket: Socket, { peer, ...admitted }: Welcomed): void {
    const { fanout, replayer, connections, log } = this.#parts;
    const closed = connections.opened(peer);
    socket.setKeepAlive?.(true, KEEP_ALIVE_MS);
    socket.setNoDelay?.(true);
    this.#open.add(websocket);
    const client = fanout.join({
      // Whole frames between whole frames: the library writes only pongs and its goodbye.
      sink: {
        write: (frame, written) => socket.write(frame, written),
        get writableLength() {
          return socket.writableLength;
        },
      },
      wire: WEBSOCKET,
      ...admitted,
      close: (why) => {
        fanout.leave(client);
        const [code, reason] = GOODBYES[why];
        websocket.close(code, reason);
        setTimeout(() => websocket.terminate(), CLOSING_MS).unref();
      },
    });
    websocket.on('error', (error) => log.debug({ err: error }, 'a socket client did something wrong')); // S2
    websocket.once('close', () => {
      fanout.leave(client);
      this.#open.delete(websocket);
      closed();
    });
    if (admitted.since !== null) void replayer.catchUp(client, admitted.since);
    // S2: without a listener to messages they are dropped as they come.
  }
}

const lockedOutOf = ({ kind, message, body, headers }: Refusal): Refused => ({
  status: statusOf(kind),
  body: { error: message, ...body },
  headers: Object.entries(headers).flat(),
  reason: kind === 'too-many' ? 'locked-out' : null,
});

/** An answer of the API on a socket that no response object belongs to. */
function refuse(socket: Duplex, { status, body, headers = [], before }: Refused, limit: readonly string[]): void {
  const text = body === null ? '' : JSON.stringify(body);
  const lines = pairs([
    ...['Connection', 'close', 'Content-Length', String(Buffer.byteLength(text))],
    ...(body === null ? [] : ['Content-Type', JSON_TYPE]),
    ...limit,
    ...headers,
    ...(before === undefined ? API_SECURITY_HEADERS : []),
  ]).map(([name, value]) => `${name}: ${value}`);
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${lines.join('\r\n')}\r\n\r\n${text}`);
}

/** name, value, name, value … */
const pairs = (flat: readonly string[]): string[][] =>
  Array.from({ length: flat.length / 2 }, (_, index) => flat.slice(index * 2, index * 2 + 2));
