/**
 * What may become of a delegation.
 *
 *   G1. It ends once, by whoever is first: the answer of the target, its mailbox, the agent that delegated, or recovery.
 *   G2. One process at a time carries it out. What another holds is taken over only from a process that is dead; the late word of
 *       that process changes nothing.
 *   G3. No more than MAX_CALLS calls are made for it.
 *   G4. Where it waits in a mailbox, the mailbox's word counts in either order: also before it was said to be queued.
 */
import type { DelegationFact, DelegationId, MessageId, WorkspaceId } from '@molecule/contracts';
import type { Delegation } from './delegation.ts';

export type Decision = (state: Delegation) => readonly DelegationFact[];

export const MAX_CALLS = 2;

/** Who gave whom a task: what every fact of a delegation repeats. */
export interface About {
  readonly trackingId: DelegationId;
  readonly delegationId: string;
  readonly workspaceId: WorkspaceId;
  readonly targetId: WorkspaceId;
}

export type Ending =
  | { readonly outcome: 'completed'; readonly responsePreview: string }
  | { readonly outcome: 'failed'; readonly error: string };

export const send =
  (about: About, { taskPreview, by }: { readonly taskPreview: string; readonly by: 'platform' | 'agent' }): Decision =>
  (state) =>
    state.status === 'absent' ? [{ type: 'delegation.sent', data: { ...about, taskPreview, by } }] : [];

export interface NextCall {
  readonly messageId: MessageId;
  readonly attempt: number;
  readonly worker: string;
  /** Who carries it out so far; another than `worker` is dead, and its call is made again under the same id, or the next is. */
  readonly from?: string;
}

/** A call is about to be made. */
export const dispatch =
  (about: About, { messageId, attempt, worker, from = worker }: NextCall): Decision =>
  (state) => {
    const next: DelegationFact = { type: 'delegation.dispatched', data: { ...about, messageId, attempt, worker } };
    if (attempt > MAX_CALLS) return []; // G3
    if (state.status === 'sent') return state.by === 'platform' && attempt === 1 ? [next] : [];
    if (state.status !== 'dispatched' || state.worker !== from) return []; // G2
    if (attempt === state.attempt + 1) return [next];
    return from !== worker && attempt === state.attempt && messageId === state.messageId ? [next] : [];
  };

/** The call's message went to the mailbox. */
export const queue =
  (about: About, { messageId, worker }: { readonly messageId: MessageId; readonly worker: string }): Decision =>
  (state) =>
    holds(state, worker) ? [{ type: 'delegation.queued', data: { ...about, messageId } }] : [];

/** The call was answered, or will not be. */
export const settle =
  (about: About, ending: Ending, { worker, via }: { readonly worker: string; readonly via: 'direct' | 'recovery' }): Decision =>
  (state) =>
    holds(state, worker) ? [ended(about, ending, via)] : [];

/** G4: what became of its message in the mailbox. */
export const stitch =
  (about: About, ending: Ending): Decision =>
  (state) => {
    const open = state.status === 'dispatched' || state.status === 'queued' || (state.status === 'sent' && state.by === 'agent');
    return open ? [ended(about, ending, 'queue_drain')] : [];
  };

/** What the delegating agent says itself, also of one that nobody heard of before. */
export const tell =
  (about: About, ending: Ending): Decision =>
  (state) =>
    state.status === 'ended' ? [] : [ended(about, ending, 'agent')];

/** Nobody will ever carry it out. */
export const abandon =
  (about: About, error: string): Decision =>
  (state) =>
    state.status === 'sent' && state.by === 'platform' ? [ended(about, { outcome: 'failed', error }, 'recovery')] : [];

const holds = (state: Delegation, worker: string): boolean => state.status === 'dispatched' && state.worker === worker; // G2

function ended(about: About, ending: Ending, via: 'direct' | 'queue_drain' | 'agent' | 'recovery'): DelegationFact {
  if (ending.outcome === 'failed') return { type: 'delegation.failed', data: { ...about, error: ending.error, via } };
  const { responsePreview } = ending;
  // A reply that was found again is the target's direct answer all the same.
  return { type: 'delegation.completed', data: { ...about, responsePreview, via: via === 'recovery' ? 'direct' : via } };
}
