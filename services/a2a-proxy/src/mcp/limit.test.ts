import { describe, expect, it } from 'vitest';
import { BearerLimit, hashOf, limitHeaders, PER_MINUTE, shownBearer } from './limit.ts';

describe('a bearer', () => {
  it.each([
    ['Bearer abc', 'abc'],
    ['bearer abc', 'abc'],
    ['BEARER   abc  ', 'abc'],
    ['Bearer a b', 'a b'],
    ['Bearer', null],
    ['Bearer ', null],
    ['Bearer\tabc', null],
    ['Basic abc', null],
    [' Bearer abc', null],
    ['', null],
    [undefined, null],
  ])('of %j is %j', (header, bearer) => expect(shownBearer(header)).toBe(bearer));

  it('is counted for a minute, and apart from others', () => {
    let now = 0;
    const limit = new BearerLimit(() => now);
    for (let count = 1; count <= PER_MINUTE; count++)
      expect(limit.take('one')).toMatchObject({ allowed: true, remaining: PER_MINUTE - count });
    now = 30_500;
    expect(limit.take('one')).toEqual({ allowed: false, limit: PER_MINUTE, remaining: 0, resetSeconds: 30 });
    expect([limit.take('two').allowed, limit.refused]).toEqual([true, 1]);
    now = 60_000;
    expect(limitHeaders(limit.take('one'))).toEqual({
      'X-RateLimit-Limit': '120',
      'X-RateLimit-Remaining': '119',
      'X-RateLimit-Reset': '60',
    });
  });

  it('is kept as a hash (L1)', () => expect(hashOf('a-token')).toMatch(/^[\w-]{43}$/));
});
