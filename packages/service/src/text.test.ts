import { isWorkspaceId } from '@molecule/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { derivedId, firstBytes } from './text.ts';

describe('an id made from text', () => {
  it('is a UUID, and that of the text', () => {
    expect(derivedId('a')).toBe('ca978112-ca1b-8dca-8ac2-31b39a23dc4d');
    fc.assert(
      fc.property(fc.string(), fc.string(), (one, other) => {
        expect(isWorkspaceId(derivedId(one))).toBe(true);
        expect(derivedId(one) === derivedId(other)).toBe(one === other);
      }),
    );
  });
});

describe('the beginning of a text', () => {
  it.each([
    ['short', 5, 'short'],
    ['longer', 5, 'longe'],
    ['aäöü', 4, 'aä'],
    ['\u{1f600}x', 3, ''],
  ])('%j in %i bytes is %j', (text, bytes, expected) => expect(firstBytes(text, bytes)).toBe(expected));
});
