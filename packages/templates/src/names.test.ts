import { expect, it } from 'vitest';
import { directoryNameOf, normalizeName } from './names.ts';

it.each([
  ['My Team', 'my-team'],
  ['Ünïcode_7-x', 'ncode_7-x'],
  ['../etc', 'etc'],
  ['a.b/c', 'abc'],
  ['…', 'unnamed'],
  ['', 'unnamed'],
  ['A B-C', 'a-b-c'],
])('the normal form of %j is %j', (name, normal) => expect(normalizeName(name)).toBe(normal));

it.each([
  ['My Team', 'my-team'],
  ['Größe 1.0', 'größe-1.0'],
  ['..', null],
  ['a/b', null],
  ['', null],
])('the directory of %j is %j', (name, directory) => expect(directoryNameOf(name)).toBe(directory));
