/** Tokens by workspace: which facts change a row. A revoked one stays, with the time it died, until its workspace is purged. */
import type { WorkspaceFact } from '@molecule/contracts';
import type { Projection } from '@molecule/event-store';
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
