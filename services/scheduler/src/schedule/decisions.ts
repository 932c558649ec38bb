/**
 * What may become of a schedule (spec 2 §6.4–6.6). Each decision may be repeated: what is so already is answered with nothing.
 *
 *   I7. A due instant that was claimed ends exactly once: fired, skipped, or with the schedule itself, whose deletion ends it.
 */
import { Refusal, type ScheduleFact, type Timestamp } from '@molecule/contracts';
import { emptyRunsAfter, type Identity, type Schedule } from './schedule.ts';

export type Decision = (schedule: Schedule) => readonly ScheduleFact[];

export interface NewSchedule extends Identity {
  readonly cronExpr: string;
  readonly timezone: string;
  readonly enabled: boolean;
  readonly source: 'runtime' | 'template';
  readonly nextRunAt: Timestamp;
}

export const create =
  (data: NewSchedule): Decision =>
  (schedule) =>
    schedule.status === 'absent' ? [{ type: 'schedule.created', data }] : [];

/** An occurrence in progress ends with it: its worker finds nothing to hold any more, sends nothing, and has nothing to say. */
export const remove: Decision = (schedule) => {
  if (schedule.status === 'absent' || schedule.status === 'deleted') throw new Refusal('not-found', 'schedule not found');
  return [{ type: 'schedule.deleted', data: schedule.about }];
};

/** The workspace's rows are to go, and this one with them (spec 1 §1.7 step 7). */
export const purge: Decision = (schedule) => (isAlive(schedule) ? [{ type: 'schedule.deleted', data: schedule.about }] : []);

/** The workspace is gone: nothing fires for it any more. */
export const disableForRemoval: Decision = (schedule) =>
  isAlive(schedule) && schedule.enabled
    ? [{ type: 'schedule.disabled', data: { ...schedule.about, reason: 'workspace-removed' } }]
    : [];

/** It is due now, unless it was due before; after the run that is under way, if one is. */
export const trigger =
  ({ now }: { readonly now: Timestamp }): Decision =>
  (schedule) => {
    if (!isAlive(schedule) || !schedule.enabled) return [];
    const lastDueAt = schedule.status === 'running' ? schedule.occurrence.dueAt : schedule.lastDueAt;
    const at = lastDueAt !== null && lastDueAt >= now ? justAfter(lastDueAt) : now;
    const overdue = schedule.nextRunAt < at;
    const nextRunAt = overdue ? schedule.nextRunAt : at;
    return [{ type: 'schedule.triggered', data: { ...schedule.about, nextRunAt } }];
  };

/**
 * Takes on the occurrence that is due, for `worker`. Nothing when it is not due any more, or somebody has it.
 *
 *   I7. A due instant is claimed once: the claim moves `nextRunAt`, and two claims of one version cannot both be stored.
 */
export const claim =
  (taken: { now: Timestamp; nextRunAt: Timestamp; worker: string; messageId: string }): Decision =>
  (schedule) => {
    if (schedule.status !== 'waiting' || !schedule.enabled || schedule.nextRunAt > taken.now) return [];
    const { nextRunAt, worker, messageId } = taken;
    return [{ type: 'schedule.due', data: { ...schedule.about, dueAt: schedule.nextRunAt, nextRunAt, worker, messageId } }];
  };

/** Takes over an occurrence whose worker is dead, under the same message id: the proxy knows whether it was sent. */
export const takeOver =
  (from: string, worker: string): Decision =>
  (schedule) => {
    if (schedule.status !== 'running' || schedule.occurrence.worker !== from) return [];
    const { dueAt, messageId } = schedule.occurrence;
    return [{ type: 'schedule.due', data: { ...schedule.about, dueAt, nextRunAt: schedule.nextRunAt, worker, messageId } }];
  };

export interface Ending {
  readonly worker: string;
  readonly dueAt: Timestamp;
  readonly ranAt: Timestamp;
  readonly nextRunAt: Timestamp;
}

/** From the third empty answer in a row on, a run counts as stale. */
const STALE_AFTER = 3;

/** The run ended. Only the worker that holds the occurrence may say so: a late one is fenced off. */
export const fire =
  (ending: Ending & { readonly error: string; readonly empty: boolean }): Decision =>
  (schedule) => {
    if (!holds(schedule, ending)) return [];
    const { dueAt, ranAt, error, empty } = ending;
    const nextRunAt = schedule.triggeredAt ?? ending.nextRunAt;
    const failed = error !== '';
    const emptyRuns = emptyRunsAfter(schedule.emptyRuns, { status: failed ? 'error' : 'ok', empty });
    const stale = !failed && empty && emptyRuns >= STALE_AFTER;
    const lastError = stale ? `empty response ${emptyRuns} consecutive times — agent may be phantom-producing` : error;
    const status = failed ? 'error' : stale ? 'stale' : 'ok';
    return [{ type: 'schedule.fired', data: { ...schedule.about, dueAt, status, error: lastError, empty, ranAt, nextRunAt } }];
  };

/** The agent stayed busy for as long as we may wait (spec 2 §6.6). */
export const skipBusy =
  (ending: Ending & { readonly activeTasks: number }): Decision =>
  (schedule) => {
    if (!holds(schedule, ending)) return [];
    const { dueAt, ranAt, activeTasks } = ending;
    const nextRunAt = schedule.triggeredAt ?? ending.nextRunAt;
    return [{ type: 'schedule.skipped', data: { ...schedule.about, dueAt, reason: 'busy', activeTasks, ranAt, nextRunAt } }];
  };

/** It was disabled while it waited for room: nothing is sent any more, and nobody is told (it only advances). */
export const skipDisabled =
  (ending: Ending): Decision =>
  (schedule) => {
    if (!holds(schedule, ending)) return [];
    const { dueAt, ranAt, nextRunAt } = ending;
    return [
      { type: 'schedule.skipped', data: { ...schedule.about, dueAt, reason: 'disabled', activeTasks: 0, ranAt, nextRunAt } },
    ];
  };

/** The runtime fires its own schedules: this one only advances (spec 2 §6.4). */
export const leaveToRuntime =
  ({ now, nextRunAt }: { readonly now: Timestamp; readonly nextRunAt: Timestamp }): Decision =>
  (schedule) => {
    if (schedule.status !== 'waiting' || !schedule.enabled || schedule.nextRunAt > now) return [];
    const dueAt = schedule.nextRunAt;
    return [
      {
        type: 'schedule.skipped',
        data: { ...schedule.about, dueAt, reason: 'native-scheduler', activeTasks: 0, ranAt: now, nextRunAt },
      },
    ];
  };

const justAfter = (at: Timestamp): Timestamp => new Date(Date.parse(at) + 1).toISOString();

type Alive = Extract<Schedule, { status: 'waiting' | 'running' }>;
type Running = Extract<Schedule, { status: 'running' }>;

const isAlive = (schedule: Schedule): schedule is Alive => schedule.status === 'waiting' || schedule.status === 'running';

/** Whether this worker still holds this occurrence. */
export const holds = (schedule: Schedule, { worker, dueAt }: Pick<Ending, 'worker' | 'dueAt'>): schedule is Running =>
  schedule.status === 'running' && schedule.occurrence.worker === worker && schedule.occurrence.dueAt === dueAt;
