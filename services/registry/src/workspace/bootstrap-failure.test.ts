import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bootstrapFailure, headOf, tailOf } from './bootstrap-failure.ts';

const texts = fc.string({ unit: 'grapheme', maxLength: 40 });
const bytesOf = (text: string) => Buffer.byteLength(text);

describe('a text that is cut', () => {
  it.each([
    ['abc', 3, 'abc', 'abc'],
    ['abcd', 3, 'abc', 'bcd'],
    ['aé', 2, 'a', 'é'],
    ['éa', 2, 'é', 'a'],
    ['€€', 4, '€', '€'],
    ['😀😀', 7, '😀', '😀'],
    ['😀', 3, '', ''],
    ['', 0, '', ''],
  ])('%j to %d bytes begins with %j and ends with %j', (text, maxBytes, head, tail) => {
    expect([headOf(text, maxBytes), tailOf(text, maxBytes)]).toEqual([head, tail]);
  });

  it('is as long as it may be, part of what it was, and whole in every character', () => {
    fc.assert(
      fc.property(texts, fc.nat(60), (text, maxBytes) => {
        const [head, tail] = [headOf(text, maxBytes), tailOf(text, maxBytes)];
        expect(text.startsWith(head)).toBe(true);
        expect(text.endsWith(tail)).toBe(true);
        for (const part of [head, tail]) {
          expect(part.isWellFormed()).toBe(true);
          expect(bytesOf(part)).toBeLessThanOrEqual(maxBytes);
          // At most three bytes of a character that did not fit are given up.
          expect(bytesOf(part)).toBeGreaterThanOrEqual(Math.min(bytesOf(text), maxBytes - 3));
        }
      }),
    );
  });
});

describe('a report of a failed start', () => {
  it('is kept as it is when it is short', () =>
    expect(bootstrapFailure({ error: '  no image ', logTail: 'line\n' })).toEqual({
      kind: 'bootstrap-failed',
      error: 'no image',
      logTail: 'line\n',
      sampleError: 'no image\n\nline\n',
    }));

  it('has a text of its own where it says nothing', () =>
    expect(bootstrapFailure({ error: ' \n', logTail: 'x' })).toMatchObject({
      error: 'bootstrap failed — see log_tail',
      sampleError: 'bootstrap failed — see log_tail\n\nx',
    }));

  it('keeps 8192 bytes of the log, the last ones, and of what is shown the first ones', () => {
    const exactly = 'é'.repeat(4_096);
    expect(bootstrapFailure({ error: 'e', logTail: exactly })).toMatchObject({ logTail: exactly });
    const report = bootstrapFailure({ error: 'e', logTail: `${'é'.repeat(4_096)}a` });
    expect(report).toEqual({
      kind: 'bootstrap-failed',
      error: 'e',
      logTail: `...(truncated)...\n${'é'.repeat(4_095)}a`,
      sampleError: `e\n\n...(truncated)...\n${'é'.repeat(4_085)}`,
    });
    expect(bootstrapFailure({ error: 'x'.repeat(9_000), logTail: '' })).toMatchObject({
      error: 'x'.repeat(8_192),
      sampleError: 'x'.repeat(8_192),
    });
  });
});
