/** What lifecycle commands ask of the tree. Every walk ends on circles (spec 1 §9 #14), and takes the connection or a transaction first. */
import type { WorkspaceId } from '@molecule/contracts';
import type { Tx } from '@molecule/event-store';
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../database.ts';

type Db = Kysely<Tables>;

/**
 * Who changes the tree, or writes to more than one workspace, holds it until its transaction ends: many may at once, and nobody while
 * one takes a subtree along. So nothing comes to lie below what is just being removed or paused; and as no rows need to be locked for
 * that, everybody writes a stream before its row, and no two ever wait for each other.
 */
const TREE = "hashtextextended('registry.tree', 0)";

/** For those that take along what lies below: one at a time. */
export const holdTree = (tx: Tx<Tables>) => tx.query(`select pg_advisory_xact_lock(${TREE})`);

/** For those that write to workspaces of their own choice, in the order of ids: none of them is taken along meanwhile. */
export const shareTree = (tx: Tx<Tables>) => tx.query(`select pg_advisory_xact_lock_shared(${TREE})`);

/** For those that put something below a parent. Answers whether there is such a parent that is not removed; it stays so. */
export async function holdParent(tx: Tx<Tables>, parentId: WorkspaceId): Promise<boolean> {
  await shareTree(tx);
  const { rowCount } = await tx.query("select from workspaces where workspace_id = $1 and status <> 'removed'", [parentId]);
  return rowCount !== 0;
}

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
