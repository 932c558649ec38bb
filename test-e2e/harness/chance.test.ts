/** What a seed brought once it brings again; all of it is possible. */
import { expect, it } from 'vitest';
import { Chance } from './chance.ts';

it('comes again with its seed, and not with another', () => {
  const drawn = (seed: number) => Array.from({ length: 20 }, Chance.prototype.below.bind(new Chance(seed), 1_000));
  expect(drawn(7)).toEqual(drawn(7));
  expect(drawn(7)).not.toEqual(drawn(8));
});

it('picks each of what there is, and shuffles without losing any', () => {
  const chance = new Chance(1);
  const items = ['a', 'b', 'c', 'd'];
  expect(new Set(Array.from({ length: 200 }, () => chance.pick(items)))).toEqual(new Set(items));
  const orders = Array.from({ length: 50 }, () => chance.shuffle(items));
  for (const order of orders) expect([...order].sort()).toEqual(items);
  expect(new Set(orders.map((order) => order.join(''))).size).toBeGreaterThan(10);
  expect(() => chance.pick([])).toThrow(RangeError);
});
