/**
 * Who is asking, from what the request brings and what the directory holds in memory (D4). It decides who somebody is; the route
 * decides who may.
 *
 *   P1. A bearer is what follows exactly `Bearer ` (spec 1 §0); anything else is none.
 *   P2. `ADMIN_TOKEN` is compared in constant time; other tokens and sessions are looked up by their hash, so timing tells nothing
 *       of them.
 *   P3. While tokens may have changed unheard, `tokensKnown` is false, and no class of routes lets a token in on old knowledge (I9).
 *   P4. In production nothing opens a door that anybody can write into a header, nor that no token is live yet (README, choice 12);
 *       and `ADMIN_TOKEN` is nobody's while tokens are not known, so that guesses that cannot be counted tell nothing.
 *   P5. Only a cookie that nobody here knows is asked about elsewhere, and only where a session may decide.
 *   P6. A session that was opened with an admin token opens nothing once another has taken its place, or none.
 */
import { Buffer } from 'node:buffer';
import { timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { type AccessEntry, type Identity, type Principal, SESSION_COOKIE, type Session } from '@molecule/contracts';
import type { Mode } from '@molecule/service';
import { fingerprint, tokenHash } from '@molecule/vault';
import { cookieOf, withoutSession } from './cookies.ts';
import type { Cors } from './cors.ts';
import { isSameOrigin } from './same-origin.ts';

export { tokenHash };

/** What the edge asks of its directory. */
export interface TokenBook {
  readonly ready: boolean;
  workspaceOfToken(hash: string): { readonly workspaceId: string; readonly tokenId: string } | undefined;
  /** What an org token or the cookie of a session opens doors as, now. */
  accessOf(hash: string): AccessEntry | undefined;
  anyLiveToken(): boolean;
}

/** Who vouches for cookies that are not ours (spec 1 §4.10). */
export interface SessionVerifier {
  /** At once when it is known already. Never rejects: what cannot be verified is no session. */
  verify(cookie: string): Session | null | Promise<Session | null>;
}

export interface PrincipalParts {
  readonly tokens: TokenBook;
  readonly adminToken: string | undefined;
  /** What services share: the admin token is told by a fingerprint under it. */
  readonly internalKey: string;
  readonly mode: Mode;
  readonly cors: Pick<Cors, 'isCanvas'>;
  /** A canvas is proxied: its pages are of our origin (spec 1 §4.6). */
  readonly canvasProxied: boolean;
  readonly controlPlane: SessionVerifier | null;
}

const ANONYMOUS: Identity = { kind: 'anonymous' };
const UNKNOWN_TOKEN: Identity = { kind: 'unknown-token' };

const SCHEME = 'Bearer ';

/** The bearer of an `Authorization` header, or none (P1). */
export function bearerOf(authorization: string | undefined): string | undefined {
  if (authorization === undefined || !authorization.startsWith(SCHEME)) return undefined;
  return authorization.slice(SCHEME.length).trim() || undefined;
}

export class Principals {
  readonly #parts: PrincipalParts;
  readonly #adminDigest: Buffer | undefined;
  readonly #admin: Extract<Identity, { kind: 'admin' }>;
  readonly #production: boolean;
  readonly devOpen: boolean;

  constructor(parts: PrincipalParts) {
    const { adminToken, internalKey, mode } = parts;
    this.#parts = parts;
    this.#adminDigest = adminToken === undefined ? undefined : Buffer.from(tokenHash(adminToken), 'hex');
    this.#admin = { kind: 'admin', ...(adminToken !== undefined && { key: fingerprint(adminToken, internalKey) }) };
    this.#production = mode === 'production';
    this.devOpen = mode === 'development' && adminToken === undefined;
  }

  /** Who sent this request. A promise only where a cookie has to be asked about elsewhere (P5). */
  of(request: Pick<IncomingMessage, 'headers'>, { path = '' }: { readonly path?: string } = {}): Principal | Promise<Principal> {
    const { authorization, cookie } = request.headers;
    const known = this.#withoutSession(request, this.identify(bearerOf(authorization)));
    if (cookie === undefined) return known;
    const own = cookieOf(cookie, SESSION_COOKIE);
    const session = own === undefined ? null : this.#canvasSession(own);
    if (session !== null) return { ...known, session };
    const shown = { ...known, invalidSession: own !== undefined && known.tokensKnown };
    const others = withoutSession(cookie);
    const { controlPlane } = this.#parts;
    if (controlPlane === null || others === undefined || !mayNeedSession(path, known.identity)) return shown;
    const verified = controlPlane.verify(others);
    const withSession = (found: Session | null): Principal => ({ ...shown, session: found, invalidSession: found === null });
    return verified instanceof Promise ? verified.then(withSession) : withSession(verified);
  }

  identify(bearer: string | undefined): Identity {
    if (bearer === undefined) return ANONYMOUS;
    const { tokens } = this.#parts;
    const hashed = tokenHash(bearer);
    if (this.#adminDigest !== undefined && timingSafeEqual(Buffer.from(hashed, 'hex'), this.#adminDigest))
      return this.#production && !tokens.ready ? UNKNOWN_TOKEN : this.#admin; // P4
    const owner = tokens.workspaceOfToken(hashed);
    if (owner !== undefined) return { kind: 'workspace', workspaceId: owner.workspaceId, tokenId: owner.tokenId };
    const access = tokens.accessOf(hashed);
    if (access?.kind !== 'org') return UNKNOWN_TOKEN;
    return { kind: 'org', tokenId: access.id, prefix: access.prefix, orgId: access.orgId };
  }

  #withoutSession(request: Pick<IncomingMessage, 'headers'>, identity: Identity): Principal {
    const { tokens, cors, canvasProxied } = this.#parts;
    const believed = !this.#production; // P4
    return {
      identity,
      session: null,
      invalidSession: false,
      sameOrigin: believed && canvasProxied && isSameOrigin(request),
      allowedOrigin: believed && cors.isCanvas(request),
      devOpen: this.devOpen,
      adminTokenSet: this.#adminDigest !== undefined,
      noLiveToken: believed && !tokens.anyLiveToken(),
      tokensKnown: tokens.ready,
    };
  }

  #canvasSession(value: string): Session | null {
    const access = this.#parts.tokens.accessOf(tokenHash(value));
    if (access?.kind !== 'session') return null;
    const { adminKey } = access;
    return adminKey === null || adminKey === this.#admin.key ? { kind: 'canvas', id: access.id } : null; // P6
  }
}

/** Paths whose classes look at no session. */
const WITHOUT_SESSIONS: ReadonlySet<string> = new Set([
  '/health',
  '/registry/register',
  '/registry/heartbeat',
  '/registry/update-card',
  '/registry/check-access',
]);

/** The class Discovery asks for the cookie before the bearer, and takes no bearer but the workspace's own (spec 1 §4.4). */
const isDiscovery = (path: string): boolean => path.startsWith('/registry/');

const mayNeedSession = (path: string, { kind }: Identity): boolean =>
  !WITHOUT_SESSIONS.has(path) && (isDiscovery(path) || (kind !== 'admin' && kind !== 'org'));

export type RegistryVerdict = 'allowed' | 'missing' | 'invalid';

export interface RegistryRules {
  /** Production (design §7): a workspace without a live token is not open to anybody either. */
  readonly everyoneNeedsToken: boolean;
  /** Told of the token that lets somebody in. */
  readonly opened?: (tokenId: string) => void;
}

/**
 * Spec 1 §3.1 for one workspace: a bearer of its own, once it has any; other credentials do not count.
 */
export function judgeRegistryToken(
  tokens: Pick<TokenBook, 'workspaceOfToken'> & { liveTokens(workspaceId: string): number },
  workspaceId: string,
  authorization: string | undefined,
  { everyoneNeedsToken, opened }: RegistryRules,
): RegistryVerdict {
  if (tokens.liveTokens(workspaceId) === 0) return everyoneNeedsToken ? 'missing' : 'allowed';
  const bearer = bearerOf(authorization);
  if (bearer === undefined) return 'missing';
  const owner = tokens.workspaceOfToken(tokenHash(bearer));
  if (owner?.workspaceId !== workspaceId) return 'invalid';
  opened?.(owner.tokenId);
  return 'allowed';
}
