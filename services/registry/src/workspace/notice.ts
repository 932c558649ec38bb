/**
 * What canvases are told of an id that no workspace has (spec 1 §1.7): stream `notice.<id>`, beside the workspace's own, so that the
 * id is not used up by having been deleted.
 */
import { type NoticeFact, noticeFacts } from '@molecule/contracts';
import type { Aggregate } from '@molecule/event-store';
import type { Tables } from '../database.ts';
import { structureEvents } from './projections/structure-events.ts';

/** Nothing is decided on what was said before: whoever deletes again is told again. */
export const notice: Aggregate<Tables, null, NoticeFact> = {
  noun: 'notice',
  family: noticeFacts,
  fold: { initial: null, evolve: (state) => state },
  inline: [structureEvents],
  workspaceOf: (id) => id,
};
