/**
 * Who is asking, from what the request brings and what the directory holds in memory (D4). It decides who somebody is; the route
 * decides who may.
 *
 *   P1. A bearer is what follows exactly `Bearer ` (spec 1 §0); anything else is none.
 *   P2. `ADMIN_TOKEN` is compared in constant time; workspace tokens are looked up by their hash, so timing tells nothing of them.
 *   P3. While tokens may have changed unheard, `tokensKnown` is false, and no class of routes lets a token in on old knowledge (I9).
 */
import { Buffer } from 'node:buffer';
import { timingSafeEqual } from 'node:crypto';
import type { Identity, Principal } from '@molecule/contracts';
import { tokenHash } from '@molecule/vault';

export { tokenHash };

/** What the edge asks of its directory. */
export interface TokenBook {
  readonly ready: boolean;
  workspaceOfToken(hash: string): { readonly workspaceId: string; readonly tokenId: string } | undefined;
  anyLiveToken(): boolean;
}

const ANONYMOUS: Identity = { kind: 'anonymous' };
const UNKNOWN_TOKEN: Identity = { kind: 'unknown-token' };
const ADMIN: Identity = { kind: 'admin' };

const SCHEME = 'Bearer ';

/** The bearer of an `Authorization` header, or none (P1). */
export function bearerOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined || !authorization.startsWith(SCHEME)) return undefined;
  return authorization.slice(SCHEME.length).trim() || undefined;
}

export class Principals {
  readonly #tokens: TokenBook;
  readonly #adminDigest: Buffer | undefined;
  readonly #devOpen: boolean;

  constructor({
    tokens,
    adminToken,
    development,
  }: {
    readonly tokens: TokenBook;
    readonly adminToken: string | undefined;
    readonly development: boolean;
  }) {
    this.#tokens = tokens;
    this.#adminDigest = adminToken === undefined ? undefined : Buffer.from(tokenHash(adminToken), 'hex');
    this.#devOpen = development && adminToken === undefined;
  }

  /** The principal of a request with this `Authorization` header. */
  of(authorization: string | undefined): Principal {
    return {
      identity: this.#identify(bearerOf(authorization)),
      session: null,
      invalidSession: false,
      sameOrigin: false,
      allowedOrigin: false,
      devOpen: this.#devOpen,
      adminTokenSet: this.#adminDigest !== undefined,
      noLiveToken: !this.#tokens.anyLiveToken(),
      tokensKnown: this.#tokens.ready,
    };
  }

  #identify(bearer: string | undefined): Identity {
    if (bearer === undefined) return ANONYMOUS;
    const hashed = tokenHash(bearer);
    if (this.#adminDigest !== undefined && timingSafeEqual(Buffer.from(hashed, 'hex'), this.#adminDigest)) return ADMIN;
    const owner = this.#tokens.workspaceOfToken(hashed);
    return owner === undefined ? UNKNOWN_TOKEN : { kind: 'workspace', workspaceId: owner.workspaceId, tokenId: owner.tokenId };
  }
}

export type RegistryVerdict = 'allowed' | 'missing' | 'invalid';

/**
 * Spec 1 §3.1 for one workspace: a bearer of its own, once it has any; other credentials do not count. With `everyoneNeedsToken`
 * (production, design §7) a workspace without a live token is not open to anybody either.
 */
export function judgeRegistryToken(
  tokens: Pick<TokenBook, 'workspaceOfToken'> & { liveTokens(workspaceId: string): number },
  workspaceId: string,
  authorization: string | undefined,
  { everyoneNeedsToken }: { readonly everyoneNeedsToken: boolean },
): RegistryVerdict {
  if (tokens.liveTokens(workspaceId) === 0) return everyoneNeedsToken ? 'missing' : 'allowed';
  const bearer = bearerOf(authorization);
  if (bearer === undefined) return 'missing';
  return tokens.workspaceOfToken(tokenHash(bearer))?.workspaceId === workspaceId ? 'allowed' : 'invalid';
}
