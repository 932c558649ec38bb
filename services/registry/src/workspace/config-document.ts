/** What a workspace's page was configured with (spec 1 §1.10): one document a workspace, merged by its top-level keys. */
import type { Json, WorkspaceId } from '@molecule/contracts';
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../database.ts';

type Db = Kysely<Tables>;
type Document = Readonly<Record<string, Json>>;

export async function readConfig(db: Db, id: WorkspaceId): Promise<Json> {
  const row = await db.selectFrom('workspace_config').select('document').where('workspace_id', '=', id).executeTakeFirst();
  return row?.document ?? {};
}

/** Sets it whole; also within the transaction that creates the workspace. */
export async function storeConfig(db: Db, id: WorkspaceId, document: Document): Promise<void> {
  const row = { workspace_id: id, document: JSON.stringify(document) };
  await db
    .insertInto('workspace_config')
    .values(row)
    .onConflict((conflict) => conflict.column('workspace_id').doUpdateSet({ document: row.document }))
    .execute();
}

/**
 * Lays the keys of `given` over what is there, in one statement: of patches that come together none is lost. What has no keys changes
 * nothing. Answers `false` where there is no such workspace; its row is held, so that a purge leaves no document behind.
 */
export async function mergeConfig(db: Db, id: WorkspaceId, given: unknown): Promise<boolean> {
  const { numAffectedRows } = await sql`
    insert into workspace_config (workspace_id, document)
    select workspace_id, ${JSON.stringify(isDocument(given) ? given : {})}::jsonb
      from workspaces where workspace_id = ${id} for key share
    on conflict (workspace_id) do update set document = workspace_config.document || excluded.document
  `.execute(db);
  return numAffectedRows === 1n;
}

const isDocument = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);
