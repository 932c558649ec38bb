/** What makes the proxy look into a mailbox: beats, registers, what other replicas say, and the table itself. */
import type { BeatFeed } from '@molecule/bus';
import type { Directory } from '@molecule/directory';
import { workspacesWaitedFor } from '../message/projections/mailbox.ts';
import type { Parts } from '../parts.ts';
import type { Drains } from './drain.ts';
import type { Mailbox } from './enqueue.ts';
import type { Followers } from './follow.ts';
import type { Waiting } from './waiting.ts';

export interface TriggerParts {
  readonly beats: Pick<BeatFeed, 'onBeat'>;
  readonly directory: Directory;
  readonly waiting: Waiting;
  readonly drains: Drains;
  readonly touch: (workspaceId: string) => void;
}

/** Costs a look-up or two per beat and fact, as long as nothing waits for the workspace. */
export function followReasonsToDrain({ beats, directory, waiting, drains, touch }: TriggerParts): void {
  beats.onBeat(({ workspaceId, activeTasks }, { replayed }) => {
    if (replayed) return;
    touch(workspaceId);
    if (!waiting.get(workspaceId)) return;
    const entry = directory.get(workspaceId);
    if (entry && activeTasks < entry.maxConcurrentTasks) drains.nudge(workspaceId, 'beat');
  });
  directory.onFact(({ type, workspaceId }) => {
    if (type === 'a2a.queued' || type === 'a2a.requeued') {
      if (directory.get(workspaceId)?.status !== 'removed') waiting.add(workspaceId);
    } else if (type === 'workspace.removed')
      waiting.remove(workspaceId); // one of the replicas drops what waited
    else if (type === 'workspace.registered') drains.nudge(workspaceId, 'registered');
  });
}

const ENDS: ReadonlySet<string> = new Set(['a2a.completed', 'a2a.failed', 'a2a.dropped']);

/** Wakes those who wait for a message to end, whichever replica ended it. */
export function followEnds(directory: Pick<Directory, 'onFact' | 'onGap'>, followers: Pick<Followers, 'wake' | 'wakeAll'>): void {
  directory.onFact(({ type, data }) => {
    if (ENDS.has(type)) followers.wake((data as { readonly messageId: string }).messageId);
  });
  directory.onGap(() => followers.wakeAll());
}

/** Looks into the table: at the start, and in case something was missed. What waits for a removed workspace is dropped. */
export async function seedWaiting({
  ledger,
  directory,
  waiting,
  drains,
  mailbox,
}: Pick<Parts, 'ledger' | 'directory'> & { waiting: Waiting; drains: Drains; mailbox: Mailbox }): Promise<void> {
  for (const workspaceId of waiting.workspaces())
    if (directory.get(workspaceId)?.status === 'removed') waiting.remove(workspaceId); // its removal was missed
  for (const workspaceId of await workspacesWaitedFor(ledger.db)) {
    if (directory.get(workspaceId)?.status === 'removed') await mailbox.dropAll(workspaceId);
    else {
      waiting.add(workspaceId);
      drains.nudge(workspaceId, 'unprompted');
    }
  }
}
