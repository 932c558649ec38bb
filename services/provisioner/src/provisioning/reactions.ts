/** What the provisioner does because of what it hears, and what it finds undone when it comes to lead. */
import type { DeliveredFact } from '@molecule/bus';
import { type FactType, id12, type StartOptions, WorkspaceId, type WorkspaceStatus } from '@molecule/contracts';
import { containers } from '../container/container.ts';
import { takeOn, takeOver } from '../container/decisions.ts';
import { workloadsIn } from '../container/projections/container-list.ts';
import type { Parts } from '../parts.ts';
import { hearBlueprint } from './blueprints.ts';
import { MAY_RUN } from './pipeline.ts';
import type { Runs } from './runs.ts';

export const HEARD: readonly FactType[] = ['workspace.created', 'workspace.changed', 'workspace.status', 'workspace.removed'];

const LOOK_LIMIT_MS = 10_000;

/** Takes on what is to be done, durably, and returns; the doing is not waited for. */
export async function react(parts: Parts, runs: Runs, facts: readonly DeliveredFact[], leading: AbortSignal): Promise<void> {
  for (const fact of facts) {
    const workspaceId = WorkspaceId.parse(fact.workspaceId);
    switch (fact.type) {
      case 'workspace.created':
        await hearBlueprint(parts.ledger.db, fact);
        if (fact.data.status === 'provisioning' && !fact.data.external && fact.data.runtime !== 'external') {
          await begin(parts, runs, { workspaceId, version: fact.version, factId: fact.id }, leading);
        }
        break;
      case 'workspace.changed':
        await hearBlueprint(parts.ledger.db, fact);
        break;
      case 'workspace.status':
        if (fact.data.to === 'provisioning') {
          const { start } = fact.data;
          await begin(parts, runs, { workspaceId, version: fact.version, factId: fact.id, start }, leading);
        } else if (fact.data.to === 'paused' && !isOutdated(parts, fact, 'paused')) {
          // Whoever paused it asked for this already; here it is made sure of, and not waited for.
          void runs.stop(id12(workspaceId), workspaceId, { removeVolume: false, commandId: `paused-${fact.id}` }).catch(() => {});
        }
        break;
      case 'workspace.removed':
        await hearBlueprint(parts.ledger.db, fact);
        // Whoever removed it asked for this already; here it is made sure of, and not waited for.
        void runs.stop(id12(workspaceId), workspaceId, { removeVolume: true, commandId: `removed-${fact.id}` }).catch(() => {});
        break;
    }
  }
}

/** An old fact, heard late: what came after it counts. */
function isOutdated(
  { directory }: Parts,
  { workspaceId, version }: { readonly workspaceId: string; readonly version: number },
  status: WorkspaceStatus,
): boolean {
  const entry = directory.get(workspaceId);
  return entry !== undefined && entry.version > version && entry.status !== status;
}

interface Wanted {
  readonly workspaceId: WorkspaceId;
  readonly version: number;
  readonly factId: string;
  readonly start?: StartOptions | undefined;
}

async function begin(
  parts: Parts,
  runs: Runs,
  { workspaceId, version, factId, start }: Wanted,
  leading: AbortSignal,
): Promise<void> {
  const { ledger, backend } = parts;
  if (backend.name === 'none') return; // the registry has said so already
  if (isOutdated(parts, { workspaceId, version }, 'provisioning')) return;
  const command = { id: workspaceId, commandId: `provision-${factId}` };
  const { facts } = await ledger.transact(containers, command, takeOn({ workspaceId, backend: backend.name, start }));
  const run = facts.flatMap((fact) => (fact.type === 'container.starting' ? [fact.data.run] : []))[0];
  const { state } = await ledger.load(containers, workspaceId);
  // A repeat of what was taken on before, and has ended since, begins nothing.
  if (run !== undefined && state.phase === 'starting' && state.run === run)
    runs.begin({ workspaceId, run, options: state.start }, leading);
}

/** Starts that were taken on and never ended: whoever had them is gone (I6: the same names, so at most one container). */
export async function recover(parts: Parts, runs: Runs, leading: AbortSignal): Promise<void> {
  for (const { workspaceId, run } of await workloadsIn(parts.ledger.db, 'starting')) {
    await beginAgain(parts, runs, { workspaceId, run, why: 'recover' }, leading);
  }
}

/** What should run and does not: agents that ended with the platform, or with the machine. */
export async function reconcile(parts: Parts, runs: Runs, leading: AbortSignal): Promise<void> {
  const { ledger, directory, backend } = parts;
  if (backend.name === 'none') return;
  for (const { workspaceId, run } of await workloadsIn(ledger.db, 'running')) {
    const entry = directory.get(workspaceId);
    if (entry === undefined) continue; // not known is not unwanted (I8)
    const prefix = id12(workspaceId);
    if (entry.status === 'removed') {
      void runs.stop(prefix, workspaceId, { removeVolume: true, commandId: `reconcile-${workspaceId}-${run}` }).catch(() => {});
      continue;
    }
    if (!MAY_RUN.has(entry.status)) continue;
    const { running, certain } = await backend.isRunning(prefix, AbortSignal.timeout(LOOK_LIMIT_MS));
    if (!running && certain) await beginAgain(parts, runs, { workspaceId, run, why: 'reconcile' }, leading);
  }
}

async function beginAgain(
  { ledger, backend, log }: Parts,
  runs: Runs,
  { workspaceId, run, why }: { workspaceId: WorkspaceId; run: number; why: 'recover' | 'reconcile' },
  leading: AbortSignal,
): Promise<void> {
  const command = { id: workspaceId, commandId: `${why}-${workspaceId}-${run}` };
  const { facts } = await ledger.transact(containers, command, takeOver({ workspaceId, run, backend: backend.name }));
  const [fact] = facts;
  if (fact?.type !== 'container.starting') return;
  log.info({ workspaceId, run: fact.data.run, why }, 'a workload is started again');
  runs.begin({ workspaceId, run: fact.data.run, options: fact.data.start }, leading);
}
