/**
 * Who may read what of a mailbox: whoever may read its workspace, all of it; a workspace that sent something there, what it sent
 * itself. Pure.
 */
import { platformUnavailable, Refusal, type WorkspaceId } from '@molecule/contracts';
import { workspaceRefusal } from '@molecule/http';
import { type Answer, answers } from '../call/answer.ts';
import { type Asking, callersToken, isSystemName } from '../call/caller.ts';

export type Reader =
  | { readonly sees: 'all' }
  /** Only what this workspace sent. */
  | { readonly sees: 'own'; readonly callerId: string };

/** As a caller says who it is (spec 2 §1.2): with `X-Workspace-ID` and its own token, or with the token alone. */
export function readerOf(asking: Asking): Reader | Refusal {
  const { header, target, principal } = asking;
  const { identity, tokensKnown } = principal;
  const named = header !== '' && header !== target;
  const refusal = workspaceRefusal(principal, target);
  // Nobody becomes less than their bearer is by naming somebody; who shows none is who they say they are.
  if (refusal === null && !(named && identity.kind === 'anonymous')) return { sees: 'all' };
  if (named) {
    const answer = isSystemName(header) ? answers.invalidCaller : callersToken(asking);
    return answer === null ? { sees: 'own', callerId: header } : refusalOf(answer);
  }
  if (identity.kind === 'workspace' && tokensKnown) return { sees: 'own', callerId: identity.workspaceId };
  return refusal ?? { sees: 'all' };
}

export const maySee = (reader: Reader, callerId: WorkspaceId | null): boolean =>
  reader.sees === 'all' || reader.callerId === callerId;

function refusalOf({ status, error }: Answer): Refusal {
  if (status === 503) return platformUnavailable();
  return new Refusal(status === 403 ? 'forbidden' : 'unauthenticated', error ?? '');
}
