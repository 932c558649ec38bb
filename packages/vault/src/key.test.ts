import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readEncryptionKey } from './key.ts';

const kindOf = (text: string | undefined) => readEncryptionKey(text).kind;

describe('SECRETS_ENCRYPTION_KEY', () => {
  it.each<[string, string | undefined, string]>([
    ['nothing', undefined, 'missing'],
    ['an empty text', '', 'missing'],
    ['base64 of 32 bytes', Buffer.alloc(32, 7).toString('base64'), 'key'],
    ['base64 of 31 bytes', Buffer.alloc(31).toString('base64'), 'invalid'],
    ['base64 of 33 bytes', Buffer.alloc(33).toString('base64'), 'invalid'],
    ['32 characters that are no base64', '-'.repeat(32), 'key'],
    ['32 bytes in fewer characters', 'ä'.repeat(16), 'key'],
    ['32 characters of more bytes', 'ä'.repeat(32), 'invalid'],
    ['32 characters that happen to be base64: 24 bytes', 'abcdefghijklmnopqrstuvwxyz012345', 'invalid'],
    ['base64url', Buffer.alloc(32, 0xff).toString('base64url'), 'invalid'],
    ['base64 without its padding', Buffer.alloc(32).toString('base64').replace('=', ''), 'invalid'],
    ['something shorter', 'hunter2', 'invalid'],
  ])('%s', (_what, text, kind) => expect(kindOf(text)).toBe(kind));

  it('is the very bytes that were encoded', () =>
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
        const reading = readEncryptionKey(Buffer.from(bytes).toString('base64'));
        expect(reading).toEqual({ kind: 'key', key: Buffer.from(bytes) });
      }),
    ));
});
