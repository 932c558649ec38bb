/** Schedules as they are listed, claimed and recovered: which facts change a row, and how rows are asked for. */
import type { RecordedScheduleFact, ScheduleFact, ScheduleId, WorkspaceId } from '@molecule/contracts';
import type { Projection } from '@molecule/event-store';
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../../database.ts';

export const scheduleList: Projection<Tables, ScheduleFact> = {
  name: 'scheduler.schedule-list.v1',
  tables: ['schedule_list'],
  apply: (db, fact: RecordedScheduleFact) => {
    const change = (row: Partial<Omit<Tables['schedule_list'], 'schedule_id'>>) =>
      db
        .updateTable('schedule_list')
        .set({ ...row, updated_at: new Date(fact.recordedAt) })
        .where('schedule_id', '=', fact.data.scheduleId)
        .execute();
    const free = { worker: null, due_at: null, message_id: null };

    switch (fact.type) {
      case 'schedule.created': {
        const { scheduleId, workspaceId, name, cronExpr, timezone, enabled, source, nextRunAt } = fact.data;
        const at = new Date(fact.recordedAt);
        return db
          .insertInto('schedule_list')
          .values({
            schedule_id: scheduleId,
            workspace_id: workspaceId,
            name,
            cron_expr: cronExpr,
            timezone,
            enabled,
            source,
            next_run_at: new Date(nextRunAt),
            last_run_at: null,
            run_count: 0,
            last_status: '',
            last_error: '',
            empty_runs: 0,
            ...free,
            created_at: at,
            updated_at: at,
          })
          .execute();
      }
      case 'schedule.disabled':
        return change({ enabled: false });
      case 'schedule.deleted':
        return db.deleteFrom('schedule_list').where('schedule_id', '=', fact.data.scheduleId).execute();
      case 'schedule.triggered':
        return change({ next_run_at: new Date(fact.data.nextRunAt) });
      case 'schedule.due':
        return change({
          worker: fact.data.worker,
          due_at: new Date(fact.data.dueAt),
          message_id: fact.data.messageId,
          next_run_at: new Date(fact.data.nextRunAt),
        });
      case 'schedule.fired': {
        const { status, error, empty, ranAt, nextRunAt } = fact.data;
        return db
          .updateTable('schedule_list')
          .set((row) => ({
            ...free,
            last_run_at: new Date(ranAt),
            next_run_at: new Date(nextRunAt),
            run_count: row('run_count', '+', 1),
            last_status: status,
            last_error: error,
            empty_runs: status === 'error' ? row.ref('empty_runs') : empty ? row('empty_runs', '+', 1) : 0,
            updated_at: new Date(fact.recordedAt),
          }))
          .where('schedule_id', '=', fact.data.scheduleId)
          .execute();
      }
      case 'schedule.skipped': {
        const { reason, activeTasks, ranAt, nextRunAt } = fact.data;
        // A native scheduler's skip only advances (spec 2 §6.4), as a disabled one does; a busy one counts as a run (§6.6).
        if (reason !== 'busy') return change({ ...free, next_run_at: new Date(nextRunAt) });
        return db
          .updateTable('schedule_list')
          .set((row) => ({
            ...free,
            last_run_at: new Date(ranAt),
            next_run_at: new Date(nextRunAt),
            run_count: row('run_count', '+', 1),
            last_status: 'skipped',
            last_error: `skipped: workspace busy (active_tasks=${activeTasks})`,
            updated_at: new Date(fact.recordedAt),
          }))
          .where('schedule_id', '=', fact.data.scheduleId)
          .execute();
      }
    }
  },
};

/** An element of `GET /workspaces/:id/schedules` (spec 2 §6.3). */
export async function schedulesOf(db: Kysely<Tables>, workspaceId: WorkspaceId) {
  const rows = await db
    .selectFrom('schedule_list')
    .leftJoin('schedule_prompts', 'schedule_prompts.schedule_id', 'schedule_list.schedule_id')
    .selectAll('schedule_list')
    .select('schedule_prompts.prompt')
    .where('workspace_id', '=', workspaceId)
    .orderBy('created_at')
    .orderBy('schedule_list.schedule_id')
    .execute();
  return rows.map((row) => ({
    id: row.schedule_id,
    workspace_id: row.workspace_id,
    name: row.name,
    cron_expr: row.cron_expr,
    timezone: row.timezone,
    prompt: row.prompt ?? '',
    enabled: row.enabled,
    last_run_at: row.last_run_at,
    next_run_at: row.next_run_at,
    run_count: row.run_count,
    last_status: row.last_status,
    last_error: row.last_error,
    source: row.source,
    created_at: row.created_at,
    updated_at: row.updated_at,
  }));
}

export interface DueSchedule {
  readonly scheduleId: ScheduleId;
  readonly workspaceId: WorkspaceId;
  readonly name: string;
  readonly cronExpr: string;
  readonly timezone: string;
  readonly dueAt: Date;
  readonly prompt: string;
  /** Set on an occurrence that another worker holds. */
  readonly worker: string | null;
  readonly messageId: string | null;
}

const occurrences = (db: Kysely<Tables>) =>
  db
    .selectFrom('schedule_list')
    .innerJoin('schedule_prompts', 'schedule_prompts.schedule_id', 'schedule_list.schedule_id')
    .select([
      sql<ScheduleId>`schedule_list.schedule_id`.as('scheduleId'),
      sql<WorkspaceId>`workspace_id`.as('workspaceId'),
      'name',
      'cron_expr as cronExpr',
      'timezone',
      sql<Date>`coalesce(due_at, next_run_at)`.as('dueAt'),
      'prompt',
      'worker',
      'message_id as messageId',
    ]);

/** What is due at `now` and held by nobody, the longest due first. */
export const dueSchedules = (db: Kysely<Tables>, now: Date, limit: number): Promise<DueSchedule[]> =>
  occurrences(db)
    .where('enabled', '=', true)
    .where('worker', 'is', null)
    .where('next_run_at', '<=', now)
    .orderBy('next_run_at')
    .limit(limit)
    .execute();

/** What is held by workers that are dead by the database's clock, or by `worker` itself, who knows what of it is under way. */
export const strandedOccurrences = (db: Kysely<Tables>, worker: string): Promise<DueSchedule[]> =>
  occurrences(db)
    .where('worker', 'is not', null)
    .where((row) =>
      row.not(
        row.exists(
          row
            .selectFrom('workers')
            .select('workers.worker')
            .whereRef('workers.worker', '=', 'schedule_list.worker')
            .where('workers.worker', '!=', worker)
            .where('alive_until', '>', sql<Date>`now()`),
        ),
      ),
    )
    .execute();

/** The schedules of these workspaces that could still fire. */
export const enabledSchedulesOf = async (db: Kysely<Tables>, workspaceIds: readonly WorkspaceId[]): Promise<ScheduleId[]> => {
  if (workspaceIds.length === 0) return [];
  const rows = await db
    .selectFrom('schedule_list')
    .select('schedule_id')
    .where('workspace_id', 'in', workspaceIds)
    .where('enabled', '=', true)
    .execute();
  return rows.map(({ schedule_id }) => schedule_id as ScheduleId);
};

/** The schedules that could still fire and whose name contains one of these texts, in any case. */
export const enabledSchedulesNamed = async (db: Kysely<Tables>, texts: readonly string[]): Promise<ScheduleId[]> => {
  const rows = await db
    .selectFrom('schedule_list')
    .select('schedule_id')
    .where('enabled', '=', true)
    .where((row) => row.or(texts.map((text) => sql<boolean>`strpos(lower(name), lower(${text})) > 0`)))
    .orderBy('schedule_id')
    .execute();
  return rows.map(({ schedule_id }) => schedule_id as ScheduleId);
};

/** Whether this schedule is one of this workspace's. */
export const belongsTo = async (db: Kysely<Tables>, scheduleId: string, workspaceId: string): Promise<boolean> =>
  (await db
    .selectFrom('schedule_list')
    .select('schedule_id')
    .where('schedule_id', '=', scheduleId)
    .where('workspace_id', '=', workspaceId)
    .executeTakeFirst()) !== undefined;
