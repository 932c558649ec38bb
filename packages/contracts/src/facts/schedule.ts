/** What the scheduler says. Stream `schedule.<scheduleId>`; prompts are payload and stay in its tables (D10). */
import { z } from 'zod';
import { defineFacts, type FactOf, type RecordedFactOf } from '../define.ts';
import { ScheduleId, Timestamp, WorkspaceId } from '../ids.ts';

const About = z.object({ scheduleId: ScheduleId, workspaceId: WorkspaceId, name: z.string() });

export const scheduleFacts = defineFacts({
  'schedule.created': {
    schema: About.extend({
      cronExpr: z.string(),
      timezone: z.string(),
      enabled: z.boolean(),
      source: z.enum(['runtime', 'template']),
      nextRunAt: Timestamp,
    }),
    audience: 'all',
  },
  'schedule.disabled': { schema: About.extend({ reason: z.enum(['workspace-removed', 'edited']) }), audience: 'all' },
  'schedule.deleted': { schema: About, audience: 'all' },
  /** Something happened that it is there for: it is due at once, and once more after a run that is under way (spec 2 §7.14). */
  'schedule.triggered': { schema: About.extend({ nextRunAt: Timestamp }), audience: 'owner' },
  /** An occurrence was claimed by one replica: from here it ends as fired or skipped, exactly once (I7). */
  'schedule.due': {
    schema: About.extend({ dueAt: Timestamp, nextRunAt: Timestamp, worker: z.string(), messageId: z.string() }),
    audience: 'owner',
  },
  'schedule.fired': {
    schema: About.extend({
      dueAt: Timestamp,
      status: z.enum(['ok', 'error', 'stale']),
      error: z.string(),
      /** Whether the agent's answer was empty (spec 2 §6.5). */
      empty: z.boolean(),
      /** When it ran, and what comes next: counted from the end of the run (spec 2 §6.5 step 4). */
      ranAt: Timestamp,
      nextRunAt: Timestamp,
    }),
    audience: 'all',
  },
  'schedule.skipped': {
    schema: About.extend({
      dueAt: Timestamp,
      /** `busy` counts as a run and is told to the canvas; `native-scheduler` and `disabled` only advance (spec 2 §6.4, §6.6). */
      reason: z.enum(['busy', 'native-scheduler', 'disabled']),
      activeTasks: z.number().int(),
      ranAt: Timestamp,
      nextRunAt: Timestamp,
    }),
    audience: 'all',
  },
});
export type ScheduleFact = FactOf<typeof scheduleFacts>;
export type RecordedScheduleFact = RecordedFactOf<typeof scheduleFacts>;
