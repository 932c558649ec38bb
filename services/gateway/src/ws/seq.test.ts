/** The places that clients come back with. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { isLater, parseSeq, seqOf, streamMark } from './seq.ts';

const epoch = '2026-11-22T12:00:00.123456789Z';

describe('a seq', () => {
  it('says stream and sequence, and is read as it was written', () => {
    expect(seqOf({ epoch, sequence: 42 })).toBe(`${streamMark(epoch)}-42`);
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true, min: new Date(0) }), fc.maxSafeNat(), (made, sequence) => {
        const place = { epoch: made.toISOString(), sequence };
        expect(parseSeq(seqOf(place))).toEqual({ stream: streamMark(place.epoch), sequence });
      }),
    );
  });

  it.each([
    '',
    '-',
    'x',
    '42',
    `${streamMark(epoch)}-`,
    'x-1.5',
    'x--1',
    'x-01',
    'x-1e3',
    ' x-1',
    'X-1',
    `x-${'9'.repeat(16)}`,
    'x-1\n',
  ])('%j is none of ours', (text) => expect(parseSeq(text)).toBeUndefined());
});

it('a place is later further on in a stream, or in a stream that was made later', () => {
  const place = { epoch, sequence: 5 };
  expect(isLater({ epoch, sequence: 6 }, place)).toBe(true);
  expect(isLater(place, place)).toBe(false);
  expect(isLater({ epoch: '2026-11-23T00:00:00Z', sequence: 1 }, place)).toBe(true);
  expect(isLater({ epoch: '2026-11-21T00:00:00Z', sequence: 9 }, place)).toBe(false);
});
