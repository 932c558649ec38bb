/** Reports what has been provisioning for too long (spec 3 §3.4). The registry looks again before it decides. */
import type { DirectoryEntry, SweepFact } from '@molecule/contracts';
import { liveness } from '../finding/finding.ts';
import type { Parts } from '../parts.ts';

const DEFAULT_SECONDS = 600;
const SECONDS_BY_RUNTIME: Readonly<Record<string, number>> = { hermes: 1800 };

/** The limit for a runtime, in seconds; `override` counts only when it is a whole number above 0. */
export function provisionTimeout(runtime: string, override: string | undefined): number {
  if (override !== undefined && /^\d+$/.test(override) && Number(override) > 0) return Number(override);
  return (Object.hasOwn(SECONDS_BY_RUNTIME, runtime) ? SECONDS_BY_RUNTIME[runtime] : undefined) ?? DEFAULT_SECONDS;
}

/** Pure: whose time is up at `now`, ms since the epoch. */
export const planTimeouts = (
  entries: Iterable<DirectoryEntry>,
  now: number,
  override: string | undefined,
): readonly DirectoryEntry[] =>
  [...entries].filter(
    (entry) =>
      entry.status === 'provisioning' && now - Date.parse(entry.statusSince) >= provisionTimeout(entry.runtime, override) * 1000,
  );

export async function sweepTimeouts({ ledger, directory, clock, log }: Parts, override: string | undefined): Promise<void> {
  for (const entry of planTimeouts(directory.all(), clock.now().getTime(), override)) {
    const { workspaceId, runtime, statusSince: since } = entry;
    const timeoutSeconds = provisionTimeout(runtime, override);
    const { repeated } = await ledger.transact(
      liveness,
      { id: workspaceId, commandId: `timed-out-${since}` },
      (): readonly SweepFact[] => [{ type: 'provision.timed-out', data: { workspaceId, timeoutSeconds, runtime, since } }],
    );
    if (!repeated) log.warn({ workspaceId, runtime, since, timeoutSeconds }, 'a workspace did not come up in time');
  }
}
