/** What lifecycle commands ask of the tree. Every walk ends on circles (spec 1 §9 #14), and takes the connection or a transaction first. */
import type { WorkspaceId } from '@molecule/contracts';
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../database.ts';

type Db = Kysely<Tables>;

/** The name of the nearest paused ancestor, at any depth; `null`: none is. */
export async function pausedAncestorOf(db: Db, id: WorkspaceId): Promise<string | null> {
  const { rows } = await sql<{ name: string }>`
    with recursive above (workspace_id, parent_id, path) as (
      select workspace_id, parent_id, array[workspace_id] from workspaces where workspace_id = ${id}
      union all
      select parent.workspace_id, parent.parent_id, path || parent.workspace_id
        from workspaces parent join above on parent.workspace_id = above.parent_id
       where parent.workspace_id <> all (path)
    )
    select name from above join workspaces using (workspace_id)
     where status = 'paused' and workspace_id <> ${id} order by cardinality(path) limit 1
  `.execute(db);
  return rows[0]?.name ?? null;
}

/** Those below that a pause takes along: a paused or removed one hides what is below it (§1.8). Parents first. */
export const pausableBelow = (db: Db, id: WorkspaceId): Promise<WorkspaceId[]> =>
  reachedBelow(db, id, sql`child.status not in ('paused', 'removed')`);

/** Those below that a resume takes along: paused ones that are reached through paused ones alone (§1.8). Parents first. */
export const resumableBelow = (db: Db, id: WorkspaceId): Promise<WorkspaceId[]> =>
  reachedBelow(db, id, sql`child.status = 'paused'`);

async function reachedBelow(db: Db, id: WorkspaceId, passable: ReturnType<typeof sql>): Promise<WorkspaceId[]> {
  const { rows } = await sql<{ workspace_id: WorkspaceId }>`
    with recursive below (workspace_id, path) as (
      select ${id}::uuid, array[${id}::uuid]
      union all
      select child.workspace_id, path || child.workspace_id from workspaces child join below on child.parent_id = below.workspace_id
       where child.workspace_id <> all (path) and ${passable}
    )
    select workspace_id from below where workspace_id <> ${id} group by workspace_id order by min(cardinality(path)), workspace_id
  `.execute(db);
  return rows.map((row) => row.workspace_id);
}
