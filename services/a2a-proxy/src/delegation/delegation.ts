/** A delegation as its decisions need to see it: a task that one workspace gave another, from its beginning to its one end. */
import { type DelegationFact, delegationFacts } from '@molecule/contracts';
import type { Aggregate, Fold } from '@molecule/event-store';
import type { Tables } from '../database.ts';
import { delegationTable } from './projection.ts';

export type Delegation =
  | { readonly status: 'absent' }
  /** `platform`: nobody has begun to carry it out. `agent`: the agent does so itself, and tells of its end. */
  | { readonly status: 'sent'; readonly by: 'platform' | 'agent' }
  /** A call to the target is made by that process, or about to be. */
  | { readonly status: 'dispatched'; readonly messageId: string; readonly attempt: number; readonly worker: string }
  /** Its message waits in the target's mailbox. */
  | { readonly status: 'queued'; readonly messageId: string }
  | { readonly status: 'ended' };

/** What ended stays ended; a fact that does not fit is left alone. */
export const delegation: Fold<Delegation, DelegationFact> = {
  initial: { status: 'absent' },
  evolve: (state, fact) => {
    if (state.status === 'ended') return state;
    switch (fact.type) {
      case 'delegation.sent':
        return state.status === 'absent' ? { status: 'sent', by: fact.data.by } : state;
      case 'delegation.dispatched': {
        if (state.status !== 'sent' && state.status !== 'dispatched') return state;
        const { messageId, attempt, worker } = fact.data;
        return { status: 'dispatched', messageId, attempt, worker };
      }
      case 'delegation.queued':
        return state.status === 'dispatched' ? { status: 'queued', messageId: fact.data.messageId } : state;
      case 'delegation.completed':
      case 'delegation.failed':
        return { status: 'ended' };
    }
  },
};

export const delegations: Aggregate<Tables, Delegation, DelegationFact> = {
  noun: 'delegation',
  family: delegationFacts,
  fold: delegation,
  workspaceOf: (_id, fact) => fact.data.workspaceId,
  inline: [delegationTable],
};
