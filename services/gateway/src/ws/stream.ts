/** What happens, on its way to the sockets: facts as they are applied, live events behind the facts they follow (spec 1 §6). */
import { type AnyRecordedFact, canvasEvents, type DirectoryEntry, type LiveEvent } from '@molecule/contracts';
import type { TokenBook } from '../principal.ts';
import type { Fanout } from './fanout.ts';
import type { LiveGate } from './live-gate.ts';

/** What the sockets of workspaces are judged by. */
export type SocketBook = Pick<TokenBook, 'workspaceOfToken'> & {
  get(workspaceId: string): Pick<DirectoryEntry, 'status'> | undefined;
  liveTokens(workspaceId: string): number;
};

/** A fact was applied: canvases see it, what waited for it follows, and sockets that it shuts out are closed. */
export const showFact =
  ({ fanout, gate, tokens }: { readonly fanout: Fanout; readonly gate: LiveGate; readonly tokens: SocketBook }) =>
  (fact: AnyRecordedFact): void => {
    for (const event of canvasEvents(fact)) fanout.publish(event);
    gate.shown(fact.workspaceId);
    if (mayShutOut(fact)) judgeSockets(fanout, tokens, ({ id }) => id === fact.workspaceId);
  };

/** Those of a removed workspace end with the fact of its removal, so that the agent hears of it. */
const mayShutOut = (fact: AnyRecordedFact): boolean =>
  fact.type === 'workspace.removed' ||
  fact.type === 'token.issued' ||
  (fact.type === 'token.revoked' && fact.data.by !== 'removed');

/**
 * Closes the sockets of workspaces, all or some, that would not be let in now: their token has ended; or they came without one,
 * and their workspace has one since or was removed (S3).
 */
export function judgeSockets(
  fanout: Fanout,
  tokens: SocketBook,
  some: (workspace: { readonly id: string }) => boolean = () => true,
): void {
  const isOver = ({ id, tokenHash }: { readonly id: string; readonly tokenHash: string | null }): boolean =>
    tokenHash === null
      ? tokens.liveTokens(id) > 0 || tokens.get(id)?.status === 'removed'
      : tokens.workspaceOfToken(tokenHash)?.workspaceId !== id;
  fanout.closeWhere((workspace) => some(workspace) && isOver(workspace), 'the token is no longer valid');
}

/** A live event passed the gate. */
export const showLive =
  (fanout: Fanout) =>
  ({ event, workspaceId, timestamp, payload }: LiveEvent): void =>
    fanout.publish({ event, workspace_id: workspaceId, timestamp, payload });
