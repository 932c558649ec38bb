/** What the sweeper has found: one stream per thing found, so that each finding is said once however often it is seen. */
import { PLATFORM, type SweepFact, sweepFacts } from '@molecule/contracts';
import type { Aggregate } from '@molecule/event-store';
import type { Tables } from '../database.ts';
import { findingList } from './projections/finding-list.ts';

/** Decisions about findings never ask what was found before: command ids alone keep them from being said twice. */
export type Finding = { readonly status: 'any' };

const aggregate = (noun: 'liveness' | 'orphan'): Aggregate<Tables, Finding, SweepFact> => ({
  noun,
  family: sweepFacts,
  fold: { initial: { status: 'any' }, evolve: (state) => state },
  inline: [findingList],
  workspaceOf: (_id, fact) => ('workspaceId' in fact.data ? fact.data.workspaceId : PLATFORM),
});

/** Stream `liveness.<workspaceId>`. */
export const liveness = aggregate('liveness');
/** Stream `orphan.<prefix>`. */
export const orphan = aggregate('orphan');
