/** Whether a workspace has room for one more message from its mailbox. Pure. */
import type { DirectoryEntry } from '@molecule/contracts';
import { isResting } from '../call/admission.ts';
import type { Prompt } from './waiting.ts';

export interface Occupied {
  /** Messages from the mailbox that are being delivered, by any replica; and those taken out in the last few seconds. */
  readonly claimed: number;
  readonly claimedLately: number;
  /** Direct calls in flight from this process; and whether one began in the last few seconds. */
  readonly direct: number;
  readonly directLately: boolean;
  /** As the last beat said; `undefined` if none did. */
  readonly activeTasks: number | undefined;
}

/**
 * Room is what is not occupied by calls that we know of. A beat that reports room overrules calls that are older than it: the
 * agent knows better than we whether it still works on them. Nobody but the agent itself may say so when it is known to be full.
 */
export function hasRoom(maxConcurrentTasks: number, prompt: Prompt, occupied: Occupied): boolean {
  const { claimed, claimedLately, direct, directLately, activeTasks } = occupied;
  if (prompt === 'unprompted' && activeTasks !== undefined && activeTasks >= maxConcurrentTasks) return false;
  if (claimed + direct < maxConcurrentTasks) return true;
  return prompt === 'beat' && claimedLately === 0 && !directLately;
}

/** Whether it makes sense to send something: an agent that is not up answers nothing, and every try would count. */
export function isReachable(entry: DirectoryEntry, prompt: Prompt): boolean {
  if (entry.url === '' || isResting(entry)) return false;
  return prompt !== 'unprompted' || entry.status === 'online' || entry.status === 'degraded';
}
