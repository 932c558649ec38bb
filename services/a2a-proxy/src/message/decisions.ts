/**
 * What may become of a message.
 *
 *   M1. A message is claimed by one worker at a time; who settles must be who holds it, in the attempt it was taken in.
 *   M2. What a dead worker held is open again, or ended as interrupted if a sender waited for it. Its own late word changes nothing.
 *   M3. A message that finds the agent busy again waits as before, and the attempt does not count.
 *   M4. After MAX_ATTEMPTS counted attempts it has failed.
 */
import type { A2aFact, Lineage, MessageId, MessageSource, WorkspaceId } from '@molecule/contracts';
import type { Message } from './message.ts';

export type Decision = (state: Message) => readonly A2aFact[];

export const MAX_ATTEMPTS = 5;
/** What comes first among those that wait (spec 2 §2.1). Whoever asks for nothing else sends a task. */
export const PRIORITIES = { critical: 100, task: 50, info: 10 } as const;
export type Priority = (typeof PRIORITIES)[keyof typeof PRIORITIES];

/** What a call is recorded as whose process died before it could say more. */
export const INTERRUPTED = 'interrupted';

/** Who sent what to whom: what most facts of a message repeat. */
export interface Envelope {
  readonly messageId: MessageId;
  readonly workspaceId: WorkspaceId;
  readonly callerId: WorkspaceId | null;
  readonly source: MessageSource;
  readonly method: string;
  /** Of calls of agents to agents. */
  readonly lineage?: Lineage | undefined;
}

/** A direct call begins that must not begin twice. */
export const begin =
  (envelope: Envelope, worker: string): Decision =>
  (state) =>
    state.status === 'absent' ? [{ type: 'a2a.dispatched', data: { ...envelope, attempt: 1, via: 'direct', worker } }] : [];

export interface Enqueued {
  readonly idempotencyKey: string | null;
  readonly sequence: bigint;
  readonly worker: string;
  readonly priority?: Priority;
  /** Not dispatched after this; `null`: it waits for ever. */
  readonly expiresAt?: Date | null;
}

/** A direct call that found its agent busy goes to the mailbox; `sequence` is its place among the arrivals. */
export const enqueue =
  (envelope: Envelope, { idempotencyKey, sequence, worker, priority = PRIORITIES.task, expiresAt = null }: Enqueued): Decision =>
  (state) => {
    const mine = state.status === 'absent' || (state.status === 'open' && state.worker === worker);
    if (!mine) return [];
    const enqueuedAt = sequence.toString().padStart(19, '0');
    const expiry = expiresAt === null ? {} : { expiresAt: expiresAt.toISOString() };
    return [{ type: 'a2a.queued', data: { ...envelope, priority, idempotencyKey, enqueuedAt, ...expiry } }];
  };

export const claim =
  (envelope: Envelope, worker: string): Decision =>
  (state) =>
    state.status === 'waiting'
      ? [{ type: 'a2a.dispatched', data: { ...envelope, attempt: state.attempts + 1, via: 'drain', worker } }]
      : [];

/** How an attempt from the mailbox went. `removed`: its workspace is gone, so there is nothing to wait for. */
export type Attempt =
  | { readonly outcome: 'delivered'; readonly httpStatus: number }
  | { readonly outcome: 'busy' }
  | { readonly outcome: 'error'; readonly error: string }
  | { readonly outcome: 'removed' }
  /** The platform stopped in the middle. */
  | { readonly outcome: 'interrupted' };

export const settle =
  (
    { messageId, workspaceId }: Pick<Envelope, 'messageId' | 'workspaceId'>,
    { worker, attempt, result }: { worker: string; attempt: number; result: Attempt },
  ): Decision =>
  (state) => {
    if (state.status !== 'claimed' || state.worker !== worker || state.attempts !== attempt) return []; // M1
    const about = { messageId, workspaceId };
    switch (result.outcome) {
      case 'delivered':
        return [{ type: 'a2a.completed', data: { ...about, httpStatus: result.httpStatus, attempts: attempt } }];
      case 'busy':
        return [{ type: 'a2a.requeued', data: { ...about, reason: 'busy', error: null } }]; // M3
      case 'interrupted':
        return [{ type: 'a2a.requeued', data: { ...about, reason: 'worker-lost', error: null } }];
      case 'removed':
        return [{ type: 'a2a.dropped', data: { ...about, reason: 'workspace-removed' } }];
      case 'error':
        return attempt >= MAX_ATTEMPTS // M4
          ? [{ type: 'a2a.failed', data: { ...about, error: result.error, attempts: attempt } }]
          : [{ type: 'a2a.requeued', data: { ...about, reason: 'error', error: result.error } }];
    }
  };

/** M2: takes over from a worker that is dead by the database's clock. */
export const recover =
  (envelope: Envelope, deadWorker: string): Decision =>
  (state) => {
    const { messageId, workspaceId } = envelope;
    if (state.status === 'open' && state.worker === deadWorker)
      return [{ type: 'a2a.unreached', data: { ...envelope, httpStatus: 502, error: INTERRUPTED } }];
    if (state.status !== 'claimed' || state.worker !== deadWorker) return [];
    return state.attempts >= MAX_ATTEMPTS
      ? [{ type: 'a2a.failed', data: { messageId, workspaceId, error: INTERRUPTED, attempts: state.attempts } }]
      : [{ type: 'a2a.requeued', data: { messageId, workspaceId, reason: 'worker-lost', error: null } }];
  };

export type DropReason = Extract<A2aFact, { type: 'a2a.dropped' }>['data']['reason'];

export const drop =
  ({ messageId, workspaceId }: Pick<Envelope, 'messageId' | 'workspaceId'>, reason: DropReason): Decision =>
  (state) =>
    state.status === 'waiting' ? [{ type: 'a2a.dropped', data: { messageId, workspaceId, reason } }] : [];
