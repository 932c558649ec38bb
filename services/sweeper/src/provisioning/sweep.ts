/** Reports what has been provisioning for too long (spec 3 §3.4). The registry looks again before it decides. */
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
  for (const entry of planTimeouts(directory.all(), clock.now().getTime(), override)) {
    const { workspaceId, runtime, statusSince: since } = entry;
    const timeoutSeconds = provisionTimeoutSeconds(runtime, override);
    const { repeated } = await ledger.transact(
      liveness,
      { id: workspaceId, commandId: `timed-out-${since}` },
      (): readonly SweepFact[] => [{ type: 'provision.timed-out', data: { workspaceId, timeoutSeconds, runtime, since } }],
    );
    if (!repeated) log.warn({ workspaceId, runtime, since, timeoutSeconds }, 'a workspace did not come up in time');
  }
}
