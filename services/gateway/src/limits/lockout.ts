/**
 * A limit on guessing credentials, in production (design §7).
 *
 *   G1. What counts is how many different credentials that are nobody's an address has shown within a minute: an agent that goes on
 *       beating with a token that was revoked is one.
 *   G2. Beyond the limit the address is locked out until its window ends: whatever credential it shows is answered alike, right or
 *       wrong, so that no guess tells anything.
 *   G3. A live workspace token still passes: 256 random bits are not guessed, and nobody can lock out the agents behind an address.
 *   G4. What is kept is bounded, in addresses and for each of them. An IPv6 address counts with its /64, which one host may have whole.
 *   G5. While tokens are not known, a wrong credential cannot be told from a live token: nothing counts, and nobody compares any.
 */
import type { IncomingMessage } from 'node:http';
import { isIPv6 } from 'node:net';
import { type Principal, platformUnavailable, Refusal } from '@molecule/contracts';
import { bearerOf, tokenHash } from '../principal.ts';

const WINDOW_MS = 60_000;
const MAX_ADDRESSES = 50_000;

export interface LockoutOptions {
  /** Wrong credentials that one address may show within a minute. */
  readonly perMinute: number;
  readonly nowMs: () => number;
  readonly maxAddresses?: number;
}

/** What a request shows for itself. */
export type Shown = Pick<Principal, 'identity' | 'session' | 'invalidSession' | 'tokensKnown'>;

interface Failures {
  readonly since: number;
  readonly shown: Set<string>;
}

export class Lockout {
  readonly #options: LockoutOptions;
  /** By network, in the order in which their windows began. */
  readonly #failures = new Map<string, Failures>();

  constructor(options: LockoutOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#failures.size;
  }

  /** Takes note of what a request shows. Says why it is not let in, or `null`: whatever it asks for decides. */
  judge(
    peer: string,
    { identity, session, invalidSession, tokensKnown }: Shown,
    request: Pick<IncomingMessage, 'headers'>,
  ): Refusal | null {
    const { authorization } = request.headers;
    if (!tokensKnown) return authorization === undefined || identity.kind === 'workspace' ? null : platformUnavailable(); // G5
    const known = identity.kind === 'admin' || identity.kind === 'org' || identity.kind === 'workspace';
    if (authorization !== undefined && !known) this.failed(peer, tokenHash(bearerOf(authorization) ?? authorization));
    const seconds = this.lockedFor(peer);
    if (seconds === null || identity.kind === 'workspace') return null; // G3
    return authorization !== undefined || session !== null || invalidSession ? lockedOut(seconds) : null;
  }

  /** `hash` is that of a credential that is nobody's. */
  failed(peer: string, hash: string): void {
    const now = this.#options.nowMs();
    const network = networkOf(peer);
    let failures = this.#failures.get(network);
    if (failures === undefined || now - failures.since >= WINDOW_MS) failures = this.#begin(network, now);
    if (failures.shown.size <= this.#options.perMinute) failures.shown.add(hash);
  }

  /** Seconds until an address may try again; `null`: it may now. */
  lockedFor(peer: string): number | null {
    if (this.#failures.size === 0) return null;
    const failures = this.#failures.get(networkOf(peer));
    if (failures === undefined || failures.shown.size <= this.#options.perMinute) return null;
    const left = failures.since + WINDOW_MS - this.#options.nowMs();
    return left <= 0 ? null : Math.ceil(left / 1000);
  }

  #begin(network: string, now: number): Failures {
    const { maxAddresses = MAX_ADDRESSES } = this.#options;
    this.#failures.delete(network);
    for (const [oldest, { since }] of this.#failures) {
      if (now - since < WINDOW_MS && this.#failures.size < maxAddresses) break;
      this.#failures.delete(oldest); // G4
    }
    const failures = { since: now, shown: new Set<string>() };
    this.#failures.set(network, failures);
    return failures;
  }
}

export const lockedOut = (seconds: number): Refusal =>
  new Refusal('too-many', 'too many failed authentications', {
    body: { retry_after: seconds },
    headers: { 'Retry-After': String(seconds) },
  });

/** The address itself; of IPv6 the first four groups. */
export function networkOf(peer: string): string {
  if (!isIPv6(peer)) return peer;
  const [head = '', tail] = peer.split('::');
  const groups = head === '' ? [] : head.split(':');
  const after = tail === undefined || tail === '' ? [] : tail.split(':');
  const whole =
    tail === undefined
      ? groups
      : [...groups, ...Array<string>(Math.max(0, 8 - groups.length - after.length)).fill('0'), ...after];
  return `${whole
    .slice(0, 4)
    .map((group) => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`;
}
