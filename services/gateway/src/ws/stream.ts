/** What happens, on its way to who listens: facts as they are applied, live events behind the facts they follow (spec 1 §6). */
import { type AnyRecordedFact, canvasEvents, type LiveEvent } from '@molecule/contracts';
import { type Credential, isConcerned, isOver, mayEndRights, type RightsBook } from './credential.ts';
import type { Fanout } from './fanout.ts';
import type { LiveGate } from './live-gate.ts';

/** A fact was applied: canvases see it, what waited for it follows, and connections that it shuts out are closed. */
export const showFact =
  ({ fanout, gate, rights }: { readonly fanout: Fanout; readonly gate: LiveGate; readonly rights: RightsBook }) =>
  (fact: AnyRecordedFact): void => {
    for (const event of canvasEvents(fact)) fanout.publish(event);
    gate.shown(fact.workspaceId);
    if (mayEndRights(fact)) judgeConnections(fanout, rights, (credential) => isConcerned(credential, fact.workspaceId));
  };

/** Closes the connections, all or some, whose right is over (S3). */
export const judgeConnections = (
  fanout: Fanout,
  rights: RightsBook,
  some: (credential: Credential) => boolean = () => true,
): void => fanout.closeWhere((credential) => some(credential) && isOver(credential, rights));

/** A live event passed the gate. */
export const showLive =
  (fanout: Fanout) =>
  ({ event, workspaceId, timestamp, payload }: LiveEvent): void =>
    fanout.publish({ event, workspace_id: workspaceId, timestamp, payload });
