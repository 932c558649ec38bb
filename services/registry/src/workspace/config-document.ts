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

/** What a document may come to by being merged: an agent that adds keys for ever fills no disk. As the database writes it. */
export const MAX_DOCUMENT_BYTES = 1024 * 1024;

/** `absent`: there is no such workspace. `too-large`: the document would be; it stays as it was. */
export type Merged = 'merged' | 'absent' | 'too-large';

/**
 * Lays the keys of `given` over what is there, in one statement: of patches that come together none is lost. What has no keys changes
 * nothing. The workspace's row is held, so that a purge leaves no document behind.
 */
export async function mergeConfig(db: Db, id: WorkspaceId, given: unknown): Promise<Merged> {
  const { numAffectedRows } = await sql`
    insert into workspace_config (workspace_id, document)
    select workspace_id, ${JSON.stringify(isDocument(given) ? given : {})}::jsonb
      from workspaces where workspace_id = ${id} for key share
    on conflict (workspace_id) do update set document = workspace_config.document || excluded.document
     where octet_length((workspace_config.document || excluded.document)::text) <= ${MAX_DOCUMENT_BYTES}::int
  `.execute(db);
  if (numAffectedRows === 1n) return 'merged';
  const row = await db.selectFrom('workspaces').select('workspace_id').where('workspace_id', '=', id).executeTakeFirst();
  return row === undefined ? 'absent' : 'too-large';
}

const isDocument = (value: unknown): value is object => typeof value === 'object' && value !== null && !Array.isArray(value);
