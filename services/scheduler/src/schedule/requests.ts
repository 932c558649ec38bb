/** What other services may ask about schedules, and what follows from a workspace's removal. No rule lives here. */

import type { RequestServer } from '@molecule/bus';
import { ask, type WorkspaceId } from '@molecule/contracts';
import type { Parts } from '../parts.ts';
import * as decisions from './decisions.ts';
import { enabledSchedulesNamed, enabledSchedulesOf, schedulesOf } from './projections/schedule-list.ts';
import { schedule } from './schedule.ts';

export interface ScheduleRequestParts extends Pick<Parts, 'ledger' | 'clock'> {
  /** Something is due that nobody could foresee: look now. */
  readonly look: () => void;
}

export const serveScheduleRequests = (requests: RequestServer, parts: ScheduleRequestParts): void => {
  requests.serve(ask.scheduler.disableFor, async ({ workspaceIds }) => ({ disabled: await disableFor(parts, workspaceIds) }));
  requests.serve(ask.scheduler.trigger, async (asked) => ({ affected: await trigger(parts, asked) }));
};

/** Idempotent: a schedule is triggered once by one command. Returns how many this command has made due, now or before. */
async function trigger(
  { ledger, clock, look }: ScheduleRequestParts,
  { nameContains, commandId }: { readonly nameContains: readonly string[]; readonly commandId: string },
): Promise<number> {
  let affected = 0;
  for (const id of await enabledSchedulesNamed(ledger.db, nameContains)) {
    const command = { id, commandId: `trigger-${commandId}` };
    const { facts } = await ledger.transact(schedule, command, decisions.trigger({ now: clock.now().toISOString() }));
    affected += facts.length;
  }
  if (affected > 0) look();
  return affected;
}

/** Idempotent: what is disabled already is left alone. Returns how many were disabled by this call. */
export async function disableFor({ ledger }: Pick<Parts, 'ledger'>, workspaceIds: readonly WorkspaceId[]): Promise<number> {
  let disabled = 0;
  for (const id of await enabledSchedulesOf(ledger.db, workspaceIds)) {
    const { facts } = await ledger.transact(schedule, { id, commandId: 'workspace-removed' }, decisions.disableForRemoval);
    disabled += facts.length;
  }
  return disabled;
}

/** Idempotent: what is deleted already is not listed any more. */
export async function purgeFor({ ledger }: Pick<Parts, 'ledger'>, workspaceId: WorkspaceId): Promise<void> {
  for (const { id } of await schedulesOf(ledger.db, workspaceId))
    await ledger.transact(schedule, { id, commandId: 'workspace-purged' }, decisions.purge, async (tx) => {
      await tx.db.deleteFrom('schedule_prompts').where('schedule_id', '=', id).execute();
    });
}
