/** Cookies as browsers write them, and as others do. */
import { SESSION_COOKIE } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import { cookieOf, withoutSession } from './cookies.ts';

describe('a cookie', () => {
  it.each([
    ['molecule_session=abc', 'abc'],
    ['a=b;molecule_session=abc;c=d', 'abc'],
    ['a=b; molecule_session="abc"', 'abc'],
    ['molecule_session=a=b', 'a=b'],
    ['molecule_session=first; molecule_session=second', 'first'],
    ['molecule_session=', ''],
    ['molecule_session', undefined],
    ['xmolecule_session=abc', undefined],
    ['', undefined],
  ])('%j has the session %j', (header, value) => expect(cookieOf(header, SESSION_COOKIE)).toBe(value));

  it.each([
    ['a=b; molecule_session=abc; c=d', 'a=b; c=d'],
    ['molecule_session=abc', undefined],
    ['a=b', 'a=b'],
    [' ; ', undefined],
  ])('%j without ours is %j', (header, rest) => expect(withoutSession(header)).toBe(rest));
});
