/** The parts of delegations, put together. */
import type { Directory } from '@molecule/directory';
import { type Basics, exposeCounters, exposeGauge } from '@molecule/service';
import type { Lineages } from '../lineage/lineages.ts';
import { followEnds } from '../mailbox/triggers.ts';
import type { Parts } from '../parts.ts';
import { DelegationBook } from './book.ts';
import { DelegationRecovery } from './recovery.ts';
import { DelegationRunner, type RunnerParts } from './runner.ts';

export interface DelegationParts extends Parts, Pick<RunnerParts, 'calls' | 'atOnce'> {
  readonly directory: Directory;
  readonly loops: Basics['loops'];
  readonly metrics: Basics['metrics'];
  readonly lineages: Lineages;
  readonly mayTakeOver: () => boolean;
  /** How many of one workspace may wait to be begun. */
  readonly limit: number;
  readonly everyMs: number;
}

export function openDelegations(parts: DelegationParts) {
  const { loops, metrics, directory, limit, everyMs, mayTakeOver } = parts;
  const book = new DelegationBook(parts, limit);
  const onRoom = () => {
    if (recovery.pending > 0) loop.nudge();
  };
  const runner: DelegationRunner = new DelegationRunner({ ...parts, book, onRoom });
  const recovery: DelegationRecovery = new DelegationRecovery({ ...parts, book, runner, mayTakeOver });
  const loop = loops.every('delegations', everyMs, async () => {
    if (await recovery.round()) loop.nudge();
  });
  followEnds(directory, {
    wake: (messageId) => {
      if (recovery.isAwaited(messageId)) loop.nudge();
    },
    wakeAll: () => loop.nudge(),
  });
  const gauge = (name: string, help: string, read: () => number) => exposeGauge(metrics, { name, help, read });
  gauge('a2a_delegations_running', 'Delegations that this process carries out.', () => runner.running);
  gauge('a2a_delegations_pending', 'Delegations that nobody had begun when it was last looked.', () => recovery.pending);
  exposeCounters(metrics, {
    name: 'a2a_delegations_total',
    help: 'Delegations since the start, by how their calls went.',
    label: 'outcome',
    read: () => Object.entries(runner.counts),
  });
  return { book, runner, await: (messageId: string) => recovery.await(messageId) };
}
