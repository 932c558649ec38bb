/** What an agent reads whose call was refused for what led to it: what is wrong, and what it can do instead. Pure. */
import type { WorkspaceId } from '@molecule/contracts';

export interface LineageRefusal {
  readonly error: string;
  readonly code: 'a2a_cycle' | 'a2a_depth';
  /** The workspaces from the beginning to the target, by id. */
  readonly chain: readonly WorkspaceId[];
  readonly limit?: number;
}

export const circle = (chain: readonly WorkspaceId[], names: readonly string[]): LineageRefusal => ({
  error: `this call would close a circle: ${names.join(' → ')}. ${names.at(-1)} already takes part in this task and waits for what comes of it, so it is not called again: put what you have to tell or to ask it into your own reply`,
  code: 'a2a_cycle',
  chain,
});

export const tooDeep = (chain: readonly WorkspaceId[], names: readonly string[], limit: number): LineageRefusal => ({
  error: `too many agents have called each other for this task (${limit} calls in a row are the most): ${names.join(' → ')}. Do what is left yourself, or say in your own reply what is to be done by others`,
  code: 'a2a_depth',
  chain,
  limit,
});
