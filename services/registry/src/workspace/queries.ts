/** How workspaces are asked for. A query takes the connection or a transaction first. */
import { type DirectoryEntry, isWorkspaceId, TokenId, WorkspaceId } from '@molecule/contracts';
import { type Kysely, type Selectable, sql } from 'kysely';
import type { Tables } from '../database.ts';
import type { Vitals } from './vitals.ts';

export type WorkspaceRow = Selectable<Tables['workspaces']>;
type Db = Kysely<Tables>;

const present = (db: Db) => db.selectFrom('workspaces').where('status', '<>', 'removed');

/** A row without what it holds: enough to know whether it has changed. */
export interface Head {
  readonly id: string;
  readonly version: string;
}

const HEAD_VERSION = sql<string>`workspaces.xmin || ':' || workspaces.version`;

/** The heads of these rows, oldest first: in one text, for ten thousand small rows cost the driver more than they hold. */
async function headsOf(db: Db, rows: ReturnType<typeof present>): Promise<Head[]> {
  const each = rows.select(['created_at', 'workspace_id', HEAD_VERSION.as('version')]).as('each');
  const { heads } = await db
    .selectFrom(each)
    .select(sql<string | null>`string_agg(workspace_id || version, ',' order by created_at, workspace_id)`.as('heads'))
    .executeTakeFirstOrThrow();
  return (heads?.split(',') ?? []).map((head) => ({ id: head.slice(0, UUID_LENGTH), version: head.slice(UUID_LENGTH) }));
}

const UUID_LENGTH = 36;

/** Of every workspace that is not removed, oldest first. */
export const headsOfAll = (db: Db): Promise<Head[]> => headsOf(db, present(db));

/** Of a statement's worth of rows at a time, so that reading ten thousand lets others have their turn. */
const ROWS_AT_ONCE = 2_000;

/** Those of these workspaces that are not removed, in any order, each with the version that its head would show. */
export async function* rowsOf(db: Db, ids: readonly string[]): AsyncGenerator<WorkspaceRow & { readonly head_version: string }> {
  for (let from = 0; from < ids.length; from += ROWS_AT_ONCE) {
    const some = ids.slice(from, from + ROWS_AT_ONCE);
    yield* await present(db)
      .selectAll('workspaces')
      .select(HEAD_VERSION.as('head_version'))
      .where(sql<boolean>`workspace_id = any (${some}::uuid[])`)
      .execute();
  }
}

/** One workspace, removed or not. Text that is no id finds nothing. */
export const findWorkspace = async (db: Db, id: string): Promise<WorkspaceRow | undefined> =>
  isWorkspaceId(id)
    ? db.selectFrom('workspaces').selectAll().where('workspace_id', '=', WorkspaceId.parse(id)).executeTakeFirst()
    : undefined;

export interface Named {
  readonly id: WorkspaceId;
  readonly name: string;
}

/** The direct children that are not removed, oldest first. */
export async function childrenOf(db: Db, id: WorkspaceId): Promise<Named[]> {
  return present(db)
    .select(['workspace_id as id', 'name'])
    .where('parent_id', '=', id)
    .where('workspace_id', '<>', id)
    .orderBy('created_at')
    .orderBy('workspace_id')
    .execute();
}

/** All descendants that are not removed, at any depth, also below removed ones; parents first. Ends on circles, without the root. */
export async function descendantsOf(db: Db, id: WorkspaceId): Promise<WorkspaceId[]> {
  const { rows } = await sql<{ workspace_id: WorkspaceId }>`
    with recursive below (workspace_id, path) as (
      select workspace_id, array[${id}::uuid, workspace_id] from workspaces where parent_id = ${id} and workspace_id <> ${id}
      union all
      select child.workspace_id, path || child.workspace_id from workspaces child join below on child.parent_id = below.workspace_id
       where child.workspace_id <> all (path)
    )
    select workspace_id from below join workspaces using (workspace_id)
     where status <> 'removed' group by workspace_id order by min(cardinality(path)), workspace_id
  `.execute(db);
  return rows.map((row) => row.workspace_id);
}

/** §5: an ancestor walk takes this many steps at most. */
const MAX_HOPS = 32;

/** Where a workspace stands in the tree: itself and its ancestors, nearest first. */
export async function lineageOf(db: Db, ids: readonly string[]): Promise<ReadonlyMap<string, { parentId: WorkspaceId | null }>> {
  const { rows } = await sql<{ workspace_id: WorkspaceId; parent_id: WorkspaceId | null }>`
    with recursive up (workspace_id, parent_id, hops) as (
      select workspace_id, parent_id, 0 from workspaces where workspace_id = any (${ids.filter(isWorkspaceId)}::uuid[])
      union
      select above.workspace_id, above.parent_id, hops + 1 from workspaces above join up on above.workspace_id = up.parent_id
       where hops < ${MAX_HOPS + 1}
    )
    select distinct workspace_id, parent_id from up
  `.execute(db);
  return new Map(rows.map((row) => [row.workspace_id, { parentId: row.parent_id }]));
}

/** Of those a workspace may turn to (§3.7): siblings (for a root, the other roots), then children, then the parent; no removed ones. */
export async function headsOfPeers(db: Db, { workspace_id: id, parent_id: parentId }: WorkspaceRow): Promise<Head[]> {
  const [beside, below, above] = await Promise.all([
    headsOf(db, present(db).where('parent_id', parentId === null ? 'is' : '=', parentId)),
    headsOf(db, present(db).where('parent_id', '=', id)),
    parentId === null ? [] : headsOf(db, present(db).where('workspace_id', '=', parentId)),
  ]);
  // In a circle somebody may be two of these.
  return [...new Map([...beside, ...below, ...above].map((head) => [head.id, head])).values()].filter((head) => head.id !== id);
}

/** How many tokens open this workspace's doors now. */
export async function countLiveTokens(db: Db, id: string): Promise<number> {
  if (!isWorkspaceId(id)) return 0;
  const { live } = await db
    .selectFrom('tokens')
    .select(({ fn }) => fn.countAll<string>().as('live'))
    .where('workspace_id', '=', id.toLowerCase())
    .where('revoked_at', 'is', null)
    .executeTakeFirstOrThrow();
  return Number(live);
}

export interface PrefixAnswer {
  readonly prefix: string;
  readonly state: 'absent' | 'removed' | 'live';
  readonly workspaceId: WorkspaceId | null;
}

/** For each `id12` an explicit answer (I8); a living workspace counts before a removed one of the same prefix. */
export async function rowsOfPrefixes(db: Db, prefixes: readonly string[]): Promise<PrefixAnswer[]> {
  const { rows } = await sql<{ prefix: string; workspace_id: WorkspaceId; removed: boolean }>`
    select left(workspace_id::text, 12) as prefix, workspace_id, status = 'removed' as removed from workspaces
     where left(workspace_id::text, 12) = any (${prefixes}::text[])
     order by removed desc
  `.execute(db);
  const known = new Map(rows.map((row) => [row.prefix, row]));
  return prefixes.map((prefix) => {
    const row = known.get(prefix);
    if (!row) return { prefix, state: 'absent', workspaceId: null };
    return { prefix, state: row.removed ? 'removed' : 'live', workspaceId: row.workspace_id };
  });
}

const withTokens = (db: Db) =>
  db
    .selectFrom('workspaces')
    .selectAll()
    .select(
      sql<{ tokenId: string; hash: string }[]>`coalesce((
        select jsonb_agg(jsonb_build_object('tokenId', token_id, 'hash', hash) order by issued_at, token_id)
          from tokens where tokens.workspace_id = workspaces.workspace_id and revoked_at is null), '[]')`.as('live_tokens'),
    );

type VitalsOf = (workspaceId: string) => Vitals | null;

/** Directory entries in the order of their ids, after `after`. */
export async function directoryPage(
  db: Db,
  vitalsOf: VitalsOf,
  { after, limit }: { readonly after: string | null; readonly limit: number },
): Promise<DirectoryEntry[]> {
  const query = withTokens(db).orderBy('workspace_id').limit(limit);
  const rows = await (after === null ? query : query.where('workspace_id', '>', WorkspaceId.parse(after))).execute();
  return rows.map((row) => directoryEntry(row, vitalsOf(row.workspace_id)));
}

export async function findDirectoryEntry(db: Db, vitalsOf: VitalsOf, id: WorkspaceId): Promise<DirectoryEntry | null> {
  const row = await withTokens(db).where('workspace_id', '=', id).executeTakeFirst();
  return row === undefined ? null : directoryEntry(row, vitalsOf(id));
}

const directoryEntry = (
  row: WorkspaceRow & { readonly live_tokens: readonly { tokenId: string; hash: string }[] },
  vitals: Vitals | null,
): DirectoryEntry => ({
  workspaceId: row.workspace_id,
  version: row.version,
  name: row.name,
  parentId: row.parent_id,
  status: row.status,
  statusSince: row.status_since.toISOString(),
  // Nobody dials what is removed.
  url: row.status === 'removed' ? '' : row.url,
  internalUrl: row.status === 'removed' ? '' : row.internal_url,
  runtime: row.runtime,
  tier: row.tier,
  external: row.external,
  located: row.status !== 'removed' && row.url !== '' && row.url === row.located_url,
  maxConcurrentTasks: row.max_concurrent_tasks,
  budgetLimit: row.budget_limit === null ? null : Number(row.budget_limit),
  tokens: row.live_tokens.map(({ tokenId, hash }) => ({ tokenId: TokenId.parse(tokenId), hash })),
  monthlySpend: vitals?.monthlySpend ?? 0,
  activeTasks: vitals?.activeTasks ?? 0,
  lastBeatAt: vitals?.lastBeatAt ?? null,
});
