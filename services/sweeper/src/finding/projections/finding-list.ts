/** What was found and done, newest first, as an operator reads it. */
import type { RecordedSweepFact, SweepFact } from '@molecule/contracts';
import type { Projection } from '@molecule/event-store';
import type { Kysely } from 'kysely';
import type { Tables } from '../../database.ts';

export const findingList: Projection<Tables, SweepFact> = {
  name: 'sweeper.finding-list.v1',
  tables: ['finding_list'],
  apply: (db, fact: RecordedSweepFact) =>
    db
      .insertInto('finding_list')
      .values({
        fact_id: fact.id,
        kind: fact.type,
        about: 'workspaceId' in fact.data ? fact.data.workspaceId : fact.data.prefix,
        evidence: JSON.stringify(fact.data),
        found_at: new Date(fact.recordedAt),
      })
      .onConflict((row) => row.column('fact_id').doNothing())
      .execute(),
};

/** An element of `GET /admin/sweeps`. */
export interface FindingEntry {
  readonly id: string;
  readonly kind: SweepFact['type'];
  /** The workspace, or the prefix of the resource, that it is about. */
  readonly about: string;
  readonly evidence: unknown;
  readonly found_at: Date;
}

export const latestFindings = async (db: Kysely<Tables>, limit: number): Promise<FindingEntry[]> => {
  const rows = await db
    .selectFrom('finding_list')
    .selectAll()
    .orderBy('found_at', 'desc')
    .orderBy('fact_id')
    .limit(limit)
    .execute();
  return rows.map(({ fact_id, ...row }) => ({ id: fact_id, ...row, kind: row.kind as SweepFact['type'] }));
};
