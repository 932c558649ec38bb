/** What the sweeper has found: one stream per thing found, so that each finding is said once however often it is seen. */
import { PLATFORM, type SweepFact, sweepFacts } from '@molecule/contracts';
import type { Aggregate, Fold } from '@molecule/event-store';
import type { Tables } from '../database.ts';
import { findingList } from './projections/finding-list.ts';

/** Whether something of this stream was found and has not been dealt with. A silence is never dealt with here. */
export type Finding = { readonly status: 'none' | 'found' };

const fold: Fold<Finding, SweepFact> = {
  initial: { status: 'none' },
  evolve: (state, { type }) => {
    if (type === 'orphan.found') return { status: 'found' };
    return type === 'orphan.reaped' ? { status: 'none' } : state;
  },
};

const aggregate = (noun: 'liveness' | 'orphan'): Aggregate<Tables, Finding, SweepFact> => ({
  noun,
  family: sweepFacts,
  fold,
  inline: [findingList],
  workspaceOf: (_id, fact) => ('workspaceId' in fact.data ? fact.data.workspaceId : PLATFORM),
});

/** Stream `liveness.<workspaceId>`. */
export const liveness = aggregate('liveness');
/** Stream `orphan.<prefix>`. */
export const orphan = aggregate('orphan');
