/** Which delegations there are, and how they stand. */
import type { DelegationFact, RecordedDelegationFact } from '@molecule/contracts';
import type { Projection } from '@molecule/event-store';
import type { Updateable } from 'kysely';
import type { Tables } from '../database.ts';

export const delegationTable: Projection<Tables, DelegationFact> = {
  name: 'a2a-proxy.delegations.v1',
  tables: ['delegations'],
  apply: async (db, fact: RecordedDelegationFact) => {
    const { trackingId, delegationId, workspaceId, targetId } = fact.data;
    const begin = (row: Pick<Tables['delegations'], 'carried_out_by' | 'status'>) =>
      db
        .insertInto('delegations')
        .values({
          tracking_id: trackingId,
          delegation_id: delegationId,
          workspace_id: workspaceId,
          target_id: targetId,
          message_id: null,
          attempt: 0,
          worker: null,
          sent_at: fact.recordedAt,
          changed_at: fact.recordedAt,
          ...row,
        })
        .onConflict((row) => row.column('tracking_id').doNothing())
        .execute();
    const change = (row: Updateable<Tables['delegations']>) =>
      db
        .updateTable('delegations')
        .set({ ...row, changed_at: fact.recordedAt })
        .where('tracking_id', '=', trackingId)
        .where('status', 'in', ['pending', 'dispatched', 'queued'])
        .execute();

    switch (fact.type) {
      case 'delegation.sent': {
        const { by } = fact.data;
        // What agents carry out themselves is on its way when they tell of it (spec 2 §3).
        await begin({ carried_out_by: by, status: by === 'agent' ? 'dispatched' : 'pending' });
        return;
      }
      case 'delegation.dispatched': {
        const { messageId, attempt, worker } = fact.data;
        await change({ status: 'dispatched', message_id: messageId, attempt, worker });
        return;
      }
      case 'delegation.queued':
        await change({ status: 'queued', message_id: fact.data.messageId, worker: null });
        return;
      case 'delegation.completed':
      case 'delegation.failed': {
        const status = fact.type === 'delegation.completed' ? 'completed' : 'failed';
        // An agent may tell of the end of one whose beginning nobody heard of.
        if (fact.data.via === 'agent') await begin({ carried_out_by: 'agent', status });
        await change({ status, worker: null });
        return;
      }
    }
  },
};
