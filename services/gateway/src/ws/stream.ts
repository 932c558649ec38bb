/** What happens, on its way to the sockets: facts as they are applied, live events behind the facts they follow (spec 1 §6). */
import { type AnyRecordedFact, canvasEvents, type LiveEvent } from '@molecule/contracts';
import type { TokenBook } from '../principal.ts';
import type { Fanout } from './fanout.ts';
import type { LiveGate } from './live-gate.ts';

/** A fact was applied: canvases see it, what waited for it follows, and sockets whose token it ended are closed. */
export const showFact =
  ({ fanout, gate, tokens }: { readonly fanout: Fanout; readonly gate: LiveGate; readonly tokens: TokenBook }) =>
  (fact: AnyRecordedFact): void => {
    for (const event of canvasEvents(fact)) fanout.publish(event);
    gate.shown(fact.workspaceId);
    if (!endsTokens(fact)) return;
    fanout.closeWhere(
      ({ id, tokenHash }) =>
        id === fact.workspaceId && tokenHash !== null && tokens.workspaceOfToken(tokenHash)?.workspaceId !== id,
      'the token is no longer valid',
    );
  };

/** Those of a removed workspace end with the fact of its removal, so that the agent hears of it. */
const endsTokens = (fact: AnyRecordedFact): boolean =>
  fact.type === 'workspace.removed' || (fact.type === 'token.revoked' && fact.data.by !== 'removed');

/** A live event passed the gate. */
export const showLive =
  (fanout: Fanout) =>
  ({ event, workspaceId, timestamp, payload }: LiveEvent): void =>
    fanout.publish({ event, workspace_id: workspaceId, timestamp, payload });
