/** What a client is told that came back for what it missed and cannot have all of it: it reads the current state again. */
import { z } from 'zod';

/** Why. To add one: a name and a sentence here, and a row in docs/reference/events.md. */
export const GAP_REASONS = {
  unreadable: 'What it came back with is no `seq` of this platform.',
  'other-log': 'The log was made anew, or fell back, since.',
  expired: 'The log no longer keeps all of it.',
  'too-far': 'More was missed than is told again.',
  overflow: 'Too much happened while it was being told again.',
  unavailable: 'The log could not be read, or not in time.',
  missed: 'The gateway itself missed something.',
  'too-slow': 'The client did not read, and events were dropped for it.',
} as const;
export type GapReason = keyof typeof GAP_REASONS;

export const GapPayload = z.strictObject({
  /** The last place up to which the client has everything. */
  since: z.string(),
  reason: z.enum(Object.keys(GAP_REASONS) as [GapReason, ...GapReason[]]),
});
export type GapPayload = z.infer<typeof GapPayload>;
