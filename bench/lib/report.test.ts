import { describe, expect, it } from 'vitest';
import { abba, median, summary } from './compare.ts';
import { type Figure, judgement } from './report.ts';

const figure = (value: number, better: Figure['better']): Figure => ({
  id: 'P0',
  what: '',
  value,
  unit: '×',
  pass: better === 'higher' ? 0.5 : 2,
  stretch: better === 'higher' ? 0.8 : 1,
  better,
  behind: '',
});

describe('a figure', () => {
  it.each([
    [0.9, 'higher', 'stretch'],
    [0.5, 'higher', 'pass'],
    [0.49, 'higher', 'below'],
    [0.9, 'lower', 'stretch'],
    [2, 'lower', 'pass'],
    [2.1, 'lower', 'below'],
    [Number.NaN, 'lower', 'below'],
  ] as const)('of %d where %s is better reaches %s', (value, better, reached) =>
    expect(judgement(figure(value, better))).toBe(reached),
  );
});

it('forms ratios of adjacent pairs, so that a drift cancels out', async () => {
  let drift = 1;
  const measured = (base: number) => async () => base * ++drift;
  const ratio = await abba(3, measured(100), measured(50));
  expect(ratio.median).toBeCloseTo(0.5, 5);
});

it('takes the middle, or the mean of the two in the middle', () => {
  expect(median([3, 1, 2])).toBe(2);
  expect(median([4, 1, 2, 3])).toBe(2.5);
  expect(summary([1, 3, 2])).toEqual({ median: 2, low: 1, high: 3, quartets: 3 });
});
