/** A schedule as its decisions need to see it (spec 2 §6). */
import {
  type RecordedScheduleFact,
  type ScheduleFact,
  type ScheduleId,
  scheduleFacts,
  type Timestamp,
  type WorkspaceId,
} from '@molecule/contracts';
import type { Aggregate, Fold } from '@molecule/event-store';
import type { Tables } from '../database.ts';
import { scheduleList } from './projections/schedule-list.ts';

export interface Identity {
  readonly scheduleId: ScheduleId;
  readonly workspaceId: WorkspaceId;
  readonly name: string;
}

/** One due instant that a worker has taken on and that has not ended yet. A deleted schedule has none: the deletion ended it (I7). */
export interface Occurrence {
  readonly dueAt: Timestamp;
  /** The name under which the message is sent, whoever sends it, however often: the proxy dispatches it once. */
  readonly messageId: string;
  readonly worker: string;
}

export type Schedule =
  | { readonly status: 'absent' }
  | {
      readonly status: 'waiting';
      readonly about: Identity;
      readonly enabled: boolean;
      readonly nextRunAt: Timestamp;
      readonly emptyRuns: number;
      /** The instant that was due last: no other occurrence may have the same, for it would have the same message. */
      readonly lastDueAt: Timestamp | null;
    }
  | {
      readonly status: 'running';
      readonly about: Identity;
      readonly enabled: boolean;
      readonly nextRunAt: Timestamp;
      readonly emptyRuns: number;
      readonly occurrence: Occurrence;
      /** It was triggered while this ran: it is due again at that time when the run ends. */
      readonly triggeredAt: Timestamp | null;
    }
  | { readonly status: 'deleted' };

const fold: Fold<Schedule, ScheduleFact> = {
  initial: { status: 'absent' },
  evolve: (state, fact) => {
    const { status } = state;
    const alive = status === 'waiting' || status === 'running' ? state : undefined;
    switch (fact.type) {
      case 'schedule.created': {
        const { scheduleId, workspaceId, name, enabled, nextRunAt } = fact.data;
        return { status: 'waiting', about: { scheduleId, workspaceId, name }, enabled, nextRunAt, emptyRuns: 0, lastDueAt: null };
      }
      case 'schedule.disabled':
        return alive ? { ...alive, enabled: false } : state;
      case 'schedule.deleted':
        return { status: 'deleted' };
      case 'schedule.triggered': {
        if (!alive) return state;
        const { nextRunAt } = fact.data;
        return alive.status === 'running' ? { ...alive, nextRunAt, triggeredAt: nextRunAt } : { ...alive, nextRunAt };
      }
      case 'schedule.due': {
        if (!alive) return state;
        const { dueAt, messageId, worker, nextRunAt } = fact.data;
        const triggeredAt = alive.status === 'running' ? alive.triggeredAt : null;
        return { ...alive, status: 'running', nextRunAt, occurrence: { dueAt, messageId, worker }, triggeredAt };
      }
      case 'schedule.fired':
        return alive ? waiting(alive, fact.data, emptyRunsAfter(alive.emptyRuns, fact.data)) : state;
      case 'schedule.skipped':
        return alive ? waiting(alive, fact.data, alive.emptyRuns) : state;
      default:
        return unreachable(fact);
    }
  },
};

/** Spec 2 §6.5: empty successes count up, any other success starts over, errors leave the count. */
export const emptyRunsAfter = (emptyRuns: number, run: { readonly status: string; readonly empty: boolean }): number =>
  run.status === 'error' ? emptyRuns : run.empty ? emptyRuns + 1 : 0;

type Alive = Extract<Schedule, { status: 'waiting' | 'running' }>;

const waiting = (
  { about, enabled }: Alive,
  { dueAt, nextRunAt }: { readonly dueAt: Timestamp; readonly nextRunAt: Timestamp },
  emptyRuns: number,
): Schedule => ({ status: 'waiting', about, enabled, nextRunAt, emptyRuns, lastDueAt: dueAt });

const unreachable = (fact: never): never => {
  throw new TypeError(`unknown fact ${JSON.stringify(fact)}`);
};

export const schedule: Aggregate<Tables, Schedule, ScheduleFact> = {
  noun: 'schedule',
  family: scheduleFacts,
  fold,
  inline: [scheduleList],
  workspaceOf: (_id, fact) => fact.data.workspaceId,
};

export type { RecordedScheduleFact };
