/**
 * The guard before every outbound connection to a URL that somebody else chose (I9).
 *
 *   G1. Every address a name resolves to must pass; a name that does not resolve does not pass.
 *   G2. The address that was checked is the address that is dialled: a guarded pool's own look-up checks, for each new
 *       connection, and hands the socket exactly what it checked. There is nothing to rebind in between.
 *   G3. Redirects are never followed: undici follows none by itself, and nothing here makes it.
 */
import { lookup as systemLookup } from 'node:dns/promises';
import { isIP, type LookupFunction } from 'node:net';
import { buildConnector, Pool } from 'undici';
import { type Check, classify, type GuardMode } from './ranges.ts';

export interface ResolvedAddress {
  readonly address: string;
  readonly family: 4 | 6;
}

/** All addresses of a name. */
export type Resolve = (hostname: string) => Promise<readonly ResolvedAddress[]>;

export type Verdict =
  | { readonly ok: true; readonly url: URL; readonly addresses: readonly ResolvedAddress[] }
  | { readonly ok: false; readonly reason: string };

export interface NetGuardOptions {
  readonly mode: GuardMode;
  readonly resolve?: Resolve;
  /** How long a name may take to resolve, in milliseconds. */
  readonly resolveTimeoutMs?: number;
}

/** A guarded connection was refused before anything was dialled. */
export class UnsafeDestination extends Error {
  readonly code = 'ERR_UNSAFE_DESTINATION';

  override get name(): string {
    return 'UnsafeDestination';
  }
}

/** The name has no address now; the same to whoever asked, but worth telling apart in a log. */
export class UnresolvedName extends UnsafeDestination {
  override get name(): string {
    return 'UnresolvedName';
  }
}

export interface GuardedPoolOptions {
  /** For the connection, name resolution included, in milliseconds. */
  readonly connectTimeoutMs?: number;
  /** Until the answer's head, and between two parts of its body, in milliseconds; 0 leaves that to the caller. */
  readonly headersTimeoutMs?: number;
  readonly bodyTimeoutMs?: number;
  /** Connections at once; `null` for as many as are asked for. */
  readonly connections?: number | null;
}

/**
 * Agents close idle connections after 5 s (uvicorn, node): ours are gone before. A POST written to a connection that is just
 * being closed could not be repeated.
 */
const KEEP_ALIVE_MS = 2_000;
const KEEP_ALIVE_THRESHOLD_MS = 1_000;

/**
 * undici takes a reset for the end of a body that has no length of its own; but what was reset was cut off (limits F11). It knows
 * a reset by its code, and hears of it after this.
 */
const neverAnEnd = (error: NodeJS.ErrnoException): void => {
  if (error.code === 'ECONNRESET') error.code = 'ECONNABORTED';
};

const systemResolve: Resolve = async (hostname) =>
  (await systemLookup(hostname, { all: true, verbatim: true })).map(({ address, family }) => ({
    address,
    family: family === 6 ? 6 : 4,
  }));

export class NetGuard {
  readonly mode: GuardMode;
  readonly #resolve: Resolve;
  readonly #resolveTimeoutMs: number;

  constructor({ mode, resolve = systemResolve, resolveTimeoutMs = 3_000 }: NetGuardOptions) {
    this.mode = mode;
    this.#resolve = resolve;
    this.#resolveTimeoutMs = resolveTimeoutMs;
  }

  /** Whether a URL may be used. Never rejects. The reason is for logs; the wire has its own texts. */
  async check(text: string, check: Check): Promise<Verdict> {
    if (!URL.canParse(text)) return { ok: false, reason: 'not a URL' };
    const url = new URL(text);
    if (url.protocol !== 'http:' && url.protocol !== 'https:') return { ok: false, reason: `scheme ${url.protocol} is not http` };
    const host = hostOf(url);
    if (host === '') return { ok: false, reason: 'no host' };
    // Spec 1 §3.8: in this check only, and only this exact name.
    if (check === 'register' && host === 'localhost') return { ok: true, url, addresses: [] };
    try {
      return { ok: true, url, addresses: await this.#safeAddresses(host, check) };
    } catch (error) {
      // Spec README, choice 4: a developer's agent may register under a name that only its own network knows.
      const lenient = check === 'register' && this.mode === 'dev' && error instanceof UnresolvedName;
      return lenient ? { ok: true, url, addresses: [] } : { ok: false, reason: (error as Error).message };
    }
  }

  /**
   * A pool to one origin whose every connection is checked (G2) as for `dispatch`. Requests to an unsafe one fail with
   * `UnsafeDestination`, before a connection is tried. The caller closes the pool.
   */
  createPool(
    origin: string,
    { connectTimeoutMs = 10_000, headersTimeoutMs = 0, bodyTimeoutMs = 0, connections = null }: GuardedPoolOptions = {},
  ): Pool {
    const connector = buildConnector({ timeout: connectTimeoutMs, lookup: this.#lookup, allowH2: false });
    const connect: buildConnector.connector = (options, callback) => {
      // The socket looks up names only: a literal is checked here, and is what it is.
      const host = options.hostname.replace(/^\[|\]$/g, '');
      const refusal = isIP(host) === 0 ? undefined : this.#refusal(host, 'dispatch');
      if (refusal) callback(new UnsafeDestination(refusal), null);
      else
        connector(options, (...[error, socket]: Parameters<buildConnector.Callback>) => {
          socket?.on('error', neverAnEnd);
          if (error) callback(error, null);
          else callback(null, socket);
        });
    };
    return new Pool(origin, {
      connect,
      connections,
      pipelining: 1,
      allowH2: false,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: KEEP_ALIVE_MS,
      keepAliveTimeoutThreshold: KEEP_ALIVE_THRESHOLD_MS,
      headersTimeout: headersTimeoutMs,
      bodyTimeout: bodyTimeoutMs,
    });
  }

  /** Node's look-up hook: hands the socket addresses that were checked here, and no others. */
  readonly #lookup: LookupFunction = (hostname, options, callback) => {
    this.#safeAddresses(hostname, 'dispatch').then(
      (addresses) => {
        const { family: wanted } = options;
        const family = wanted === 'IPv4' ? 4 : wanted === 'IPv6' ? 6 : wanted;
        const usable = family ? addresses.filter((candidate) => candidate.family === family) : addresses;
        const [first] = usable;
        if (!first) callback(new UnresolvedName(`${hostname} has no address of that family`), '');
        else if (options.all) callback(null, [...usable]);
        else callback(null, first.address, first.family);
      },
      (error: NodeJS.ErrnoException) => callback(error, ''),
    );
  };

  /** @throws UnsafeDestination */
  async #safeAddresses(host: string, check: Check): Promise<readonly ResolvedAddress[]> {
    const literal = isIP(host);
    const addresses = literal === 0 ? await this.#resolveInTime(host) : [{ address: host, family: literal as 4 | 6 }];
    if (addresses.length === 0) throw new UnresolvedName(`${host} has no address`);
    for (const { address } of addresses) {
      const refusal = this.#refusal(address, check);
      if (refusal) throw new UnsafeDestination(refusal);
    }
    return addresses;
  }

  #refusal(address: string, check: Check): string | undefined {
    const { allowed, range } = classify(address, check, this.mode);
    return allowed ? undefined : `${address} is refused: ${range}`;
  }

  async #resolveInTime(host: string): Promise<readonly ResolvedAddress[]> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => late.reject(new UnresolvedName(`${host} did not resolve in time`)), this.#resolveTimeoutMs);
    try {
      return await Promise.race([this.#resolve(host), late.promise]);
    } catch (error) {
      throw error instanceof UnresolvedName ? error : new UnresolvedName(`${host} does not resolve`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }
}

/** Without the brackets of IPv6. The URL parser has turned every spelling of an IPv4 address into the usual one. */
const hostOf = ({ hostname }: URL): string => (hostname.startsWith('[') ? hostname.slice(1, -1) : hostname);
