import { expect, it } from 'vitest';
import { fitting } from './fitting.ts';

it.each<[items: string[], bytes: number, count: number]>([
  [[], 10, 0],
  [['a', 'b'], 6, 2],
  [['a', 'b'], 5, 1],
  [['ä', 'b'], 7, 2],
  [['much too long', 'b'], 5, 1],
  [['a', 'much too long', 'b'], 5, 1],
])('of %j fit into %i bytes: %i', (items, bytes, count) => expect(fitting(items, bytes)).toEqual(items.slice(0, count)));
