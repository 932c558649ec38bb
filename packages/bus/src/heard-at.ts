/**
 * When a beat was heard, by the clock of whoever hears it (limits F16).
 *
 * The accepting gateway's stamp orders beats; it says nothing about how long ago one came, for a gateway's clock may be an hour off.
 * A live beat comes now. One that the bus kept came when the gateway says, but not later than now.
 */
import type { Beat } from '@molecule/contracts';
import type { HowHeard } from './beat-feed.ts';

/** Milliseconds since the epoch. */
export const heardAt = (
  { receivedAt }: Pick<Beat, 'receivedAt'>,
  { replayed }: Pick<HowHeard, 'replayed'>,
  clock: { now(): Date },
): number => {
  const now = clock.now().getTime();
  return replayed ? Math.min(receivedAt, now) : now;
};

/** The same moment by the clock that is never set: leases are counted by it, so that a step of the wall clock ends and prolongs none. */
export const heardMs = (at: number, clock: { now(): Date; monotonicMs(): number }): number =>
  clock.monotonicMs() - Math.max(0, clock.now().getTime() - at);
