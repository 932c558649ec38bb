/** The structure-event log (spec 1 §6.1): one row for each event of the wire that a fact shows as, and how it is read. */
import {
  type AnyRecordedFact,
  type CanvasEvent,
  canvasEvents,
  type Json,
  type NoticeFact,
  type WorkspaceFact,
} from '@molecule/contracts';
import type { Projection } from '@molecule/event-store';
import type { Insertable, Kysely } from 'kysely';
import type { Tables } from '../../database.ts';

export const structureEvents: Projection<Tables, WorkspaceFact | NoticeFact> = {
  name: 'registry.structure-events.v1',
  tables: ['structure_events'],
  apply: async (db, fact) => {
    const rows = eventRows(fact);
    return rows.length === 0 ? undefined : db.insertInto('structure_events').values(rows).execute();
  },
};

/** A fact shows as one event or none, so the fact's id is the event's. */
const eventRows = (fact: AnyRecordedFact): Insertable<Tables['structure_events']>[] =>
  canvasEvents(fact)
    .slice(0, 1)
    .map((event: CanvasEvent) => ({
      event_id: fact.id,
      event_type: event.event,
      workspace_id: event.workspace_id,
      payload: JSON.stringify(event.payload),
      version: fact.version,
      created_at: fact.recordedAt,
    }));

/** Keeps the events that other services' facts show as. Hearing a fact twice keeps it once. */
export async function keepForeignEvents(db: Kysely<Tables>, facts: readonly AnyRecordedFact[]): Promise<void> {
  const rows = facts.flatMap(eventRows);
  if (rows.length === 0) return;
  await db
    .insertInto('foreign_events')
    .values(rows)
    .onConflict((conflict) => conflict.doNothing())
    .execute();
}

export interface StructureEvent {
  readonly id: string;
  readonly event_type: string;
  readonly workspace_id: string | null;
  readonly payload: Json;
  readonly created_at: string;
}

const NEWEST = 100;

/** The newest events of the platform, or of one workspace: 100 at most, newest first. */
export async function listEvents(db: Kysely<Tables>, workspaceId?: string): Promise<StructureEvent[]> {
  const newestOf = (table: 'structure_events' | 'foreign_events') => {
    const query = db.selectFrom(table).selectAll();
    const wanted = workspaceId === undefined ? query : query.where('workspace_id', '=', workspaceId);
    return wanted.orderBy('created_at', 'desc').orderBy('version', 'desc').orderBy('event_id').limit(NEWEST);
  };
  const rows = await db
    .selectFrom(newestOf('structure_events').as('own'))
    .selectAll()
    .unionAll(db.selectFrom(newestOf('foreign_events').as('others')).selectAll())
    .orderBy('created_at', 'desc')
    .orderBy('version', 'desc')
    .orderBy('event_id')
    .limit(NEWEST)
    .execute();
  return rows.map((row) => ({
    id: row.event_id,
    event_type: row.event_type,
    workspace_id: row.workspace_id,
    payload: row.payload,
    created_at: row.created_at.toISOString(),
  }));
}
