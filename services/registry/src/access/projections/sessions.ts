/** Canvas sessions: which facts change a row, and how one is asked for. A closed one stays, with the time it ended. */
import { type AccessFact, isWorkspaceId } from '@molecule/contracts';
import type { Projection } from '@molecule/event-store';
import type { Kysely, Selectable } from 'kysely';
import type { Tables } from '../../database.ts';

export const sessions: Projection<Tables, AccessFact> = {
  name: 'registry.sessions.v1',
  tables: ['sessions'],
  apply: async (db, fact) => {
    switch (fact.type) {
      case 'access.session-opened': {
        const { sessionId, hash, by, openedAt, expiresAt } = fact.data;
        return db
          .insertInto('sessions')
          .values({
            session_id: sessionId,
            hash,
            opened_by: by.kind,
            admin_key: by.kind === 'admin' ? (by.key ?? null) : null,
            token_id: by.kind === 'org' ? by.tokenId : null,
            opened_at: openedAt,
            expires_at: expiresAt,
            closed_at: null,
          })
          .execute();
      }
      case 'access.session-closed':
        return db
          .updateTable('sessions')
          .set({ closed_at: fact.recordedAt })
          .where('session_id', '=', fact.data.sessionId)
          .execute();
      default:
        return undefined;
    }
  },
};

export type SessionRow = Selectable<Tables['sessions']>;

/** A session that nobody closed. Text that is no id finds nothing. */
export const findOpenSession = async (db: Kysely<Tables>, sessionId: string): Promise<SessionRow | undefined> =>
  isWorkspaceId(sessionId)
    ? db.selectFrom('sessions').selectAll().where('session_id', '=', sessionId).where('closed_at', 'is', null).executeTakeFirst()
    : undefined;
