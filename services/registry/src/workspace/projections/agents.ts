/** Agents by workspace, with what became of each (spec 1 §1.9): which facts change a row. */
import type { WorkspaceFact } from '@molecule/contracts';
import type { Projection } from '@molecule/event-store';
import type { Kysely } from 'kysely';
import type { Tables } from '../../database.ts';

export const agents: Projection<Tables, WorkspaceFact> = {
  name: 'registry.agents.v1',
  tables: ['agents'],
  apply: async (db, fact) => {
    const { workspaceId, recordedAt } = fact;
    switch (fact.type) {
      case 'workspace.agent-assigned':
        return assign(db, { ...fact.data, workspaceId, recordedAt });
      case 'workspace.agent-replaced': {
        const { agentId, model, oldAgentId } = fact.data;
        await end(db, oldAgentId, { status: 'replaced', removed_at: recordedAt, removal_reason: 'model_replaced' });
        return assign(db, { agentId, model, workspaceId, recordedAt });
      }
      case 'workspace.agent-removed':
        return end(db, fact.data.agentId, { status: 'removed', removed_at: recordedAt, removal_reason: 'manual_removal' });
      case 'workspace.agent-moved-in':
        return db.updateTable('agents').set({ workspace_id: workspaceId }).where('id', '=', fact.data.agentId).execute();
      case 'workspace.purged':
        return db.deleteFrom('agents').where('workspace_id', '=', workspaceId).execute();
      default:
        return undefined;
    }
  },
};

interface Assignment {
  readonly agentId: string;
  readonly model: string;
  readonly workspaceId: string;
  readonly recordedAt: string;
}

const assign = (db: Kysely<Tables>, { agentId, model, workspaceId, recordedAt }: Assignment) =>
  db
    .insertInto('agents')
    .values({
      id: agentId,
      workspace_id: workspaceId,
      model,
      status: 'active',
      removed_at: null,
      removal_reason: null,
      created_at: recordedAt,
    })
    .execute();

const end = (
  db: Kysely<Tables>,
  agentId: string,
  row: { readonly status: 'replaced' | 'removed'; readonly removed_at: string; readonly removal_reason: string },
) => db.updateTable('agents').set(row).where('id', '=', agentId).execute();
