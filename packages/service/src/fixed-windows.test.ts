/** F1, F2: what a window lets through, against the rule written out; and what is kept of it. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FixedWindows } from './fixed-windows.ts';

const setUp = ({ limit = 3, windowMs = 60_000, maxKeys = 1_000 } = {}) => {
  const time = { now: 5_000 };
  return { time, windows: new FixedWindows({ limit, windowMs, maxKeys, nowMs: () => time.now }) };
};

describe('a window', () => {
  it('begins with the first request, counts down, refuses, and is refilled when it is over', () => {
    const { time, windows } = setUp();
    const take = (at: number) => {
      time.now = 5_000 + at;
      const { allowed, remaining, resetSeconds } = windows.take('a');
      return [allowed, remaining, resetSeconds];
    };
    expect(take(0)).toEqual([true, 2, 60]);
    expect(take(1)).toEqual([true, 1, 60]);
    expect(take(1_000)).toEqual([true, 0, 59]);
    expect(take(1_500)).toEqual([false, 0, 59]);
    expect(take(59_999)).toEqual([false, 0, 1]);
    expect(take(60_000)).toEqual([true, 2, 60]);
  });

  it('is never longer than it is, whatever fraction of a millisecond it begins at', () =>
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1e7, noNaN: true }), (now) => {
        const { time, windows } = setUp();
        time.now = now;
        expect(windows.take('a').resetSeconds).toBe(60);
      }),
      { examples: [[213_111.98760160521]] },
    ));

  it('is of one address', () => {
    const { windows } = setUp({ limit: 1 });
    expect(['a', 'b', 'a', 'b'].map((key) => windows.take(key).allowed)).toEqual([true, true, false, false]);
  });

  it('lets through what the rule says, whoever comes when', () =>
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.record({ key: fc.constantFrom('a', 'b', 'c'), after: fc.integer({ min: 0, max: 90 }) }), { maxLength: 60 }),
        (limit, requests) => {
          const { time, windows } = setUp({ limit, windowMs: 100 });
          const seen = new Map<string, { since: number; count: number }>();
          for (const { key, after } of requests) {
            time.now += after;
            const known = seen.get(key);
            const window = known && time.now - known.since < 100 ? known : { since: time.now, count: 0 };
            seen.set(key, window);
            window.count++;
            const { allowed, remaining } = windows.take(key);
            expect([allowed, remaining]).toEqual([window.count <= limit, Math.max(0, limit - window.count)]);
          }
        },
      ),
    ));
});

describe('what is kept', () => {
  it('goes when it is over and somebody new comes', () => {
    const { time, windows } = setUp();
    for (let peer = 0; peer < 50; peer++) windows.take(`old ${peer}`);
    time.now += 60_000;
    windows.take('new');
    expect(windows.size).toBe(1);
  });

  it('is never more than so many addresses; the oldest goes', () => {
    const { windows } = setUp({ limit: 1, maxKeys: 10 });
    for (let peer = 0; peer < 100; peer++) windows.take(String(peer));
    expect(windows.size).toBe(10);
    expect(windows.take('99').allowed).toBe(false);
    expect(windows.take('0').allowed).toBe(true);
  });
});
