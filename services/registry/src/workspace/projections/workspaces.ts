/** Every workspace as a row: which facts change it. How rows are asked for stands in `../queries.ts`. */
import { type Json, type RecordedWorkspaceFact, type WorkspaceFact, WorkspaceId } from '@molecule/contracts';
import type { Projection } from '@molecule/event-store';
import type { Insertable, Kysely } from 'kysely';
import type { Tables } from '../../database.ts';

/** A row as facts make it, before a database has seen it. */
export type WorkspaceFields = Required<Omit<Insertable<Tables['workspaces']>, 'agent_card'>> & { readonly agent_card: Json };

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
export type Change = Exclude<RecordedWorkspaceFact, { type: 'workspace.created' | 'workspace.purged' }>;

type Creation = Extract<RecordedWorkspaceFact, { type: 'workspace.created' }>;

/** The row that a workspace begins with. */
export const firstFields = (fact: Creation): WorkspaceFields => {
  const { data, recordedAt } = fact;
  return {
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
    located_url: '',
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
  };
};

/** The row after a fact that changes it. */
export const fieldsAfter = (fields: WorkspaceFields, fact: Change): WorkspaceFields => ({
  ...fields,
  ...changes(fact),
  ...stamp(fact),
});

/** Every fact moves these two. */
const stamp = ({ version, recordedAt }: Change) => ({ version, updated_at: recordedAt });

const insert = (db: Kysely<Tables>, fact: Creation) =>
  db
    .insertInto('workspaces')
    .values(columns(firstFields(fact)))
    .execute();

const update = (db: Kysely<Tables>, fact: Change) =>
  db
    .updateTable('workspaces')
    .set(columns({ ...changes(fact), ...stamp(fact) }))
    .where('workspace_id', '=', WorkspaceId.parse(fact.workspaceId))
    .execute();

/** JSON `null` and "no card" are the same to every reader (§1.1). */
const columns = <Fields extends Partial<WorkspaceFields>>({ agent_card: card, ...fields }: Fields) => ({
  ...fields,
  ...(card !== undefined && { agent_card: card === null ? null : JSON.stringify(card) }),
});

/** What a fact changes in the row, beside its version. A removed workspace keeps what it was, but for its place on the canvas. */
function changes(fact: Change): Partial<WorkspaceFields> {
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
        agent_card: fact.data.agentCard,
        registered_at: fact.recordedAt,
      };
    case 'workspace.card':
      return { agent_card: fact.data.agentCard };
    case 'workspace.located':
      return { url: fact.data.url, located_url: fact.data.url };
    case 'workspace.status': {
      const { to, clearsUrl, sampleError } = fact.data;
      return {
        status: to,
        status_since: fact.recordedAt,
        ...(clearsUrl && { url: '', internal_url: '', located_url: '' }),
        ...(sampleError !== undefined && { status_error: sampleError, status_error_at: fact.recordedAt }),
      };
    }
    case 'workspace.removed':
      return fact.data.from === 'removed'
        ? {}
        : { status: 'removed', status_since: fact.recordedAt, located_url: '', x: 0, y: 0, collapsed: false };
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
