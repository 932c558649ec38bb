/** What opens every door, and what was refused, as the event store keeps them: the streams `access.platform` and `denial.platform`. */
import { type AccessFact, accessFacts, type DenialFact, denialFacts, PLATFORM } from '@molecule/contracts';
import type { Aggregate } from '@molecule/event-store';
import type { Tables } from '../database.ts';
import { type Access, accessFold } from './access.ts';
import { accessLog } from './projections/access-log.ts';
import { orgTokens } from './projections/org-tokens.ts';
import { sessions } from './projections/sessions.ts';

export const access: Aggregate<Tables, Access, AccessFact> = {
  noun: 'access',
  family: accessFacts,
  fold: accessFold,
  inline: [orgTokens, sessions, accessLog],
  workspaceOf: () => PLATFORM,
};

/** Nothing is decided on what was refused: it is only remembered. */
export const denial: Aggregate<Tables, null, DenialFact> = {
  noun: 'denial',
  family: denialFacts,
  fold: { initial: null, evolve: (state) => state },
  inline: [accessLog],
  workspaceOf: () => PLATFORM,
};
