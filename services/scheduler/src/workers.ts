/**
 * Which scheduler processes are alive.
 *
 *   W1. A worker that has not renewed its lease within it is dead for everybody, by the database's clock.
 *   W2. What a dead worker held may be taken over; what it says afterwards is refused by the log's versions.
 */
import { type Kysely, sql } from 'kysely';
import type { Tables } from './database.ts';

export const LEASE_SECONDS = 15;
export const RENEW_EVERY_MS = 5_000;

export async function renewLease(db: Kysely<Tables>, worker: string): Promise<void> {
  const alive_until = sql<Date>`now() + make_interval(secs => ${LEASE_SECONDS})`;
  await db
    .insertInto('workers')
    .values({ worker, alive_until })
    .onConflict((row) => row.column('worker').doUpdateSet({ alive_until }))
    .execute();
  // Rows of processes that are long gone say nothing that their absence does not.
  await db.deleteFrom('workers').where('alive_until', '<', sql<Date>`now() - interval '1 day'`).execute();
}

/** At a clean stop: what is still held is free at once. */
export const giveUpLease = async (db: Kysely<Tables>, worker: string): Promise<void> => {
  await db.deleteFrom('workers').where('worker', '=', worker).execute();
};
