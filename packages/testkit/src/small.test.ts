/** The small helpers: the clock, waiting, sentences. */
import type { Fact } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import { chance } from './chance.ts';
import { manualClock } from './manual-clock.ts';
import { scenario } from './scenario.ts';
import { waitFor } from './wait-for.ts';

describe('the manual clock', () => {
  it('moves wall time and monotonic time together, and a step of the wall moves that alone', () => {
    const clock = manualClock('2026-03-01T00:00:00Z');
    const before = clock.monotonicMs();
    clock.advance(1_500);
    expect(clock.now().toISOString()).toBe('2026-03-01T00:00:01.500Z');
    clock.set('2026-02-01T00:00:00Z');
    expect(clock.monotonicMs() - before).toBe(1_500);
    expect(clock.now().toISOString()).toBe('2026-02-01T00:00:00.000Z');
  });
});

describe('waitFor', () => {
  it('answers with the first value that is one', async () => {
    let asked = 0;
    expect(await waitFor(() => (++asked === 3 ? { asked } : undefined))).toEqual({ asked: 3 });
  });

  it('says what it waited for, and what it saw last', async () => {
    await expect(waitFor(() => false, { timeoutMs: 20, what: 'the moon' })).rejects.toThrow(
      'waited 20 ms for the moon; the last answer was false',
    );
  });

  it('ends at once when asking fails', async () => {
    await expect(waitFor(() => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  });
});

describe('a scenario', () => {
  type Counted = Fact<'counted', { by: number }>;
  const { given } = scenario<number, Counted>({ initial: 0, evolve: (sum, fact) => sum + fact.data.by });
  const by = (amount: number): Counted => ({ type: 'counted', data: { by: amount } });

  it('folds what was given, decides, and compares', () => {
    given(by(2), by(3))
      .when((sum) => [by(sum)])
      .then(by(5));
    given()
      .when(() => [])
      .thenNothing();
    expect(() =>
      given(by(1))
        .when((sum) => [by(sum)])
        .thenNothing(),
    ).toThrow();
  });

  it('knows a refusal by class, text or properties', () => {
    const refuse = () => {
      throw Object.assign(new RangeError('too far'), { kind: 'conflict' });
    };
    given().when(refuse).thenRefused(RangeError);
    given().when(refuse).thenRefused('far');
    given().when(refuse).thenRefused({ kind: 'conflict' });
    expect(() => given().when(refuse).thenRefused(TypeError)).toThrow();
    expect(() =>
      given()
        .when(() => [])
        .thenRefused(RangeError),
    ).toThrow('expected a refusal');
  });
});

describe('chance', () => {
  it('is the same for the same seed, and within its bounds', () => {
    const numbers = (seed: number) => {
      const { below } = chance(seed);
      return Array.from({ length: 1_000 }, () => below(10));
    };
    expect(numbers(7)).toEqual(numbers(7));
    expect(numbers(7)).not.toEqual(numbers(8));
    expect([...new Set(numbers(7))].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const { happens } = chance(1);
    expect([happens(0), happens(1)]).toEqual([false, true]);
  });
});
