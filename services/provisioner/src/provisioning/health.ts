/**
 * Looks whether what is believed to run does, and whether what was stopped on purpose has stopped (spec 1 §2.5).
 *
 *   K1. An engine that cannot say is no evidence, and neither is what it shows while a start or a stop is under way.
 *   K2. What is found is told as evidence of that very run; the registry decides what it means (D5).
 *   K3. A stop that failed, or was lost with whoever had been asked for it, is made good here.
 */

import { id12, type WorkspaceId, type WorkspaceStatus } from '@molecule/contracts';
import { Gate } from '@molecule/service';
import { containers } from '../container/container.ts';
import { reportExited } from '../container/decisions.ts';
import { workloadsIn } from '../container/projections/container-list.ts';
import type { Parts } from '../parts.ts';
import type { Runs } from './runs.ts';

const LOOK_LIMIT_MS = 10_000;
const AT_ONCE = 8;

/** Pure: what is to be done about a workload that is believed to run. */
export function healthDuty(status: WorkspaceStatus | undefined): 'look' | 'stop' | 'nothing' {
  switch (status) {
    case 'online':
    case 'degraded':
      return 'look';
    case 'paused':
    case 'hibernated':
      return 'stop';
    default:
      return 'nothing';
  }
}

/** One pass. `leading` ends it when another replica may be at it. */
export async function sweepHealth(parts: Parts, runs: Runs, leading: AbortSignal): Promise<void> {
  if (parts.backend.name === 'none') return;
  const gate = new Gate(AT_ONCE);
  const workloads = await workloadsIn(parts.ledger.db, 'running');
  await Promise.all(workloads.map((workload) => gate.pass(() => tend(parts, runs, workload, leading))));
}

async function tend(
  parts: Parts,
  runs: Runs,
  { workspaceId, run }: { readonly workspaceId: WorkspaceId; readonly run: number },
  leading: AbortSignal,
): Promise<void> {
  const { ledger, directory, backend, log } = parts;
  const prefix = id12(workspaceId);
  const duty = () => (leading.aborted || runs.isBusy(prefix) ? 'nothing' : healthDuty(directory.get(workspaceId)?.status)); // K1
  switch (duty()) {
    case 'nothing':
      return;
    case 'stop': {
      const { state } = await ledger.load(containers, workspaceId);
      if (state.phase !== 'running' || state.run !== run || duty() !== 'stop') return; // it has been resumed meanwhile
      const { outcome } = await runs.stop(prefix, workspaceId, {
        removeVolume: false,
        commandId: `resting-${workspaceId}-${run}`,
      });
      if (outcome === 'stopped')
        log.warn({ workspaceId, run }, 'a workspace that rests had something running, which was stopped');
      return;
    }
    case 'look': {
      const { running, certain } = await backend.isRunning(prefix, AbortSignal.timeout(LOOK_LIMIT_MS));
      if (running || !certain || duty() !== 'look') return;
      const command = { id: workspaceId, commandId: `exited-${workspaceId}-${run}` };
      const { facts } = await ledger.transact(containers, command, reportExited({ workspaceId, run })); // K2
      if (facts.length > 0) log.warn({ workspaceId, run }, 'what ran for a workspace has ended by itself');
    }
  }
}
