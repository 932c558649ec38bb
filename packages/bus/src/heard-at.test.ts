import { describe, expect, it } from 'vitest';
import { heardAt } from './heard-at.ts';

const NOON = Date.parse('2026-03-02T12:00:00Z');
const HOUR = 3_600_000;
const clock = { now: () => new Date(NOON) };
const heard = (receivedAt: number, replayed: boolean) => heardAt({ receivedAt }, { replayed }, clock);

describe('when a beat was heard', () => {
  it.each([-HOUR, 0, HOUR])('is now for a live one, when the gateway’s clock is %d ms off', (off) =>
    expect(heard(NOON + off, false)).toBe(NOON),
  );
  it('is when the gateway says for one that was kept, and never in the future', () => {
    expect(heard(NOON - HOUR, true)).toBe(NOON - HOUR);
    expect(heard(NOON + HOUR, true)).toBe(NOON);
  });
});
