/**
 * Pauses and resumes a workspace with what is below it (spec 1 §1.8).
 *
 *   T1. All of it moves in one transaction, or none: nobody sees half a team paused.
 *   T2. Nobody is created or moved below while this happens: both sides hold the tree.
 *   T3. The answer waits until every directory knows (I4); what runs is stopped after that, detached from the client, within one bound.
 *       What could not be stopped is stopped by the provisioner, which hears of the pause as well.
 */

import type { WorkspaceId } from '@molecule/contracts';
import type { Barrier } from '@molecule/directory';
import type { CommandMeta } from '@molecule/event-store';
import { Gate } from '@molecule/service';
import type { Kysely } from 'kysely';
import type { Tables } from '../database.ts';
import type { Parts } from '../parts.ts';
import { workspace } from './aggregate.ts';
import { hasBackend, STOP_TIMEOUT_MS, stopRuntime } from './backend.ts';
import type { Decision } from './decisions.ts';
import { pause, resume } from './lifecycle.ts';
import { weigh } from './status.ts';
import type { WorkspaceStore } from './store.ts';
import { holdTree, pausableBelow, pausedAncestorOf, resumableBelow } from './tree.ts';

const CONCURRENT_STOPS = 8;

type SubtreeParts = Pick<Parts, 'bus' | 'ledger' | 'store' | 'barrier' | 'clock' | 'log'>;

interface Moved {
  readonly id: WorkspaceId;
  readonly version: number;
  /** Whether anything could run for it. */
  readonly contained: boolean;
}

/** Answers how many were paused, the root included. Throws the refusals of the wire. */
export async function pauseSubtree(parts: SubtreeParts, root: WorkspaceId, meta: CommandMeta): Promise<number> {
  const moved = await move(parts.store, root, meta, {
    below: pausableBelow,
    ofRoot: async () => pause,
    ofEachBelow: weigh({ kind: 'pause' }),
  });
  await allKnow(parts.barrier, moved);
  const deadline = parts.clock.monotonicMs() + STOP_TIMEOUT_MS;
  const gate = new Gate(CONCURRENT_STOPS);
  const stop = ({ id }: Moved) =>
    gate.pass(async () => {
      const timeoutMs = deadline - parts.clock.monotonicMs();
      if (timeoutMs > 0) await stopRuntime(parts, id, { commandId: `${meta.commandId}.${id}.stop`, timeoutMs });
    });
  await Promise.all(moved.filter(({ contained }) => contained).map(stop));
  return moved.length;
}

/** Answers how many were resumed, the root included. Throws the refusals of the wire. */
export async function resumeSubtree(parts: SubtreeParts, root: WorkspaceId, meta: CommandMeta): Promise<number> {
  const { state } = await parts.ledger.load(workspace, root);
  resume({ backend: true, pausedAncestor: null })(state); // the first refusal of the order, before anybody is asked
  const backend = await hasBackend(parts);
  const moved = await move(parts.store, root, meta, {
    below: resumableBelow,
    ofRoot: async (db) => resume({ backend, pausedAncestor: await pausedAncestorOf(db, root) }),
    ofEachBelow: weigh({ kind: 'resume', ancestorPaused: false }),
  });
  await allKnow(parts.barrier, moved);
  return moved.length;
}

interface Rules {
  readonly below: (db: Kysely<Tables>, root: WorkspaceId) => Promise<readonly WorkspaceId[]>;
  readonly ofRoot: (db: Kysely<Tables>) => Promise<Decision>;
  readonly ofEachBelow: Decision;
}

/** T1, T2. */
const move = (store: WorkspaceStore, root: WorkspaceId, meta: CommandMeta, rules: Rules): Promise<Moved[]> =>
  store.transaction(async (tx, committing) => {
    await holdTree(tx);
    const below = await rules.below(tx.db, root);
    const decided = [];
    for (const id of [root, ...below]) {
      const { state, version } = await tx.load(workspace, id);
      const decide = id === root ? await rules.ofRoot(tx.db) : rules.ofEachBelow;
      const contained = state.situation === 'present' && !state.external;
      decided.push({ id, version, contained, facts: decide(state) });
    }

    const moved: Moved[] = [];
    for (const { id, version, contained, facts } of decided) {
      const commit = await tx.append(workspace, id, facts, version, meta);
      committing(commit);
      moved.push({ id, version: commit.version, contained });
    }
    return moved;
  });

const allKnow = (barrier: Barrier, moved: readonly Moved[]) =>
  Promise.all(moved.map(({ id, version }) => barrier.passed(id, version)));
