/**
 * Where agents are dialled: one connection pool per address, kept while it is used.
 *
 *   N1. An address is checked before it is used, and what is dialled is what was checked (spec 2 §1.6): the pool's own look-up
 *       refuses the rest. A good answer for a name is remembered for CHECKED_MS; a bad one is not.
 *   N2. Redirects are not followed: undici does not, unless told to.
 */
import type { NetGuard } from '@molecule/net-guard';
import type { Clock } from '@molecule/service';
import type { Pool } from 'undici';

const CHECKED_MS = 5_000;
const UNUSED_MS = 300_000;

export class Endpoint {
  readonly pool: Pool;
  readonly path: string;
  checkedUntilMs = 0;
  usedMs = 0;
  inFlight = 0;

  constructor(pool: Pool, path: string) {
    this.pool = pool;
    this.path = path;
  }
}

export class Endpoints {
  readonly #guard: NetGuard;
  readonly #clock: Clock;
  readonly #endpoints = new Map<string, Endpoint>();

  constructor(guard: NetGuard, clock: Clock) {
    this.#guard = guard;
    this.#clock = clock;
  }

  /** The endpoint of a URL, or `null` if it may not be dialled. */
  async open(url: string): Promise<Endpoint | null> {
    const now = this.#clock.monotonicMs();
    const known = this.#endpoints.get(url);
    if (known && known.checkedUntilMs > now) {
      known.usedMs = now;
      return known;
    }
    const checked = await this.#guard.check(url, 'dispatch');
    if (!checked.ok) return null;
    const endpoint = this.#endpoints.get(url) ?? this.#create(url);
    endpoint.usedMs = this.#clock.monotonicMs();
    endpoint.checkedUntilMs = endpoint.usedMs + CHECKED_MS;
    return endpoint;
  }

  #create(url: string): Endpoint {
    const { origin, pathname, search } = new URL(url);
    // No gate on connections (spec 2 §1.7), and no timers of its own: the idle clock is ours.
    const pool = this.#guard.createPool(origin);
    const endpoint = new Endpoint(pool, `${pathname}${search}`);
    this.#endpoints.set(url, endpoint);
    return endpoint;
  }

  /** Lets go of pools that nobody has used for a while. */
  async closeUnused(): Promise<void> {
    const before = this.#clock.monotonicMs() - UNUSED_MS;
    for (const [url, endpoint] of this.#endpoints) {
      if (endpoint.inFlight > 0 || endpoint.usedMs > before) continue;
      this.#endpoints.delete(url);
      await endpoint.pool.close();
    }
  }

  async close(): Promise<void> {
    const endpoints = [...this.#endpoints.values()];
    this.#endpoints.clear();
    await Promise.all(endpoints.map(({ pool }) => pool.destroy()));
  }
}
