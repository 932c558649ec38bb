/** Tokens by workspace: which facts change a row. A revoked one stays, with the time it died, until its workspace is purged. */
import type { WorkspaceFact } from '@molecule/contracts';
import type { Projection } from '@molecule/event-store';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Tables } from '../../database.ts';

export const tokens: Projection<Tables, WorkspaceFact> = {
  name: 'registry.tokens.v1',
  tables: ['tokens'],
  apply: async (db, fact) => {
    switch (fact.type) {
      case 'token.issued': {
        const { tokenId, hash, prefix, by, issuedAt } = fact.data;
        const row = { token_id: tokenId, workspace_id: fact.workspaceId, hash, prefix, issued_by: by, issued_at: issuedAt };
        return db
          .insertInto('tokens')
          .values({ ...row, revoked_at: null })
          .execute();
      }
      case 'token.revoked':
        return db.updateTable('tokens').set({ revoked_at: fact.recordedAt }).where('token_id', '=', fact.data.tokenId).execute();
      case 'workspace.purged':
        return db.deleteFrom('tokens').where('workspace_id', '=', fact.workspaceId).execute();
      default:
        return undefined;
    }
  },
};

/** A token as spec 1 §4.7 lists it. */
export const ListedToken = z.object({
  id: z.string(),
  prefix: z.string(),
  created_at: z.string(),
  last_used_at: z.string().nullable(),
});
export type ListedToken = z.infer<typeof ListedToken>;

/** The live tokens of a workspace, newest first. */
export async function listTokens(
  db: Kysely<Tables>,
  workspaceId: string,
  { limit, offset }: { readonly limit: number; readonly offset: number },
): Promise<ListedToken[]> {
  const rows = await db
    .selectFrom('tokens')
    .leftJoin('token_uses', 'token_uses.token_id', 'tokens.token_id')
    .select(['tokens.token_id as id', 'prefix', 'issued_at', 'token_uses.last_used_at'])
    .where('workspace_id', '=', workspaceId)
    .where('revoked_at', 'is', null)
    .orderBy('issued_at', 'desc')
    .orderBy('tokens.token_id')
    .limit(limit)
    .offset(offset)
    .execute();
  return rows.map(({ id, prefix, issued_at, last_used_at }) => ({
    id,
    prefix,
    created_at: issued_at.toISOString(),
    last_used_at: last_used_at?.toISOString() ?? null,
  }));
}
