/**
 * Reports what has been provisioning for too long (spec 3 §3.4).
 *
 *   O1. The registry looks again, by the database's clock, before it decides: a start that came up meanwhile wins.
 *   O2. Ours may run ahead of that clock (limits F16), so a report that changed nothing is made again after another such time.
 */
import { type DirectoryEntry, provisionTimeoutSeconds, type SweepFact } from '@molecule/contracts';
import { liveness } from '../finding/finding.ts';
import type { Parts } from '../parts.ts';

/** Pure: whose time is up at `now`, ms since the epoch. */
export const planTimeouts = (
  entries: Iterable<DirectoryEntry>,
  now: number,
  override: string | undefined,
): readonly DirectoryEntry[] =>
  [...entries].filter(
    (entry) =>
      entry.status === 'provisioning' &&
      now - Date.parse(entry.statusSince) >= provisionTimeoutSeconds(entry.runtime, override) * 1000,
  );

export async function sweepTimeouts({ ledger, directory, clock, log }: Parts, override: string | undefined): Promise<void> {
  const now = clock.now().getTime();
  for (const entry of planTimeouts(directory.all(), now, override)) {
    const { workspaceId, runtime, statusSince: since } = entry;
    const timeoutSeconds = provisionTimeoutSeconds(runtime, override);
    const times = Math.floor((now - Date.parse(since)) / (timeoutSeconds * 1_000)); // O2
    const { repeated } = await ledger.transact(
      liveness,
      { id: workspaceId, commandId: `timed-out-${since}-${times}` },
      (): readonly SweepFact[] => [{ type: 'provision.timed-out', data: { workspaceId, timeoutSeconds, runtime, since } }],
    );
    if (!repeated) log.warn({ workspaceId, runtime, since, timeoutSeconds }, 'a workspace did not come up in time');
  }
}
