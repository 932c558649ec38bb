/**
 * Where agents are dialled: one connection pool per address, kept while it is used.
 *
 *   N1. An address is checked before it is used, and what is dialled is what was checked (spec 2 §1.6): the pool's own look-up
 *       refuses the rest. A good answer for a name is remembered for CHECKED_MS; a bad one is not.
 *   N2. An address that our own provisioner set is no address that somebody else chose: on this machine and in private networks it
 *       is dialled in every mode (ADR 14). Where agents say that they are, is judged by the mode.
 *   N3. Redirects are not followed: undici does not, unless told to.
 */
import { NetGuard } from '@molecule/net-guard';
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
  /** N2: refuses what is nobody's place for an agent, such as link-local addresses, and nothing else. */
  readonly #ownGuard = new NetGuard({ mode: 'dev' });
  readonly #clock: Clock;
  /** By where they lead and how they are guarded. */
  readonly #endpoints = new Map<string, Endpoint>();

  constructor(guard: NetGuard, clock: Clock) {
    this.#guard = guard;
    this.#clock = clock;
  }

  /** The endpoint of a URL, or `null` if it may not be dialled. */
  async open(url: string, { located = false } = {}): Promise<Endpoint | null> {
    const now = this.#clock.monotonicMs();
    const key = located ? `located ${url}` : url;
    const known = this.#endpoints.get(key);
    if (known && known.checkedUntilMs > now) {
      known.usedMs = now;
      return known;
    }
    const guard = located ? this.#ownGuard : this.#guard;
    const checked = await guard.check(url, 'dispatch');
    if (!checked.ok) return null;
    const endpoint = this.#endpoints.get(key) ?? this.#create(key, url, guard);
    endpoint.usedMs = this.#clock.monotonicMs();
    endpoint.checkedUntilMs = endpoint.usedMs + CHECKED_MS;
    return endpoint;
  }

  #create(key: string, url: string, guard: NetGuard): Endpoint {
    const { origin, pathname, search } = new URL(url);
    // No gate on connections (spec 2 §1.7), and no timers of its own: the idle clock is ours.
    const pool = guard.createPool(origin);
    const endpoint = new Endpoint(pool, `${pathname}${search}`);
    this.#endpoints.set(key, endpoint);
    return endpoint;
  }

  /** Lets go of pools that nobody has used for a while. */
  async closeUnused(): Promise<void> {
    const before = this.#clock.monotonicMs() - UNUSED_MS;
    for (const [key, endpoint] of this.#endpoints) {
      if (endpoint.inFlight > 0 || endpoint.usedMs > before) continue;
      this.#endpoints.delete(key);
      await endpoint.pool.close();
    }
  }

  async close(): Promise<void> {
    const endpoints = [...this.#endpoints.values()];
    this.#endpoints.clear();
    await Promise.all(endpoints.map(({ pool }) => pool.destroy()));
  }
}
