/** Who was given access, who lost it and who was refused: which facts say so, and how an operator reads them. No token material (I10). */
import { type AccessFact, type DenialFact, isWorkspaceId, Json, type WorkspaceFact } from '@molecule/contracts';
import type { Projection } from '@molecule/event-store';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Tables } from '../../database.ts';

export const accessLog: Projection<Tables, AccessFact | DenialFact | WorkspaceFact> = {
  name: 'registry.access-log.v1',
  tables: ['access_log'],
  apply: async (db, fact) => {
    const data = told(fact);
    if (data === null) return undefined;
    return db
      .insertInto('access_log')
      .values({
        fact_id: fact.id,
        type: fact.type,
        workspace_id: isWorkspaceId(fact.workspaceId) ? fact.workspaceId : null,
        data: JSON.stringify(data),
        version: fact.version,
        recorded_at: fact.recordedAt,
      })
      .execute();
  },
};

/** What a fact tells an operator; `null`: nothing about access. */
function told({ type, data }: AccessFact | DenialFact | WorkspaceFact): Record<string, unknown> | null {
  switch (type) {
    case 'token.issued':
      return { token_id: data.tokenId, prefix: data.prefix, by: data.by };
    case 'token.revoked':
      return { token_id: data.tokenId, by: data.by };
    case 'access.token-issued': {
      const { tokenId, prefix, name, orgId, createdBy } = data;
      return { token_id: tokenId, prefix, name, org_id: orgId, created_by: createdBy };
    }
    case 'access.token-revoked':
      return { token_id: data.tokenId };
    case 'access.session-opened': {
      const { sessionId, by, expiresAt } = data;
      const origin = by.kind === 'org' ? { by: 'org', token_id: by.tokenId } : { by: 'admin' };
      return { session_id: sessionId, ...origin, expires_at: expiresAt };
    }
    case 'access.session-closed':
      return { session_id: data.sessionId, reason: data.reason };
    case 'access.denied':
      return { ...data };
    default:
      return null;
  }
}

export const AccessLogEntry = z.object({
  id: z.string(),
  type: z.string(),
  at: z.string(),
  workspace_id: z.string().nullable(),
  data: Json,
});
export type AccessLogEntry = z.infer<typeof AccessLogEntry>;

const NEWEST = 100;

/** Newest first. */
export async function newestAccess(db: Kysely<Tables>): Promise<AccessLogEntry[]> {
  const rows = await db
    .selectFrom('access_log')
    .selectAll()
    .orderBy('recorded_at', 'desc')
    .orderBy('version', 'desc')
    .orderBy('fact_id')
    .limit(NEWEST)
    .execute();
  return rows.map(({ fact_id, type, recorded_at, workspace_id, data }) => ({
    id: fact_id,
    type,
    at: recorded_at.toISOString(),
    workspace_id,
    data,
  }));
}
