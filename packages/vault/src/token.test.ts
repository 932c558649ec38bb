import { expect, it } from 'vitest';
import { mintToken, tokenHash } from './token.ts';

it('is 43 characters of base64url, its hash and its prefix; never the same twice', () => {
  const [one, other] = [mintToken(), mintToken()];
  expect(one.plaintext).toMatch(/^[\w-]{43}$/);
  expect(one).toEqual({ plaintext: one.plaintext, hash: tokenHash(one.plaintext), prefix: one.plaintext.slice(0, 8) });
  expect(one.plaintext).not.toBe(other.plaintext);
});

it('is hashed by SHA-256, in hex', () =>
  expect(tokenHash('abc')).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'));
