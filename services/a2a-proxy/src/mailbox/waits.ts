/** How long messages waited in their mailboxes, and how often they were tried: for the metrics, and for traces. */
import { type Basics, exposeCounters, Histogram, recordSpan } from '@molecule/service';
import type { Attempt } from '../message/decisions.ts';
import type { WaitingMessage } from '../message/projections/mailbox.ts';

/** From what comes at once to what waits for a day. */
const SECONDS = [0.01, 0.05, 0.25, 1, 5, 30, 60, 300, 1_800, 7_200, 86_400];

export interface Tried {
  readonly message: Pick<WaitingMessage, 'messageId' | 'workspaceId' | 'enqueuedAt' | 'traceparent'>;
  /** By the database's clock, like `enqueuedAt`. */
  readonly dispatchedAt: Date;
  readonly attempt: number;
  readonly outcome: Attempt['outcome'];
}

/** Returns what is to be told of each attempt that has ended. */
export function observeWaits(metrics: Basics['metrics']): (tried: Tried) => void {
  const attempts: Record<Attempt['outcome'], number> = { delivered: 0, busy: 0, error: 0, removed: 0, interrupted: 0 };
  exposeCounters(metrics, {
    name: 'a2a_mailbox_attempts_total',
    help: 'Attempts to deliver from mailboxes since the start, by how they went.',
    label: 'outcome',
    read: () => Object.entries(attempts),
  });
  const seconds = new Histogram({
    name: 'a2a_mailbox_wait_seconds',
    help: 'How long messages waited in their mailboxes before the attempt that was delivered.',
    buckets: SECONDS,
    registers: [metrics],
  });
  return ({ message, dispatchedAt, attempt, outcome }) => {
    attempts[outcome]++;
    if (outcome !== 'delivered') return;
    const { messageId, workspaceId, enqueuedAt, traceparent } = message;
    seconds.observe(Math.max(0, dispatchedAt.getTime() - enqueuedAt.getTime()) / 1_000);
    recordSpan({
      by: 'a2a-proxy',
      name: 'a2a.mailbox.wait',
      from: enqueuedAt,
      to: dispatchedAt,
      traceparent,
      attributes: { 'molecule.message_id': messageId, 'molecule.workspace_id': workspaceId, 'molecule.attempts': attempt },
    });
  };
}
