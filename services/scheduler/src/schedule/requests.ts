/** What other services may ask about schedules, and what follows from a workspace's removal. No rule lives here. */

import type { RequestServer } from '@molecule/bus';
import { ask, type WorkspaceId } from '@molecule/contracts';
import type { Parts } from '../parts.ts';
import * as decisions from './decisions.ts';
import { enabledSchedulesOf, schedulesOf } from './projections/schedule-list.ts';
import { schedule } from './schedule.ts';

export const serveScheduleRequests = (requests: RequestServer, parts: Pick<Parts, 'ledger'>): void => {
  requests.serve(ask.scheduler.disableFor, async ({ workspaceIds }) => ({ disabled: await disableFor(parts, workspaceIds) }));
};

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
