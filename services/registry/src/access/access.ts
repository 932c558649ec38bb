/**
 * What opens every door, as its decisions need to see it: the org tokens that live, and the canvas sessions that nobody closed.
 *
 * Evolving never refuses: a fact about what is not there leaves the state as it is.
 */
import type { AccessFact, SessionOrigin, TokenId } from '@molecule/contracts';
import type { Fold } from '@molecule/event-store';

export interface OrgToken {
  readonly tokenId: TokenId;
  readonly prefix: string;
  readonly orgId: string;
}

export interface OpenSession {
  readonly sessionId: TokenId;
  readonly by: SessionOrigin;
  /** RFC 3339. It opens nothing from here on, whether or not it was closed. */
  readonly expiresAt: string;
}

export interface Access {
  readonly tokens: readonly OrgToken[];
  readonly sessions: readonly OpenSession[];
}

export const accessFold: Fold<Access, AccessFact> = {
  initial: { tokens: [], sessions: [] },
  evolve: (state, fact) => {
    switch (fact.type) {
      case 'access.token-issued': {
        const { tokenId, prefix, orgId } = fact.data;
        return { ...state, tokens: [...state.tokens, { tokenId, prefix, orgId }] };
      }
      case 'access.token-revoked':
        return { ...state, tokens: state.tokens.filter(({ tokenId }) => tokenId !== fact.data.tokenId) };
      case 'access.session-opened': {
        const { sessionId, by, expiresAt } = fact.data;
        return { ...state, sessions: [...state.sessions, { sessionId, by, expiresAt }] };
      }
      case 'access.session-closed':
        return { ...state, sessions: state.sessions.filter(({ sessionId }) => sessionId !== fact.data.sessionId) };
      default:
        return unreachable(fact);
    }
  },
};

/** A case was forgotten: the compiler says so here, at the switch. */
const unreachable = (fact: never): never => {
  throw new TypeError(`unknown fact ${JSON.stringify(fact)}`);
};
