/** Which pages of other origins may call us (spec 1 §4.13), and which may open a socket (§6.2). */
import type { IncomingMessage, ServerResponse } from 'node:http';

const DEFAULT_ORIGINS = ['http://localhost:3000', 'http://localhost:3001'];

const METHODS = 'GET,POST,PUT,PATCH,DELETE,OPTIONS';
const HEADERS = 'Origin,Content-Type,X-Workspace-Id,Authorization';
const PREFLIGHT_VARY = 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers';

export class Cors {
  readonly #allowed: ReadonlySet<string>;
  readonly #canvases: ReadonlySet<string>;

  /** `origins` is `CORS_ORIGINS`: comma-separated, and replaces the default; undefined keeps it. */
  constructor(origins: string | undefined) {
    this.#allowed = new Set(origins === undefined ? DEFAULT_ORIGINS : splitOrigins(origins));
    this.#canvases = new Set([...DEFAULT_ORIGINS, ...this.#allowed]);
  }

  /** A page that cosmetic routes trust (spec 1 §4.4): the defaults count also where `CORS_ORIGINS` replaces them. */
  isCanvas({ headers: { origin } }: Pick<IncomingMessage, 'headers'>): boolean {
    return origin !== undefined && this.#canvases.has(origin);
  }

  /** The origin to allow, `null` when the rules do not apply, `false` when it is foreign. */
  judge(request: IncomingMessage): string | null | false {
    const { origin, host } = request.headers;
    if (origin === undefined || (host !== undefined && isOf(origin, host))) return null;
    return this.#allowed.has(origin) && origin;
  }

  /** A socket's origin, compared without regard to case. Absent or our own: no page of somebody else. */
  allowsSocket(request: IncomingMessage): boolean {
    const { origin, host } = request.headers;
    return origin === undefined || (host !== undefined && isOf(origin, host)) || this.#allowed.has(origin.toLowerCase());
  }

  /** Answers what CORS alone decides, and says how; `null`: the request goes on, with its headers set. */
  answer(request: IncomingMessage, response: ServerResponse): 'refused' | 'preflight' | null {
    if (request.headers.origin === undefined) return null;
    const origin = this.judge(request);
    if (origin === null) return null;
    if (origin === false) {
      response.writeHead(403, { 'content-length': '0' }).end();
      return 'refused';
    }
    response.setHeader('Access-Control-Allow-Origin', origin);
    response.setHeader('Access-Control-Allow-Credentials', 'true');
    if (request.method !== 'OPTIONS') {
      response.setHeader('Vary', 'Origin');
      return null;
    }
    response.setHeader('Access-Control-Allow-Methods', METHODS);
    response.setHeader('Access-Control-Allow-Headers', HEADERS);
    response.setHeader('Vary', PREFLIGHT_VARY);
    response.writeHead(204).end();
    return 'preflight';
  }
}

const splitOrigins = (origins: string): string[] =>
  origins
    .split(',')
    .map((origin) => origin.trim().toLowerCase())
    .filter((origin) => origin !== '');

const isOf = (origin: string, host: string): boolean => origin === `http://${host}` || origin === `https://${host}`;
