/**
 * What may become of org tokens and sessions.
 *
 *   K1. What was done with an org token, or with a session, is done only while that lives, on the very state that is decided on:
 *       whoever ends it and whoever uses it cannot both be right. A body that comes slowly keeps no right alive.
 *   K2. A session ends with the token it was opened with, in one commit. That an admin token was replaced is known by gateways at
 *       once (principal.ts, P6), and here when the next one opens a session.
 *   K3. There are never more than so many sessions open; those whose time is over make room first.
 */
import { type AccessFact, Refusal, type SessionOrigin, type Timestamp, type TokenId } from '@molecule/contracts';
import type { Access, OpenSession, OrgToken } from './access.ts';

export type Decision = (state: Access) => readonly AccessFact[];

export interface NewOrgToken {
  readonly tokenId: TokenId;
  /** SHA-256 of the plaintext, hex. */
  readonly hash: string;
  /** First eight characters of the plaintext. */
  readonly prefix: string;
  readonly issuedAt: Timestamp;
}

/** Who asks for a token (spec 1 §4.8): an org token, somebody with a cookie, or whoever else is let in. */
export type Minter =
  | { readonly kind: 'org'; readonly tokenId: string }
  /** `sessionId`: by which alone it is let in; `null`: something else lets it in too, or somebody else vouches for the session. */
  | { readonly kind: 'session'; readonly sessionId: string | null }
  | { readonly kind: 'admin' };

/** `POST /org/tokens`. A token that an org token mints belongs to its organisation. */
export const mintOrgToken =
  (token: NewOrgToken, { name, by }: { readonly name: string; readonly by: Minter }): Decision =>
  (state) => {
    const { createdBy, orgId } = originOf(state, by);
    return [{ type: 'access.token-issued', data: { ...token, name, orgId, createdBy } }];
  };

function originOf(state: Access, by: Minter): { createdBy: string; orgId: string } {
  switch (by.kind) {
    case 'org': {
      const { prefix, orgId } = liveToken(state, by.tokenId);
      return { createdBy: `org-token:${prefix}`, orgId };
    }
    case 'session':
      if (by.sessionId !== null && !state.sessions.some(({ sessionId }) => sessionId === by.sessionId))
        throw new Refusal('unauthenticated', 'admin auth required');
      return { createdBy: 'session', orgId: '' };
    case 'admin':
      return { createdBy: 'admin-token', orgId: '' };
  }
}

/** `DELETE /org/tokens/:id`. The sessions opened with it end with it (K2). */
export const revokeOrgToken =
  (tokenId: string): Decision =>
  (state) => {
    const token = state.tokens.find((live) => live.tokenId === tokenId);
    if (token === undefined) throw new Refusal('not-found', 'token not found or already revoked');
    const ending = state.sessions.filter(({ by }) => by.kind === 'org' && by.tokenId === token.tokenId);
    return [{ type: 'access.token-revoked', data: { tokenId: token.tokenId } }, ...ending.map(closed('token-revoked'))];
  };

export interface NewSession {
  readonly sessionId: TokenId;
  /** SHA-256 of the cookie, hex. */
  readonly hash: string;
  readonly by: SessionOrigin;
  readonly openedAt: Timestamp;
  readonly expiresAt: Timestamp;
}

export const MAX_SESSIONS = 1_000;

/** `POST /session`. */
export const openSession =
  (session: NewSession): Decision =>
  (state) => {
    if (session.by.kind === 'org') liveToken(state, session.by.tokenId);
    const over = overAt(state, session.openedAt);
    const replaced = openedBefore(state, session.by).filter((other) => !over.includes(other));
    if (state.sessions.length - over.length - replaced.length >= MAX_SESSIONS)
      throw new Refusal('too-many', `maximum ${MAX_SESSIONS} open sessions`);
    const ending = [...over.map(closed('expired')), ...replaced.map(closed('token-revoked'))];
    return [...ending, { type: 'access.session-opened', data: session }];
  };

/** `DELETE /session`. What is closed already stays so. */
export const closeSession =
  (sessionId: string): Decision =>
  ({ sessions }) =>
    sessions.filter((session) => session.sessionId === sessionId).map(closed('logout'));

export const closeExpired =
  (now: Timestamp): Decision =>
  (state) =>
    overAt(state, now).map(closed('expired'));

const overAt = ({ sessions }: Access, now: Timestamp): readonly OpenSession[] =>
  sessions.filter(({ expiresAt }) => Date.parse(expiresAt) <= Date.parse(now));

/** Those that were opened with an admin token that this one has replaced (K2). */
const openedBefore = ({ sessions }: Access, by: SessionOrigin): readonly OpenSession[] =>
  by.kind === 'admin' ? sessions.filter((session) => session.by.kind === 'admin' && session.by.key !== by.key) : [];

const closed =
  (reason: Extract<AccessFact, { type: 'access.session-closed' }>['data']['reason']) =>
  ({ sessionId }: OpenSession): AccessFact => ({ type: 'access.session-closed', data: { sessionId, reason } });

/** K1. The text is that of any token that opens nothing (spec 1 §4.2). */
function liveToken({ tokens }: Access, tokenId: string): OrgToken {
  const token = tokens.find((live) => live.tokenId === tokenId);
  if (token === undefined) throw new Refusal('unauthenticated', 'invalid admin auth token');
  return token;
}
