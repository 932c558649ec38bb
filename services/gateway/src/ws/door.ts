/**
 * Who may open a socket (spec 1 §6.2), and what it takes to keep one.
 *
 *   S1. Who may not come in hears so over HTTP, before the upgrade.
 *   S2. What a client sends is read and thrown away; what it does wrong ends its own connection and nothing else.
 *   S3. A workspace whose token ends, ends its sockets; so do its first token and its removal those that came in without one
 *       (see credential.ts).
 */
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Principal, Refusal } from '@molecule/contracts';
import { JSON_TYPE } from '@molecule/http';
import type { Log } from '@molecule/service';
import { type WebSocket, WebSocketServer } from 'ws';
import type { Cors } from '../cors.ts';
import { pathOf } from '../edge.ts';
import { bearerOf, judgeRegistryToken, type Principals, type TokenBook, tokenHash } from '../principal.ts';
import { API_SECURITY_HEADERS } from '../security-headers.ts';
import type { Audience, Farewell } from './client.ts';
import { type Credential, credentialOf, LASTING } from './credential.ts';
import type { Fanout } from './fanout.ts';
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
  readonly principals: Principals;
  readonly directory: TokenBook & { liveTokens(workspaceId: string): number };
  readonly fanout: Fanout;
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
type Judgement = Admitted | { readonly status: number; readonly error: string | null };

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
  #closing = false;

  constructor(parts: DoorParts) {
    this.#parts = parts;
  }

  /** Connections that are open: +1 after the upgrade, −1 once when they end (spec 1 §7). */
  get size(): number {
    return this.#open.size;
  }

  /** The `upgrade` listener of the server. */
  readonly upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
    // A client that goes away in the middle is no news.
    socket.on('error', () => socket.destroy());
    const judgement: Judgement = this.#closing ? { status: 503, error: null } : this.#judge(request);
    if ('status' in judgement)
      refuse(socket, judgement.status, judgement.error); // S1
    else
      this.#server.handleUpgrade(request, socket, head, (websocket) => {
        this.#welcome(websocket, socket as Socket, judgement);
      });
  };

  /** Says goodbye to everybody, and ends who does not answer. */
  async close(): Promise<void> {
    this.#closing = true;
    const gone = [...this.#open].map((websocket) => new Promise((resolve) => websocket.once('close', resolve)));
    this.#parts.fanout.closeAll('stopping');
    await Promise.all(gone);
  }

  #judge(request: IncomingMessage): Judgement {
    const { cors, principals, directory, canvasRefusal, everyoneNeedsToken } = this.#parts;
    if (cors.judge(request) === false || !cors.allowsSocket(request)) return { status: 403, error: null };
    // The limit per address stands here too.
    const { authorization, 'x-workspace-id': named } = request.headers;
    const id = typeof named === 'string' ? named.trim().toLowerCase() : '';
    if (id === '') {
      const principal = principals.of(authorization);
      const refusal = canvasRefusal(principal);
      if (refusal !== null) return { status: refusal.kind === 'unavailable' ? 503 : 401, error: refusal.message };
      return { audience: { kind: 'everything' }, credential: everyoneNeedsToken ? credentialOf(principal) : LASTING };
    }
    if (!directory.ready) return { status: 500, error: 'auth check failed' };
    const verdict = judgeRegistryToken(directory, id, authorization, { everyoneNeedsToken });
    if (verdict !== 'allowed') return { status: 401, error: `${verdict} workspace auth token` };
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

  #welcome(websocket: WebSocket, socket: Socket, admitted: Admitted): void {
    const { fanout, log } = this.#parts;
    socket.setKeepAlive?.(true, KEEP_ALIVE_MS);
    socket.setNoDelay?.(true);
    this.#open.add(websocket);
    const leave = fanout.join({
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
        leave();
        const [code, reason] = GOODBYES[why];
        websocket.close(code, reason);
        setTimeout(() => websocket.terminate(), CLOSING_MS).unref();
      },
    });
    websocket.on('error', (error) => log.debug({ err: error }, 'a socket client did something wrong')); // S2
    websocket.once('close', () => {
      leave();
      this.#open.delete(websocket);
    });
    // S2: without a listener to messages they are dropped as they come.
  }
}

/** An answer of the API on a socket that no response object belongs to. */
function refuse(socket: Duplex, status: number, error: string | null): void {
  const body = error === null ? '' : JSON.stringify({ error });
  const headers = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Connection: close',
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  if (error !== null) {
    headers.push(`Content-Type: ${JSON_TYPE}`);
    for (let at = 0; at < API_SECURITY_HEADERS.length; at += 2)
      headers.push(`${API_SECURITY_HEADERS[at]}: ${API_SECURITY_HEADERS[at + 1]}`);
  }
  socket.end(`${headers.join('\r\n')}\r\n\r\n${body}`);
}
