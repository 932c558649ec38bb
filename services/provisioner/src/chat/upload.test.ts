import { Refusal } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import { allocate } from './upload.ts';

describe('the ids of an upload', () => {
  it('are 16 random bytes each, and no two are the same', () => {
    const ids = allocate(1_000);
    expect(new Set(ids).size).toBe(1_000);
    for (const id of ids) expect(id).toMatch(/^[0-9a-f]{32}$/);
  });

  it('are drawn again when one was given out in the same upload', () => {
    const draws = ['a', 'a', 'b'];
    expect(allocate(2, () => draws.shift() ?? '')).toEqual(['a', 'b']);
  });

  it.each([
    [() => 'always the same', 'failed to allocate unique upload ID'],
    [
      () => {
        throw new Error('no entropy');
      },
      'failed to allocate upload ID',
    ],
  ])('cannot be had from %s', (draw, text) => {
    expect(() => allocate(2, draw)).toThrow(expect.objectContaining({ kind: 'failed', message: text }));
    expect(() => allocate(2, draw)).toThrow(Refusal);
  });
});
