/** Every workspace as a row: which facts change it. How rows are asked for stands in `../queries.ts`. */
import { type RecordedWorkspaceFact, type WorkspaceFact, WorkspaceId } from '@molecule/contracts';
import type { Projection } from '@molecule/event-store';
import type { Kysely, Updateable } from 'kysely';
import type { Tables } from '../../database.ts';

type Row = Updateable<Tables['workspaces']>;

export const workspaces: Projection<Tables, WorkspaceFact> = {
  name: 'registry.workspaces.v1',
  tables: ['workspaces'],
  apply: (db, fact) => {
    switch (fact.type) {
      case 'workspace.created':
        return insert(db, fact);
      case 'workspace.purged':
        return remove(db, fact);
      default:
        return update(db, fact);
    }
  },
};

/** What the row changes by: neither its first fact nor its last. */
type Change = Exclude<RecordedWorkspaceFact, { type: 'workspace.created' | 'workspace.purged' }>;

function insert(db: Kysely<Tables>, fact: Extract<RecordedWorkspaceFact, { type: 'workspace.created' }>) {
  const { data, recordedAt } = fact;
  return db
    .insertInto('workspaces')
    .values({
      workspace_id: WorkspaceId.parse(fact.workspaceId),
      version: fact.version,
      name: data.name,
      role: data.role,
      tier: data.tier,
      runtime: data.runtime,
      external: data.external,
      parent_id: data.parentId,
      status: data.status,
      status_since: recordedAt,
      status_error: null,
      status_error_at: null,
      url: data.url,
      internal_url: '',
      agent_card: null,
      registered_at: null,
      template: data.template,
      model: data.model,
      workspace_dir: data.workspaceDir,
      workspace_access: data.workspaceAccess,
      awareness_namespace: data.awarenessNamespace,
      max_concurrent_tasks: data.maxConcurrentTasks,
      budget_limit: data.budgetLimit,
      hibernation_idle_minutes: null,
      x: data.canvas.x,
      y: data.canvas.y,
      collapsed: false,
      created_at: recordedAt,
      updated_at: recordedAt,
    })
    .execute();
}

const update = (db: Kysely<Tables>, fact: Change) =>
  db
    .updateTable('workspaces')
    .set({ ...changes(fact), version: fact.version, updated_at: fact.recordedAt })
    .where('workspace_id', '=', WorkspaceId.parse(fact.workspaceId))
    .execute();

/** What a fact changes in the row, beside its version. A removed workspace keeps what it was, but for its place on the canvas. */
function changes(fact: Change): Row {
  switch (fact.type) {
    case 'workspace.changed': {
      const { name, role, tier, runtime, workspaceDir, collapsed, canvas } = fact.data;
      return {
        ...(name !== undefined && { name }),
        ...(role !== undefined && { role }),
        ...(tier !== undefined && { tier }),
        ...(runtime !== undefined && { runtime }),
        ...(workspaceDir !== undefined && { workspace_dir: workspaceDir }),
        ...(collapsed !== undefined && { collapsed }),
        ...(canvas !== undefined && { x: canvas.x, y: canvas.y }),
      };
    }
    case 'workspace.moved':
      return { parent_id: fact.data.parentId };
    case 'workspace.registered':
      return {
        status: 'online',
        status_since: fact.recordedAt,
        url: fact.data.url,
        internal_url: fact.data.internalUrl,
        agent_card: cardColumn(fact.data.agentCard),
        registered_at: fact.recordedAt,
      };
    case 'workspace.card':
      return { agent_card: cardColumn(fact.data.agentCard) };
    case 'workspace.located':
      return { url: fact.data.url };
    case 'workspace.status': {
      const { to, clearsUrl, sampleError } = fact.data;
      return {
        status: to,
        status_since: fact.recordedAt,
        ...(clearsUrl && { url: '', internal_url: '' }),
        ...(sampleError !== undefined && { status_error: sampleError, status_error_at: fact.recordedAt }),
      };
    }
    case 'workspace.removed':
      return fact.data.from === 'removed'
        ? {}
        : { status: 'removed', status_since: fact.recordedAt, x: 0, y: 0, collapsed: false };
    case 'workspace.budgeted':
      return { budget_limit: fact.data.budgetLimit };
    case 'workspace.idle-limited':
      return { hibernation_idle_minutes: fact.data.minutes };
    case 'workspace.expanded':
    case 'workspace.collapsed':
    case 'workspace.agent-assigned':
    case 'workspace.agent-replaced':
    case 'workspace.agent-removed':
    case 'workspace.agent-moved-out':
    case 'workspace.agent-moved-in':
    case 'token.issued':
    case 'token.revoked':
      return {};
  }
}

/** The row goes, and nobody's parent is one that is not there (§1.7 step 7): those that may still point here are removed ones. */
async function remove(db: Kysely<Tables>, { workspaceId }: RecordedWorkspaceFact): Promise<void> {
  const id = WorkspaceId.parse(workspaceId);
  await db.updateTable('workspaces').set({ parent_id: null }).where('parent_id', '=', id).execute();
  await db.deleteFrom('workspaces').where('workspace_id', '=', id).execute();
}

/** JSON `null` and "no card" are the same to every reader (§1.1). */
const cardColumn = (card: unknown): string | null => (card === null ? null : JSON.stringify(card));
