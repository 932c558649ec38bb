/** The schedules of a workspace over HTTP (spec 2 §6.3). */
import { isWorkspaceId, Refusal, ScheduleId, type WorkspaceId } from '@molecule/contracts';
import { auth, body, doc, json, serviceApp } from '@molecule/http';
import { z } from 'zod';
import type { Parts } from '../parts.ts';
import { type CronSchedule, InvalidCron, InvalidTimezone, parseCron } from './cron.ts';
import * as decisions from './decisions.ts';
import { belongsTo, schedulesOf } from './projections/schedule-list.ts';
import { schedule } from './schedule.ts';

const orAbsent = <Schema extends z.ZodType>(schema: Schema) => schema.nullish().transform((value) => value ?? undefined);

const NewSchedule = z.object({
  name: orAbsent(z.string()),
  cron_expr: z.string().min(1),
  timezone: orAbsent(z.string()),
  prompt: z.string().min(1),
  enabled: orAbsent(z.boolean()),
});

/** What is kept in every row and told in every fact stays small; only a prompt may be as long as the body. */
const MAX_NAME_BYTES = 255;
const MAX_CRON_LENGTH = 255;
const MAX_TIMEZONE_LENGTH = 100;

const missing = () => new Refusal('invalid', 'cron_expr and prompt are required');
const notFound = () => new Refusal('not-found', 'schedule not found');

const Schedule = z
  .object({
    id: ScheduleId,
    workspace_id: z.string(),
    name: z.string(),
    cron_expr: z.string(),
    timezone: z.string(),
    prompt: z.string(),
    enabled: z.boolean(),
    last_run_at: z.iso.datetime().nullable(),
    next_run_at: z.iso.datetime().nullable(),
    run_count: z.int(),
    last_status: z.string(),
    last_error: z.string(),
    source: z.enum(['runtime', 'template']),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'Schedule' });

const docs = {
  list: doc({
    summary: 'List the schedules of a workspace',
    source: 'spec 2 §6.3',
    answers: { 200: { description: 'The oldest first.', body: z.array(Schedule) } },
    refusals: [['failed', 'failed to query schedules']],
  }),
  create: doc({
    summary: 'Make a schedule',
    source: 'spec 2 §6.3',
    answers: {
      201: {
        description: 'Made; when it is due first.',
        body: z.object({ id: ScheduleId, status: z.literal('created'), next_run_at: z.iso.datetime() }),
      },
    },
    refusals: [
      ['invalid', 'cron_expr and prompt are required'],
      ['invalid', 'invalid request body'],
      ['invalid', 'invalid timezone: Mars/Olympus'],
      ['failed', 'failed to create schedule'],
    ],
  }),
  remove: doc({
    summary: 'Delete a schedule',
    source: 'spec 2 §6.3',
    answers: { 200: { description: 'Deleted.', body: z.object({ status: z.literal('deleted') }) } },
    refusals: [['not-found', 'schedule not found']],
  }),
} as const;

export const scheduleRoutes = ({ ledger, directory, clock, newId, log }: Parts) =>
  serviceApp(log)
    .get('/workspaces/:id/schedules', docs.list, auth.workspace, async (c) => {
      const workspaceId = c.req.param('id');
      if (!isWorkspaceId(workspaceId)) throw new Refusal('failed', 'failed to query schedules');
      return json(c, await schedulesOf(ledger.db, workspaceId));
    })

    .post('/workspaces/:id/schedules', docs.create, auth.workspace, body(NewSchedule, missing), async (c) => {
      const { name = '', cron_expr, timezone, prompt, enabled = true } = c.req.valid('json');
      const fits =
        Buffer.byteLength(name) <= MAX_NAME_BYTES &&
        cron_expr.length <= MAX_CRON_LENGTH &&
        (timezone ?? '').length <= MAX_TIMEZONE_LENGTH;
      if (!fits) throw new Refusal('invalid', 'invalid request body');
      const zone = timezone === undefined || timezone === '' ? 'UTC' : timezone;
      const now = clock.now();
      const nextRunAt = readCron(cron_expr, zone, now).next(now).toISOString();
      const workspaceId = await existing(directory, c.req.param('id'));
      const scheduleId = ScheduleId.parse(newId());
      const created = decisions.create({
        scheduleId,
        workspaceId,
        name,
        cronExpr: cron_expr,
        timezone: zone,
        enabled,
        source: 'runtime',
        nextRunAt,
      });
      try {
        await ledger.transact(schedule, { id: scheduleId, commandId: c.get('requestId') }, created, async (tx) => {
          // Carriage returns made agents answer empty (spec 2 §6.3).
          await tx.db
            .insertInto('schedule_prompts')
            .values({ schedule_id: scheduleId, prompt: prompt.replaceAll('\r', '') })
            .execute();
        });
      } catch (error) {
        if (isNameTaken(error)) throw new Refusal('failed', 'failed to create schedule', { cause: error });
        throw error;
      }
      return json(c, { id: scheduleId, status: 'created', next_run_at: nextRunAt }, 201);
    })

    .delete('/workspaces/:id/schedules/:scheduleId', docs.remove, auth.workspace, async (c) => {
      const { id, scheduleId } = c.req.param();
      if (!isWorkspaceId(id) || !ScheduleId.safeParse(scheduleId).success) throw notFound();
      // Matched on both: another workspace's schedule does not exist here (spec 2 §8 #8).
      if (!(await belongsTo(ledger.db, scheduleId, id))) throw notFound();
      await ledger.transact(schedule, { id: scheduleId, commandId: c.get('requestId') }, decisions.remove, async (tx) => {
        await tx.db.deleteFrom('schedule_prompts').where('schedule_id', '=', scheduleId).execute();
      });
      return json(c, { status: 'deleted' });
    });

/** A removed or unknown workspace has no schedules to come (spec 2 §6.3: 500 with this text). */
async function existing(directory: Parts['directory'], id: string): Promise<WorkspaceId> {
  const entry = isWorkspaceId(id) ? await directory.resolve(id) : undefined;
  if (entry === undefined || entry.status === 'removed') throw new Refusal('failed', 'failed to create schedule');
  return entry.workspaceId;
}

function readCron(expression: string, timezone: string, now: Date): CronSchedule {
  try {
    return parseCron(expression, timezone, now);
  } catch (error) {
    if (error instanceof InvalidTimezone) throw new Refusal('invalid', `invalid timezone: ${error.message}`);
    if (error instanceof InvalidCron) throw new Refusal('invalid', 'invalid request body');
    throw error;
  }
}

const UNIQUE_VIOLATION = '23505';
const isNameTaken = (error: unknown): boolean =>
  error instanceof Error &&
  'code' in error &&
  error.code === UNIQUE_VIOLATION &&
  'table' in error &&
  error.table === 'schedule_list';
