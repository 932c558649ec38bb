/** A clock that a test turns by hand. */
import type { Clock } from '@molecule/service';

export interface ManualClock extends Clock {
  /** Moves both the wall clock and the monotonic one forward. */
  advance(ms: number): void;
  /** Sets the wall clock alone, as an operator or NTP does: monotonic time goes on. */
  set(to: Date | string): void;
}

export function manualClock(start: Date | string = '2026-01-01T12:00:00.000Z'): ManualClock {
  let wall = new Date(start).getTime();
  let monotonic = 1_000_000;
  return {
    now: () => new Date(wall),
    monotonicMs: () => monotonic,
    advance: (ms) => {
      wall += ms;
      monotonic += ms;
    },
    set: (to) => {
      wall = new Date(to).getTime();
    },
  };
}
