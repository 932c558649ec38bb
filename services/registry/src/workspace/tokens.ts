/** Who may act as a workspace (spec 1 §3.1, §4.7): whoever holds one of its live tokens, or anybody while it has none. Pure. */
import { platformUnavailable, Refusal, type Timestamp, type TokenId, type WorkspaceFact } from '@molecule/contracts';
import type { LiveToken, TokenOrigin, Workspace } from './workspace.ts';

export interface NewToken {
  readonly tokenId: TokenId;
  /** SHA-256 of the plaintext, hex. */
  readonly hash: string;
  /** First eight characters of the plaintext. */
  readonly prefix: string;
  readonly issuedAt: Timestamp;
}

/** What the caller showed: nothing, a live token of a workspace, something else, or what cannot be looked up now. */
export type Presented =
  | { readonly kind: 'none' }
  | { readonly kind: 'token'; readonly tokenId: string }
  | { readonly kind: 'other' }
  | { readonly kind: 'unknowable' };

/** Whether a workspace without a live token is open to anybody. Not in production (README choice 12). */
export type OpenByState = boolean;

const liveTokens = (state: Workspace): readonly LiveToken[] => (state.situation === 'present' ? state.tokens : []);

const held = (state: Workspace, presented: Presented): LiveToken | undefined =>
  presented.kind === 'token' ? liveTokens(state).find(({ tokenId }) => tokenId === presented.tokenId) : undefined;

/** RegistryToken (§3.1): throws the 401 of the wire; what cannot be looked up opens no door (README choice 11). */
export function mustHoldToken(state: Workspace, presented: Presented, openByState: OpenByState): void {
  if (liveTokens(state).length === 0 && (openByState || state.situation === 'removed')) return;
  if (presented.kind === 'unknowable') throw platformUnavailable();
  if (presented.kind === 'none') throw new Refusal('unauthenticated', 'missing workspace auth token');
  if (held(state, presented) === undefined) throw new Refusal('unauthenticated', 'invalid workspace auth token');
}

/** The caller proves to be a workspace that this platform provisioned itself (README choice 4). */
export function provesProvisioned(state: Workspace, presented: Presented): boolean {
  const token = held(state, presented);
  return token !== undefined && (token.by === 'provisioner' || (state.situation === 'present' && state.located));
}

export const tokenIssued = (token: NewToken, by: TokenOrigin): WorkspaceFact => ({
  type: 'token.issued',
  data: { ...token, by },
});
