/**
 * `DELETE /workspaces/:id` (spec 1 §1.7), and what is below a workspace that is collapsed (§1.9).
 *
 *   X1. The whole subtree is marked removed in one transaction, tokens and all, before anything is stopped: nothing resurrects it (I5).
 *   X2. A child that is created or moved below while this happens is either marked too, or finds its parent removed: both sides hold
 *       the tree.
 *   X3. Stopping is detached from the client, has one bound of 30 s, and comes after every directory knows (I4). What could not be
 *       stopped is counted; the sweeper finishes it.
 */
import { ask, type Bus } from '@molecule/bus';
import { ask as asks, Refusal, type WorkspaceFact, type WorkspaceId } from '@molecule/contracts';
import type { Barrier } from '@molecule/directory';
import type { Ledger } from '@molecule/event-store';
import { type Clock, Gate, type Log } from '@molecule/service';
import type { Tables } from '../database.ts';
import { workspace } from './aggregate.ts';
import { collapse, removeDescendant, removeRoot } from './decisions.ts';
import { fitting } from './fitting.ts';
import { notice } from './notice.ts';
import { childrenOf, descendantsOf } from './queries.ts';
import type { WorkspaceStore } from './store.ts';
import { holdTree } from './tree.ts';

export interface RemovalParts {
  readonly bus: Bus;
  readonly ledger: Ledger<Tables>;
  readonly store: WorkspaceStore;
  readonly barrier: Barrier;
  readonly clock: Clock;
  readonly log: Log;
}

const STOP_BUDGET_MS = 30_000;
const CONCURRENT_STOPS = 8;
const DISABLE_TIMEOUT_MS = 2_000;
/** As many as one request may name. */
const DISABLE_BATCH = 1_000;

export interface Removal {
  /** How many descendants went with the root. */
  readonly cascadeDeleted: number;
  readonly ids: readonly WorkspaceId[];
}

/** Removes a workspace and everything below it, and stops what runs for them. Throws the 500 of the wire when a stop failed. */
export async function removeSubtree(parts: RemovalParts, root: WorkspaceId, commandId: string): Promise<Removal> {
  const { below, failures } = await remove(parts, { root, scope: 'whole', commandId });
  if (failures.length > 0) {
    const message = `workspace marked removed, but ${failures.length} stop call(s) failed — please retry: ${failures.join('; ')}`;
    throw new Refusal('failed', message, { body: { removed_count: below.length + 1, stop_failures: failures.length } });
  }
  return { cascadeDeleted: below.length, ids: [...below, root] };
}

/** Removes everything below a workspace, which stays. Answers the names of its children; what could not be stopped is logged (X3). */
export async function removeBelow(parts: RemovalParts, root: WorkspaceId, commandId: string): Promise<readonly string[]> {
  const { children, failures } = await remove(parts, { root, scope: 'below', commandId });
  if (failures.length > 0) parts.log.error({ workspaceId: root, failures }, 'some of a collapsed team could not be stopped');
  return children;
}

interface Order {
  readonly root: WorkspaceId;
  /** Whether the root goes too. */
  readonly scope: 'whole' | 'below';
  readonly commandId: string;
}

async function remove(parts: RemovalParts, order: Order) {
  const { below, children, versions, stoppable } = await markRemoved(parts.store, order);
  await disableSchedules(parts, order.scope === 'whole' ? [...below, order.root] : below);
  // X3. Facts of different streams may be told in any order, so each is waited for; all at once, within one bound.
  await Promise.all(versions.map(({ id, version }) => parts.barrier.passed(id, version)));
  return { below, children, failures: await stopAll(parts, stoppable, order.commandId) };
}

/** What a fact may hold of a team's names (D10). */
const MAX_NAMES_BYTES = 48 * 1024;

/** X1, X2. */
const markRemoved = (store: WorkspaceStore, { root, scope, commandId }: Order) =>
  store.transaction(async (tx, committing) => {
    await holdTree(tx);
    const below = await descendantsOf(tx.db, root);
    const children = (await childrenOf(tx.db, root)).map(({ name }) => name);
    const ofRoot = scope === 'whole' ? removeRoot(below.length) : collapse(fitting(children, MAX_NAMES_BYTES));
    const told = await tx.load(notice, root);
    const doomed = [];
    for (const id of [...below, root]) {
      const { state, version } = await tx.load(workspace, id);
      const facts: readonly WorkspaceFact[] = id === root ? ofRoot(state) : removeDescendant(state);
      doomed.push({ id, version, facts, state });
    }

    const versions: { readonly id: WorkspaceId; readonly version: number }[] = [];
    for (const { id, version, facts, state } of doomed) {
      if (state.situation === 'absent') {
        if (scope === 'below') continue;
        await tx.append(notice, id, [{ type: 'notice.removed', data: { workspaceId: id } }], told.version, { commandId });
        continue;
      }
      if (facts.length === 0) {
        if (version > 0) versions.push({ id, version });
        continue;
      }
      const commit = await tx.append(workspace, id, facts, version, { commandId });
      committing(commit);
      versions.push({ id, version: commit.version });
    }
    // What never was has nothing to stop, and no backend has anything of an external one (spec 3 §1.12).
    const stoppable = doomed.filter(
      ({ id, state }) =>
        (scope === 'whole' || id !== root) && state.situation !== 'absent' && !(state.situation === 'present' && state.external),
    );
    return { below, children, versions, stoppable: stoppable.map(({ id }) => id) };
  });

/** The scheduler disables them by itself when it hears of the removal; this only makes it so before the answer. */
async function disableSchedules({ bus, log }: RemovalParts, ids: readonly WorkspaceId[]): Promise<void> {
  for (let start = 0; start < ids.length; start += DISABLE_BATCH) {
    const workspaceIds = ids.slice(start, start + DISABLE_BATCH);
    await ask(bus, asks.scheduler.disableFor, { workspaceIds }, { timeoutMs: DISABLE_TIMEOUT_MS }).catch((error: unknown) =>
      log.warn({ err: error, workspaces: workspaceIds.length }, 'the schedules of removed workspaces were not disabled at once'),
    );
  }
}

/** In the order given, the root last. Answers what could not be stopped, in words for the operator. */
async function stopAll({ bus, clock, log }: RemovalParts, ids: readonly WorkspaceId[], commandId: string): Promise<string[]> {
  const deadline = clock.monotonicMs() + STOP_BUDGET_MS;
  const gate = new Gate(CONCURRENT_STOPS);
  const stop = (workspaceId: WorkspaceId): Promise<string | null> =>
    gate.pass(async () => {
      const timeoutMs = deadline - clock.monotonicMs();
      if (timeoutMs <= 0) return `${workspaceId}: no time left`;
      try {
        const request = { workspaceId, removeVolume: true, commandId: `${commandId}.${workspaceId}` };
        const { outcome } = await ask(bus, asks.provisioner.stop, request, { timeoutMs });
        return outcome === 'failed' ? `${workspaceId}: could not be stopped` : null;
      } catch (error) {
        log.warn({ err: error, workspaceId }, 'a removed workspace could not be stopped');
        return `${workspaceId}: the provisioner did not answer`;
      }
    });
  const below = await Promise.all(ids.slice(0, -1).map(stop));
  const outcomes = [...below, ...(await Promise.all(ids.slice(-1).map(stop)))];
  return outcomes.filter((failure) => failure !== null);
}

/** What the registry keeps of a workspace beside its facts and what is made of them. */
const DOCUMENTS = [
  'workspace_config',
  'workspace_secrets',
  'memories',
  'workspace_vitals',
  'container_runs',
] as const satisfies readonly (keyof Tables)[];

/**
 * `purge=true`: the rows go, of every service that hears of it. The facts stay: the log is append-only, its events stay readable
 * (§6.1), and the id stays taken, so that nothing ever comes back under it (I5).
 */
export const purge = ({ store }: Pick<RemovalParts, 'store'>, ids: readonly WorkspaceId[], commandId: string): Promise<void> =>
  store.transaction(async (tx, committing) => {
    await holdTree(tx);
    const rows = await tx.db.selectFrom('workspaces').select('workspace_id').where('workspace_id', 'in', ids).execute();
    const present = new Set(rows.map((row) => row.workspace_id));
    const doomed = [];
    for (const id of ids) if (present.has(id)) doomed.push({ id, ...(await tx.load(workspace, id)) });
    // Who is just writing one of the documents comes first.
    await tx.query('select from workspaces where workspace_id = any ($1) order by workspace_id for update', [ids]);
    for (const table of DOCUMENTS) await tx.db.deleteFrom(table).where('workspace_id', 'in', ids).execute();
    const tokens = tx.db.selectFrom('tokens').select('token_id').where('workspace_id', 'in', ids);
    await tx.db.deleteFrom('token_uses').where('token_id', 'in', tokens).execute();
    for (const { id, version } of doomed)
      committing(await tx.append(workspace, id, [{ type: 'workspace.purged', data: {} }], version, { commandId }));
  });
