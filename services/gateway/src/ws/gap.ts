/** What a client is told that asked for what it missed and cannot have all of it: read the current state again. */
import type { CanvasEvent } from '@molecule/contracts';

/** Why. To add one: a name and a sentence here; docs/reference/events.md lists them. */
export const GAP_REASONS = {
  unreadable: 'what it came back with is no `seq` of ours',
  'other-log': 'the log was made anew or fell back since',
  expired: 'the log no longer keeps all of it',
  'too-far': 'more facts were missed than are told again',
  overflow: 'too much happened while it was being told again',
  unavailable: 'the log could not be read, or not in time',
  missed: 'the gateway itself missed facts',
  'too-slow': 'the client did not read, and events were dropped',
} as const;
export type GapReason = keyof typeof GAP_REASONS;

/** `since`: the last place up to which the client has everything. */
export const gapEvent = (since: string, reason: GapReason, at: Date): CanvasEvent => ({
  event: 'GAP',
  workspace_id: '',
  timestamp: at.toISOString(),
  payload: { since, reason },
});
