/** What a workspace's beats said last: kept in memory by every replica, written in batches by the one that leads (D6). */
import { type Beat, WorkspaceId } from '@molecule/contracts';
import type { Kysely } from 'kysely';
import { sql } from 'kysely';
import type { Tables } from '../database.ts';

export interface Vitals {
  /** When it was heard, in milliseconds since the epoch, by the registry's clock. */
  readonly lastBeatAt: number;
  readonly activeTasks: number;
  readonly errorRate: number;
  readonly sampleError: string;
  readonly uptimeSeconds: number;
  readonly currentTask: string;
  /** US cents. */
  readonly monthlySpend: number;
}

const MAX_INT4 = 2_147_483_647;
/** Longer texts are cut: they travel in facts and live messages, which stay small (D10). */
const MAX_TEXT = 4_096;

/** What PostgreSQL and the bus can carry of a text that an agent chose. */
export const storable = (text: string): string => text.slice(0, MAX_TEXT).toWellFormed().replaceAll('\0', '\uFFFD');

/** The vitals after a beat: a full overwrite, but for a spend of 0, which leaves the stored one (§3.3). */
export const vitalsOf = (beat: Beat, before: Vitals | null): Vitals => ({
  lastBeatAt: beat.receivedAt,
  activeTasks: Math.min(Math.max(beat.activeTasks, -MAX_INT4), MAX_INT4),
  errorRate: beat.errorRate,
  sampleError: storable(beat.sampleError),
  uptimeSeconds: beat.uptimeSeconds,
  currentTask: storable(beat.currentTask),
  monthlySpend: beat.monthlySpend > 0 ? beat.monthlySpend : (before?.monthlySpend ?? 0),
});

interface Beaten {
  readonly id: WorkspaceId;
  readonly vitals: Vitals | null;
}

/** One statement's worth. */
const BATCH = 1_000;

/** Stores vitals, one statement per thousand. What was stored of a later beat stays: a leader may learn late that it is none. */
export async function saveVitals(db: Kysely<Tables>, members: Iterable<Beaten>): Promise<void> {
  const entries = [...members].flatMap(({ id, vitals }) => (vitals === null ? [] : [{ id, vitals }]));
  for (let start = 0; start < entries.length; start += BATCH) {
    const rows = entries.slice(start, start + BATCH).map(({ id, vitals }) => ({
      workspace_id: id,
      last_beat_at: new Date(vitals.lastBeatAt).toISOString(),
      active_tasks: vitals.activeTasks,
      error_rate: vitals.errorRate,
      sample_error: vitals.sampleError,
      uptime_seconds: vitals.uptimeSeconds,
      current_task: vitals.currentTask,
      monthly_spend: vitals.monthlySpend,
    }));
    await sql`
      insert into workspace_vitals
      select * from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb) as beaten (
        workspace_id uuid, last_beat_at timestamptz, active_tasks integer, error_rate double precision, sample_error text,
        uptime_seconds bigint, current_task text, monthly_spend bigint)
      on conflict (workspace_id) do update set
        last_beat_at = excluded.last_beat_at, active_tasks = excluded.active_tasks, error_rate = excluded.error_rate,
        sample_error = excluded.sample_error, uptime_seconds = excluded.uptime_seconds, current_task = excluded.current_task,
        monthly_spend = excluded.monthly_spend
      where excluded.last_beat_at >= workspace_vitals.last_beat_at
    `.execute(db);
  }
}

/** A page of what was stored, by workspace id; `null` after the last. */
export async function readVitals(
  db: Kysely<Tables>,
  { after, limit }: { readonly after: WorkspaceId | null; readonly limit: number },
): Promise<readonly (readonly [WorkspaceId, Vitals])[]> {
  const query = db.selectFrom('workspace_vitals').selectAll().orderBy('workspace_id').limit(limit);
  const rows = await (after === null ? query : query.where('workspace_id', '>', after)).execute();
  return rows.map((row) => [
    WorkspaceId.parse(row.workspace_id),
    {
      lastBeatAt: row.last_beat_at.getTime(),
      activeTasks: row.active_tasks,
      errorRate: row.error_rate,
      sampleError: row.sample_error,
      uptimeSeconds: Number(row.uptime_seconds),
      currentTask: row.current_task,
      monthlySpend: Number(row.monthly_spend),
    },
  ]);
}
