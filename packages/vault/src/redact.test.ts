import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { redact } from './redact.ts';

describe('what looks like a secret', () => {
  it.each([
    ['OPENAI_API_KEY=abc', '[REDACTED:API_KEY]'],
    ['export my_api_key = "abc" # mine', 'export [REDACTED:API_KEY] # mine'],
    ['GITHUB_TOKEN=\n  ghp', '[REDACTED:TOKEN]'],
    ['X_SECRET=a\u00a0b c', '[REDACTED:SECRET] c'],
    ['Authorization: Bearer abc.def, ok', 'Authorization: [REDACTED:BEARER_TOKEN] ok'],
    ['bearer abc', 'bearer abc'],
    [`sk-${'a'.repeat(16)}`, '[REDACTED:SK_TOKEN]'],
    [`sk-${'a'.repeat(15)}`, `sk-${'a'.repeat(15)}`],
    ['ctx7_a', '[REDACTED:CTX7_TOKEN]'],
    [`${'A'.repeat(33)}==.`, '[REDACTED:BASE64_BLOB].'],
    ['A'.repeat(32), 'A'.repeat(32)],
    ['API_KEY=abc', 'API_KEY=abc'],
    ['_TOKEN=abc', '_TOKEN=abc'],
    ['nothing to see', 'nothing to see'],
  ])('%j becomes %j', (text, expected) => expect(redact(text)).toBe(expected));

  it('is replaced by the first pattern that fits, in the order of the specification', () => {
    expect(redact('Bearer A_TOKEN=x')).toBe('[REDACTED:BEARER_TOKEN]');
    expect(redact(`A_SECRET=sk-${'a'.repeat(20)}`)).toBe('[REDACTED:SECRET]');
    expect(redact(`A_TOKEN=1 A_API_KEY=2 ctx7_${'b'.repeat(40)}`)).toBe(
      '[REDACTED:TOKEN] [REDACTED:API_KEY] [REDACTED:CTX7_TOKEN]',
    );
  });

  it('is gone after once: a second time finds nothing', () => {
    const word = fc.oneof(
      fc.constantFrom('A_API_KEY', 'b_TOKEN', 'C_SECRET', 'Bearer', 'sk-', 'ctx7_', '=', ' = ', ' ', '\n', '[', ']', 'x'),
      fc.stringMatching(/^[A-Za-z0-9+/]{0,40}={0,2}$/),
    );
    fc.assert(
      fc.property(fc.array(word, { maxLength: 12 }), (words) => {
        const once = redact(words.join(''));
        expect(redact(once)).toBe(once);
      }),
      { numRuns: 500 },
    );
  });
});
