/**
 * Restarts, wakes, and the restarts that follow from a workspace being found offline (spec 1 §1.8, §2.4).
 *
 *   A1. What runs is stopped before the row says `provisioning`: no beat of the old session may pass for one of the new.
 *   A2. A restart after an offline detection follows from that very fact, heard durably: a crash in between loses it not, and hearing
 *       it twice does it once.
 *   A3. At most one start is under way for a workspace: the provisioner gives up the one before. Here nothing is queued.
 */
import type { AnyRecordedFact, StartOptions, StatusReason, WorkspaceId } from '@molecule/contracts';
import { type CommandMeta, takeOnce } from '@molecule/event-store';
import type { Parts } from '../parts.ts';
import { workspace } from './aggregate.ts';
import { configuredRuntime, hasBackend, stopRuntime } from './backend.ts';
import { restart, restartLost, wake } from './lifecycle.ts';
import { pausedAncestorOf } from './tree.ts';

type StartParts = Pick<Parts, 'bus' | 'ledger' | 'store' | 'barrier' | 'fleet' | 'contexts' | 'templates' | 'log'>;

export interface RestartOrder {
  /** Whether the agent's session is thrown away. */
  readonly resetSession: boolean;
  readonly wish: { readonly template: string; readonly applyTemplate: boolean; readonly rebuildConfig: boolean };
}

/** A workspace that is being put to sleep is waited for this long: what is started while it is stopped would be stopped too. */
const ASLEEP_WITHIN_MS = 35_000;

/** `POST …/restart`. Answers where the configuration comes from. Throws the refusals of the wire, in their order. */
export async function restartWorkspace(
  parts: StartParts,
  id: WorkspaceId,
  { resetSession, wish }: RestartOrder,
  meta: CommandMeta,
): Promise<string> {
  const { ledger, store, barrier, fleet, contexts, templates } = parts;
  const { state } = await ledger.load(workspace, id);
  const pausedAncestor = await pausedAncestorOf(ledger.db, id);
  restart({ pausedAncestor, backend: true })(state); // its first refusals, before anybody is asked
  const backend = await hasBackend(parts);
  restart({ pausedAncestor, backend })(state);

  if (state.situation !== 'present') throw new TypeError('a restart of what is not there was not refused');
  const contained = !state.external;
  const { label, directory } = await templates.forRestart({ ...wish, name: state.name, runtime: state.runtime });
  const template = directory === null ? null : label;
  const start: StartOptions | undefined = template === null && !resetSession ? undefined : { template, resetSession };
  const snapshot = await contexts.snapshot(id);
  const runtime = contained ? await configuredRuntime(parts, id) : null;
  if (contained) {
    await fleet.until(id, (status) => status !== 'hibernating', { signal: AbortSignal.timeout(ASLEEP_WITHIN_MS) });
    await stopRuntime(parts, id, { commandId: `${meta.commandId}.stop` }); // A1
  }
  const commit = await store.transaction(async (tx, committing) => {
    const now = await tx.load(workspace, id);
    const circumstances = { pausedAncestor: await pausedAncestorOf(tx.db, id), backend };
    const facts = restart({ ...circumstances, runtime: runtime ?? undefined, start })(now.state);
    const made = await tx.append(workspace, id, facts, now.version, meta);
    committing(made);
    return made;
  });
  await barrier.passed(id, commit.version);
  if (contained) contexts.follow(id, snapshot);
  return label;
}

/** `ask.registry.wake`: `true` when it is being started, by this or by another call. */
export async function wakeWorkspace(parts: StartParts, id: WorkspaceId, meta: CommandMeta): Promise<boolean> {
  const { store, contexts, log } = parts;
  const backend = await hasBackend(parts);
  const snapshot = await contexts.snapshot(id);
  const { waking, woken } = await store.transaction(async (tx, committing) => {
    const { state, version } = await tx.load(workspace, id);
    const facts = wake({ pausedAncestor: await pausedAncestorOf(tx.db, id), backend })(state);
    const commit = await tx.append(workspace, id, facts, version, meta);
    committing(commit);
    const already = state.situation === 'present' && state.status === 'provisioning';
    return { waking: already || facts.length > 0, woken: facts.length > 0 && !commit.repeated };
  });
  if (woken) {
    log.info({ workspaceId: id }, 'a message wakes a workspace');
    contexts.follow(id, snapshot);
  }
  return waking;
}

/** Which detections are followed by a restart. A remote agent's silence is not: it has no container. */
const LOST: ReadonlySet<StatusReason> = new Set(['liveness-lost', 'container-exited', 'agent-unreachable']);

type StatusFact = Extract<AnyRecordedFact, { type: 'workspace.status' }>;

/** A2. `askBackend`: whether anything could start a container. */
export async function restartAfterOffline(
  parts: StartParts,
  id: WorkspaceId,
  fact: StatusFact,
  askBackend: () => Promise<boolean>,
): Promise<void> {
  const { store, contexts, log } = parts;
  if (fact.data.to !== 'offline' || !LOST.has(fact.data.reason)) return;
  const backend = await askBackend();
  const snapshot = await contexts.snapshot(id);
  const restarted = await store.transaction(async (tx, committing) => {
    const { state, version } = await tx.load(workspace, id);
    const facts = restartLost({ pausedAncestor: await pausedAncestorOf(tx.db, id), backend })(state);
    const isNew = await takeOnce(tx.db, { reader: 'registry', factId: fact.id });
    if (!isNew || facts.length === 0) return false;
    committing(await tx.append(workspace, id, facts, version, { commandId: `auto-restart.${fact.id}`, causationId: fact.id }));
    return true;
  });
  if (!restarted) return;
  log.info({ workspaceId: id, reason: fact.data.reason }, 'a workspace that was lost is started again');
  contexts.follow(id, snapshot);
}
