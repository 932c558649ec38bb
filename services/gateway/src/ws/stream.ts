/** What happens, on its way to who listens: facts as they are applied, live events behind the facts they follow (spec 1 §6). */
import type { FactPlace } from '@molecule/bus';
import { type AnyRecordedFact, type CanvasEvent, canvasEvents, type LiveEvent } from '@molecule/contracts';
import { type Credential, isConcerned, isOver, mayEndRights, type RightsBook } from './credential.ts';
import type { Fanout } from './fanout.ts';
import type { LiveGate } from './live-gate.ts';
import { isLater, seqOf } from './seq.ts';

/** How far the clocks of the log and of the bus may be apart (F16). */
const CLOCKS_APART_MS = 3_600_000;

/** The events that a fact is told as. A stream that was lost is filled again with what the one before it held: that is no news. */
export const newsOf = (fact: AnyRecordedFact, { epoch }: FactPlace): readonly CanvasEvent[] =>
  Date.parse(fact.recordedAt) < Date.parse(epoch) - CLOCKS_APART_MS ? [] : canvasEvents(fact);

/**
 * Says where each event stands: a persisted one at the place of its fact; a live one at that of the last fact that was told here
 * before it, so that who comes back with it misses no fact.
 */
export class Teller {
  readonly #fanout: Fanout;
  #place: FactPlace | undefined;
  /** `''`: no fact is known yet, and nobody can come back with that. */
  #seq = '';

  constructor(fanout: Fanout) {
    this.#fanout = fanout;
  }

  /** The facts that are told from here on stand behind this place. */
  beginsBehind(place: FactPlace | undefined): void {
    if (place !== undefined && (this.#place === undefined || isLater(place, this.#place))) this.#standsAt(place);
  }

  /** Facts were missed that nobody will be told; those that follow stand behind this place. */
  missed(place: FactPlace | undefined): void {
    if (place !== undefined) this.#standsAt(place);
    this.#fanout.missed(this.#seq);
  }

  fact(fact: AnyRecordedFact, place: FactPlace): void {
    this.beginsBehind(place);
    for (const event of newsOf(fact, place)) this.#fanout.publish(event, seqOf(place), place);
  }

  live({ event, workspaceId, timestamp, payload }: LiveEvent): void {
    this.#fanout.publish({ event, workspace_id: workspaceId, timestamp, payload }, this.#seq, null);
  }

  #standsAt(place: FactPlace): void {
    this.#place = place;
    this.#seq = seqOf(place);
  }
}

export interface ShowFactParts {
  readonly teller: Teller;
  readonly gate: LiveGate;
  readonly fanout: Fanout;
  readonly rights: RightsBook;
}

/** A fact was applied: canvases see it, what waited for it follows, and connections that it shuts out are closed. */
export const showFact =
  ({ teller, gate, fanout, rights }: ShowFactParts) =>
  (fact: AnyRecordedFact, place: FactPlace): void => {
    teller.fact(fact, place);
    gate.shown(fact.workspaceId);
    if (mayEndRights(fact)) judgeConnections(fanout, rights, (credential) => isConcerned(credential, fact.workspaceId));
  };

/** Closes the connections, all or some, whose right is over (S3). */
export const judgeConnections = (
  fanout: Fanout,
  rights: RightsBook,
  some: (credential: Credential) => boolean = () => true,
): void => fanout.closeWhere((credential) => some(credential) && isOver(credential, rights));
