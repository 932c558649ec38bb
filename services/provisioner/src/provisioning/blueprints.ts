/** What a workload is made of, as the registry's facts tell it: kept here, because a start needs more of it than a directory holds. */
import type { RecordedWorkspaceFact, WorkspaceAccess, WorkspaceId } from '@molecule/contracts';
import type { Kysely } from 'kysely';
import type { Tables } from '../database.ts';

export interface Blueprint {
  readonly name: string;
  readonly role: string | null;
  readonly tier: number;
  readonly runtime: string;
  /** `''`: none. */
  readonly template: string;
  /** `''`: the default of the runtime. */
  readonly model: string;
  readonly workspaceDir: string | null;
  readonly workspaceAccess: WorkspaceAccess;
  readonly awarenessNamespace: string;
  /** Made by expanding its parent (spec 3 §5.9). */
  readonly ofTeam: boolean;
}

type Told = Extract<RecordedWorkspaceFact, { type: 'workspace.created' | 'workspace.changed' | 'workspace.removed' }>;

/** Repeats, and older facts that come again, change nothing. */
export async function hearBlueprint(db: Kysely<Tables>, fact: Told): Promise<void> {
  const { workspaceId: workspace_id, version } = fact;
  switch (fact.type) {
    case 'workspace.created': {
      const { name, role, tier, runtime, template, model, workspaceDir, workspaceAccess, awarenessNamespace, by } = fact.data;
      await db
        .insertInto('blueprints')
        .values({
          workspace_id,
          version,
          name,
          role,
          tier,
          runtime,
          template,
          model,
          workspace_dir: workspaceDir,
          workspace_access: workspaceAccess,
          awareness_namespace: awarenessNamespace,
          of_team: by === 'expand',
        })
        .onConflict((row) => row.column('workspace_id').doNothing())
        .execute();
      return;
    }
    case 'workspace.changed': {
      const { name, role, tier, runtime, workspaceDir } = fact.data;
      await db
        .updateTable('blueprints')
        .set({
          version,
          ...(name === undefined ? {} : { name }),
          ...(role === undefined ? {} : { role }),
          ...(tier === undefined ? {} : { tier }),
          ...(runtime === undefined ? {} : { runtime }),
          ...(workspaceDir === undefined ? {} : { workspace_dir: workspaceDir }),
        })
        .where('workspace_id', '=', workspace_id)
        .where('version', '<', version)
        .execute();
      return;
    }
    case 'workspace.removed':
      await db.deleteFrom('blueprints').where('workspace_id', '=', workspace_id).execute();
  }
}

export async function blueprintOf(db: Kysely<Tables>, workspaceId: WorkspaceId): Promise<Blueprint | undefined> {
  const row = await db.selectFrom('blueprints').selectAll().where('workspace_id', '=', workspaceId).executeTakeFirst();
  return (
    row && {
      name: row.name,
      role: row.role,
      tier: row.tier,
      runtime: row.runtime,
      template: row.template,
      model: row.model,
      workspaceDir: row.workspace_dir,
      workspaceAccess: row.workspace_access as WorkspaceAccess,
      awarenessNamespace: row.awareness_namespace,
      ofTeam: row.of_team,
    }
  );
}
