/** Org tokens: which facts change a row, and how they are listed. A revoked one stays, with the time it died. */
import type { AccessFact } from '@molecule/contracts';
import type { Projection } from '@molecule/event-store';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Tables } from '../../database.ts';

export const orgTokens: Projection<Tables, AccessFact> = {
  name: 'registry.org-tokens.v1',
  tables: ['org_tokens'],
  apply: async (db, fact) => {
    switch (fact.type) {
      case 'access.token-issued': {
        const { tokenId, hash, prefix, name, orgId, createdBy, issuedAt } = fact.data;
        return db
          .insertInto('org_tokens')
          .values({
            token_id: tokenId,
            hash,
            prefix,
            name,
            org_id: orgId,
            created_by: createdBy,
            issued_at: issuedAt,
            version: fact.version,
            revoked_at: null,
          })
          .execute();
      }
      case 'access.token-revoked':
        return db
          .updateTable('org_tokens')
          .set({ revoked_at: fact.recordedAt })
          .where('token_id', '=', fact.data.tokenId)
          .execute();
      default:
        return undefined;
    }
  },
};

/** An org token as spec 1 §4.8 lists it: what is empty is left out. */
export const ListedOrgToken = z.object({
  id: z.string(),
  prefix: z.string(),
  name: z.string().optional(),
  org_id: z.string().optional(),
  created_by: z.string().optional(),
  created_at: z.string(),
  last_used_at: z.string().optional(),
});
export type ListedOrgToken = z.infer<typeof ListedOrgToken>;

const MAX_LISTED = 500;

/** Those that live, newest first. */
export async function listOrgTokens(db: Kysely<Tables>): Promise<ListedOrgToken[]> {
  const rows = await db
    .selectFrom('org_tokens')
    .leftJoin('token_uses', 'token_uses.token_id', 'org_tokens.token_id')
    .selectAll('org_tokens')
    .select('token_uses.last_used_at')
    .where('revoked_at', 'is', null)
    .orderBy('issued_at', 'desc')
    .orderBy('version', 'desc')
    .limit(MAX_LISTED)
    .execute();
  return rows.map(({ token_id, prefix, name, org_id, created_by, issued_at, last_used_at }) => ({
    id: token_id,
    prefix,
    ...(name !== '' && { name }),
    ...(org_id !== '' && { org_id }),
    ...(created_by !== '' && { created_by }),
    created_at: issued_at.toISOString(),
    ...(last_used_at !== null && { last_used_at: last_used_at.toISOString() }),
  }));
}
