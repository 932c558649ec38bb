/**
 * By what right a connection stays open, and whether that right is over. Sockets and event streams are judged here and nowhere else:
 * each is given a credential when it comes in, and every fact that may end a right has those judged again that it concerns. A fact is
 * told to us before the barrier of the write behind it is passed, so who was shut out is shut out when the answer is sent (I4).
 *
 * A new kind is a member of `Credential`, a case in `isOver`, one in `credentialOf`, and its facts in `mayEndRights`.
 */
import { type AnyRecordedFact, type DirectoryEntry, PLATFORM, type Principal } from '@molecule/contracts';

export type Credential =
  /** Nothing had to be shown, or what was shown lasts as long as we run. */
  | { readonly kind: 'lasting' }
  | { readonly kind: 'workspace-token'; readonly workspaceId: string; readonly tokenId: string }
  /** A workspace that had no token was let in as it was. */
  | { readonly kind: 'tokenless'; readonly workspaceId: string }
  /** An org token or a session of ours. */
  | { readonly kind: 'access'; readonly id: string }
  /** Somebody else vouched for it. It cannot be judged again, so it is over as soon as any right of the platform may be (I9). */
  | { readonly kind: 'unjudgeable' };

/** What rights are judged by. */
export interface RightsBook {
  get(workspaceId: string): Pick<DirectoryEntry, 'status' | 'tokens'> | undefined;
  /** Whether an org token or a session opens doors now. */
  hasAccess(id: string): boolean;
}

export const LASTING: Credential = { kind: 'lasting' };

/** By what right somebody whom a route let in stays on it. */
export function credentialOf({ identity, session }: Principal): Credential {
  switch (identity.kind) {
    case 'workspace':
      return { kind: 'workspace-token', workspaceId: identity.workspaceId, tokenId: identity.tokenId };
    case 'org':
      return { kind: 'access', id: identity.tokenId };
    case 'anonymous':
    case 'unknown-token':
      if (session === null) return LASTING;
      return session.kind === 'canvas' ? { kind: 'access', id: session.id } : { kind: 'unjudgeable' };
    case 'admin':
    case 'service':
      return LASTING;
  }
}

/** The same for Admin in a closed platform: there no token of a workspace lets anybody in, so beside it the session does. */
export function adminCredentialOf(principal: Principal): Credential {
  const bySession = principal.identity.kind === 'workspace' && principal.session !== null;
  return credentialOf(bySession ? { ...principal, identity: { kind: 'anonymous' } } : principal);
}

/** Whether it would not be let in now (S3). */
export function isOver(credential: Credential, book: RightsBook): boolean {
  switch (credential.kind) {
    case 'lasting':
      return false;
    case 'workspace-token': {
      const entry = book.get(credential.workspaceId);
      return entry?.status === 'removed' || entry?.tokens.some(({ tokenId }) => tokenId === credential.tokenId) !== true;
    }
    case 'tokenless': {
      const entry = book.get(credential.workspaceId);
      return entry !== undefined && (entry.status === 'removed' || entry.tokens.length > 0);
    }
    case 'access':
      return !book.hasAccess(credential.id);
    case 'unjudgeable':
      return true;
  }
}

/** Whether a right that was good a moment ago has ended since. What cannot be judged again ends with the next fact that may end it. */
export const hasEnded = (credential: Credential, book: RightsBook): boolean =>
  credential.kind !== 'unjudgeable' && isOver(credential, book);

/** Whether a fact of this workspace (or of the platform) may end it. */
export function isConcerned(credential: Credential, workspaceId: string): boolean {
  switch (credential.kind) {
    case 'lasting':
      return false;
    case 'workspace-token':
    case 'tokenless':
      return credential.workspaceId === workspaceId;
    case 'access':
    case 'unjudgeable':
      return workspaceId === PLATFORM;
  }
}

/** Those of a removed workspace end with the fact of its removal, not with its tokens before, so that the agent hears of it. */
export const mayEndRights = (fact: AnyRecordedFact): boolean =>
  fact.type === 'workspace.removed' ||
  fact.type === 'token.issued' ||
  (fact.type === 'token.revoked' && fact.data.by !== 'removed') ||
  fact.type === 'access.token-revoked' ||
  fact.type === 'access.session-closed';
