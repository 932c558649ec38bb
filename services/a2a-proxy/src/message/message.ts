/**
 * A message as its decisions need to see it: from a call that is in flight, or waits in a mailbox, to its one end (I1).
 *
 * Two aggregates share the streams `message.<id>`: what is decided one by one moves the mailbox with it (`messages`), what is
 * recorded in batches never touches the mailbox (`calls`). Each ignores the facts that are not about it.
 */
import { type A2aFact, a2aFacts } from '@molecule/contracts';
import type { Aggregate, Fold } from '@molecule/event-store';
import type { Tables } from '../database.ts';
import { mailbox } from './projections/mailbox.ts';

export type Message =
  | { readonly status: 'absent' }
  /** A direct call in flight: the sender waits for it. */
  | { readonly status: 'open'; readonly worker: string }
  | { readonly status: 'waiting'; readonly attempts: number }
  | { readonly status: 'claimed'; readonly worker: string; readonly attempts: number }
  | { readonly status: 'ended'; readonly end: End };

/** How a message ended, as far as somebody who asks again needs to know. */
export interface End {
  readonly type: 'a2a.answered' | 'a2a.unreached' | 'a2a.completed' | 'a2a.failed' | 'a2a.dropped';
  /** The status the sender got or would have got; 0 where there was none. */
  readonly httpStatus: number;
  readonly error: string;
}

/** What ended stays ended; a fact that does not fit is left alone. */
export const message: Fold<Message, A2aFact> = {
  initial: { status: 'absent' },
  evolve: (state, fact) => {
    if (state.status === 'ended') return state;
    switch (fact.type) {
      case 'a2a.dispatched':
        if (fact.data.via === 'direct') return state.status === 'absent' ? { status: 'open', worker: fact.data.worker } : state;
        return state.status === 'waiting' ? { status: 'claimed', worker: fact.data.worker, attempts: fact.data.attempt } : state;
      case 'a2a.queued':
        return state.status === 'absent' || state.status === 'open' ? { status: 'waiting', attempts: 0 } : state;
      case 'a2a.requeued': {
        if (state.status !== 'claimed') return state;
        // Busy again is nobody's failure: the attempt does not count (spec 2 §2.3).
        return { status: 'waiting', attempts: fact.data.reason === 'busy' ? state.attempts - 1 : state.attempts };
      }
      case 'a2a.answered':
      case 'a2a.completed':
        return ended(fact.type, fact.data.httpStatus, '');
      case 'a2a.unreached':
        return ended(fact.type, fact.data.httpStatus, fact.data.error);
      case 'a2a.failed':
        return ended(fact.type, 0, fact.data.error);
      case 'a2a.dropped':
        return ended(fact.type, 0, fact.data.reason);
      default:
        return unreachable(fact);
    }
  },
};

const ended = (type: End['type'], httpStatus: number, error: string): Message => ({
  status: 'ended',
  end: { type, httpStatus, error },
});

/** A case was forgotten: the compiler says so here. */
const unreachable = (fact: never): never => {
  throw new TypeError(`unknown fact ${JSON.stringify(fact)}`);
};

const shared = {
  noun: 'message',
  family: a2aFacts,
  fold: message,
  workspaceOf: (_id: string, fact: A2aFact) => fact.data.workspaceId,
};

/** Decided one by one; the mailbox moves in the same transaction. */
export const messages: Aggregate<Tables, Message, A2aFact> = { ...shared, inline: [mailbox] };

/** Recorded in batches: `a2a.dispatched` of direct calls, `a2a.answered`, `a2a.unreached`. None of them moves the mailbox. */
export const calls: Aggregate<Tables, Message, A2aFact> = { ...shared, inline: [] };
