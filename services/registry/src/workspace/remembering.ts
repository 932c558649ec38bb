/**
 * What workspaces write down and find again, as other services ask it (spec 2 §7.10, §7.11).
 *
 *   R1. A secret is taken out before anything is stored (I10), and before the text is cut.
 *   R2. A command is kept once: the id of what it stored is made from it, so whoever asks again is told the same.
 *   R3. Nothing is stored for a workspace that is not there, not even by a command that races its removal.
 *   R4. An answer is as long as a message may be (D10): the rest of a list, and of a text longer than that, stays where it is.
 */
import type { WorkspaceId } from '@molecule/contracts';
import { derivedId, firstBytes } from '@molecule/service';
import { redact } from '@molecule/vault';
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../database.ts';
import { fitting } from './fitting.ts';
import { MAX_MEMORY_BYTES } from './memories.ts';

type Db = Kysely<Tables>;

export interface Remembering {
  readonly workspaceId: WorkspaceId;
  readonly scope: 'LOCAL' | 'TEAM';
  readonly content: string;
  readonly namespace: string;
  readonly commandId: string;
}

/** The id of what is remembered now (R2); `null`: there is no such workspace. */
export async function remember(
  db: Db,
  { workspaceId, scope, content, namespace, commandId }: Remembering,
): Promise<string | null> {
  const id = memoryIdOf(workspaceId, commandId);
  const kept = firstBytes(redact(content), MAX_MEMORY_BYTES); // R1
  // By the database's clock: its microseconds keep the order of what is told at once. R3: a removal under way ends first, for it writes the row that is shared here.
  const { rows } = await sql`
    with there as (
      select workspace_id from workspaces where workspace_id = ${workspaceId} and status <> 'removed' for share
    ), kept as (
      insert into memories (id, workspace_id, namespace, scope, content, created_at)
      select ${id}, workspace_id, ${namespace}, ${scope}, ${kept}, clock_timestamp() from there
      on conflict (id) do nothing
    )
    select from there
  `.execute(db);
  return rows.length > 0 ? id : null;
}

/** A UUID made from who remembers and by which command. */
export const memoryIdOf = (workspaceId: string, commandId: string): string => derivedId(`${workspaceId} ${commandId}`);

export interface Recollection {
  readonly id: string;
  readonly workspaceId: WorkspaceId;
  readonly content: string;
  readonly scope: string;
  readonly createdAt: string;
}

export interface Recalling {
  readonly workspaceId: WorkspaceId;
  readonly scope: 'LOCAL' | 'TEAM' | 'OWN' | 'ALL';
  readonly query: string;
  readonly limit: number;
}

/** The newest that contain the query, in any case. Of a workspace that is removed, nothing. Roots have no siblings: they are no team. */
export async function recall(db: Db, { workspaceId, scope, query, limit }: Recalling, maxBytes: number): Promise<Recollection[]> {
  const own = sql<boolean>`asked.workspace_id = mine.workspace_id`;
  const wanted = {
    LOCAL: sql<boolean>`${own} and scope = 'LOCAL'`,
    TEAM: sql<boolean>`(${own} or asked.parent_id = mine.parent_id) and scope = 'TEAM'`,
    OWN: sql<boolean>`${own} and scope in ('LOCAL', 'TEAM')`,
    ALL: own,
  }[scope];
  // A search through everything meets labels as well as texts (spec 2 §4.6).
  const byLabel = scope === 'ALL' ? sql<boolean>`strpos(lower(scope), lower(${query})) > 0` : sql<boolean>`false`;
  const { rows } = await sql<{ id: string; workspace_id: WorkspaceId; content: string; scope: string; created_at: Date }>`
    select id, memories.workspace_id, content, scope, memories.created_at
      from workspaces mine
      join workspaces asked on asked.status <> 'removed'
      join memories on memories.workspace_id = asked.workspace_id
     where mine.workspace_id = ${workspaceId} and mine.status <> 'removed' and ${wanted}
       and (strpos(lower(content), lower(${query})) > 0 or ${byLabel})
     order by memories.created_at desc, id
     limit ${limit}
  `.execute(db);
  const found = rows.map((row) => ({
    id: row.id,
    workspaceId: row.workspace_id,
    content: row.content,
    scope: row.scope,
    createdAt: row.created_at.toISOString(),
  }));
  return fitting(found, maxBytes).map((one) => shortened(one, maxBytes)); // R4
}

/** The whole of it, or as much of its text as fits: no character takes more than six bytes as JSON. */
const shortened = (one: Recollection, maxBytes: number): Recollection =>
  Buffer.byteLength(JSON.stringify(one)) <= maxBytes
    ? one
    : { ...one, content: firstBytes(one.content, Math.floor(maxBytes / 6) - 256) };

/** What a workspace is there for, in the order asked, as many as fit: who misses some asks for the rest. */
export async function rolesOf(
  db: Db,
  ids: readonly WorkspaceId[],
  maxBytes: number,
): Promise<{ workspaceId: WorkspaceId; role: string }[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom('workspaces')
    .select(['workspace_id', 'role'])
    .where('workspace_id', 'in', ids)
    .where('status', '<>', 'removed')
    .execute();
  const known = new Map(rows.map(({ workspace_id, role }) => [workspace_id, role ?? '']));
  const roles = ids.flatMap((workspaceId) => {
    const role = known.get(workspaceId);
    return role === undefined ? [] : [{ workspaceId, role }];
  });
  return fitting(roles, maxBytes);
}
