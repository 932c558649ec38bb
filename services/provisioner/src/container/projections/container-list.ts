/** What runs where: which facts change a row, and how rows are asked for. */
import { type ContainerFact, type RecordedContainerFact, WorkspaceId } from '@molecule/contracts';
import type { Projection } from '@molecule/event-store';
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../../database.ts';

export const containerList: Projection<Tables, ContainerFact> = {
  name: 'provisioner.container-list.v1',
  tables: ['containers'],
  apply: (db, fact: RecordedContainerFact) => {
    const { workspaceId: workspace_id } = fact.data;
    const since = new Date(fact.recordedAt);
    const change = (row: Partial<Tables['containers']>) =>
      db
        .updateTable('containers')
        .set({ ...row, since })
        .where('workspace_id', '=', workspace_id)
        .execute();

    switch (fact.type) {
      case 'container.starting': {
        const row = { run: fact.data.run, state: 'starting', backend: fact.data.backend, url: '', since } as const;
        return db
          .insertInto('containers')
          .values({ workspace_id, ...row })
          .onConflict((existing) => existing.column('workspace_id').doUpdateSet(row))
          .execute();
      }
      case 'container.started':
        return change({ state: 'running', url: fact.data.url });
      case 'container.exited':
        return change({ state: 'exited', url: '' });
      case 'container.stopped':
        return change({ state: 'stopped', url: '' });
      case 'provision.failed':
        return change({ state: 'failed', url: '' });
      default:
        return unreachable(fact);
    }
  },
};

const unreachable = (fact: never): never => {
  throw new TypeError(`unknown fact ${JSON.stringify(fact)}`);
};

/** The workspaces whose workload was last said to be in this state, and in which run. */
export async function workloadsIn(
  db: Kysely<Tables>,
  state: Tables['containers']['state'],
): Promise<{ workspaceId: WorkspaceId; run: number }[]> {
  const rows = await db
    .selectFrom('containers')
    .select(['workspace_id', 'run'])
    .where('state', '=', state)
    .orderBy('since')
    .execute();
  return rows.map(({ workspace_id, run }) => ({ workspaceId: WorkspaceId.parse(workspace_id), run }));
}

/** The one workspace whose id begins like this, if there is exactly one. */
export async function workspaceWithPrefix(db: Kysely<Tables>, prefix: string): Promise<WorkspaceId | undefined> {
  const rows = await db
    .selectFrom('containers')
    .select('workspace_id')
    .where(sql`left(workspace_id::text, length(${prefix}))`, '=', prefix)
    .limit(2)
    .execute();
  return rows.length === 1 ? WorkspaceId.parse(rows[0]?.workspace_id) : undefined;
}
