/** The replicas of one service: a pool of connections each, taken in turn; those that cannot be reached are left alone for a while. */
import { backoff, type Clock, type Log, systemClock } from '@molecule/service';
import { Pool } from 'undici';

/** Below the server's `SERVER_IDLE_MS`: a connection is never reused while its server closes it. */
export const UPSTREAM_IDLE_MS = 30_000;
const CONNECT_TIMEOUT_MS = 2_000;
/** Beyond this many requests at once per replica, requests wait for a connection. */
const MAX_CONNECTIONS = 4_096;
const restMs = backoff({ firstMs: 500, lastMs: 10_000 });

export interface Replica {
  readonly url: string;
  readonly pool: Pool;
}

interface Member extends Replica {
  failures: number;
  /** Monotonic ms until which it is only asked when nobody else is left. */
  restsUntil: number;
}

export class Replicas {
  readonly #members: readonly Member[];
  readonly #log: Log;
  readonly #clock: Clock;
  #turn = 0;

  constructor(baseUrls: readonly string[], { log, clock = systemClock }: { readonly log: Log; readonly clock?: Clock }) {
    if (baseUrls.length === 0) throw new TypeError('a service needs at least one address');
    this.#log = log;
    this.#clock = clock;
    this.#members = baseUrls.map((url) => ({ url, pool: openPool(url), failures: 0, restsUntil: 0 }));
  }

  /** The next one to ask, or `undefined` when all were tried. Those that rest come last. */
  next(tried: readonly Replica[]): Replica | undefined {
    const [only] = this.#members;
    if (this.#members.length === 1) return tried.length === 0 ? only : undefined;
    const now = this.#clock.monotonicMs();
    const first = this.#turn++;
    let resting: Member | undefined;
    for (let offset = 0; offset < this.#members.length; offset++) {
      const member = this.#members[(first + offset) % this.#members.length];
      if (!member || tried.includes(member)) continue;
      if (member.restsUntil <= now) return member;
      if (!resting || member.restsUntil < resting.restsUntil) resting = member;
    }
    return resting;
  }

  /** No connection could be established. */
  unreachable(replica: Replica, error: Error): void {
    const member = replica as Member;
    member.failures++;
    member.restsUntil = this.#clock.monotonicMs() + restMs(member.failures);
    if (member.failures === 1) this.#log.warn({ url: member.url, err: error }, 'a service cannot be reached');
  }

  /** A connection stands. */
  reached(replica: Replica): void {
    const member = replica as Member;
    if (member.failures === 0) return;
    member.failures = 0;
    member.restsUntil = 0;
    this.#log.info({ url: member.url }, 'a service can be reached again');
  }

  /** Ends what still runs. */
  async close(): Promise<void> {
    await Promise.all(this.#members.map(({ pool }) => pool.destroy()));
  }
}

function openPool(url: string): Pool {
  const { origin, protocol } = new URL(url);
  if (protocol !== 'http:' && protocol !== 'https:') throw new TypeError(`not an address of a service: ${url}`);
  return new Pool(origin, {
    connections: MAX_CONNECTIONS,
    pipelining: 1,
    allowH2: false,
    connect: { timeout: CONNECT_TIMEOUT_MS },
    keepAliveTimeout: UPSTREAM_IDLE_MS,
    keepAliveMaxTimeout: UPSTREAM_IDLE_MS,
    // How long an answer may take is decided by who knows what was asked; a client that goes away ends a GET.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
}
