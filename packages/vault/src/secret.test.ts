import { inspect } from 'node:util';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SecretUnreadable, Vault } from './secret.ts';

const KEY = Buffer.alloc(32, 1);
const vault = new Vault(KEY);
const CANARY = 'canary-value-of-a-secret';

/** What is thrown, whole: message, stack, causes. */
const thrownBy = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    expect(error).toBeInstanceOf(SecretUnreadable);
    return inspect(error, { depth: 5 });
  }
  throw new Error('nothing was thrown');
};

describe('a sealed secret', () => {
  it('opens to what was sealed, with a key and without', () =>
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), (text) => {
        for (const each of [vault, new Vault(null)]) expect(each.open(each.seal(text))).toBe(text);
      }),
    ));

  it('is nonce, ciphertext and tag, of version 1; without a key it is the text itself, of version 0', () => {
    const { version, value } = vault.seal(CANARY);
    expect([version, value.length]).toEqual([1, 12 + CANARY.length + 16]);
    expect(value.toString('latin1')).not.toContain(CANARY);
    expect(new Vault(null).seal(CANARY)).toEqual({ version: 0, value: Buffer.from(CANARY) });
    expect([vault.encrypts, new Vault(null).encrypts]).toEqual([true, false]);
  });

  it('never has the nonce of another', () => {
    const nonces = Array.from({ length: 2_000 }, () => vault.seal('same').value.subarray(0, 12).toString('hex'));
    expect(new Set(nonces).size).toBe(nonces.length);
  });

  it('V1: opens in the form it has: what is plain stays readable when a key came', () =>
    expect(vault.open({ version: 0, value: Buffer.from('old') })).toBe('old'));

  it('V2: is refused when one bit of it is another', () =>
    fc.assert(
      fc.property(fc.string(), fc.nat(), fc.nat(7), (text, at, bit) => {
        const { version, value } = vault.seal(text);
        const index = at % value.length;
        value.writeUInt8(value.readUInt8(index) ^ (1 << bit), index);
        expect(() => vault.open({ version, value })).toThrow(SecretUnreadable);
      }),
    ));

  it('V2: is refused when some of it is missing, or too much', () => {
    const { version, value } = vault.seal(CANARY);
    for (let length = 0; length < value.length; length++) {
      expect(() => vault.open({ version, value: value.subarray(0, length) })).toThrow(SecretUnreadable);
    }
    expect(() => vault.open({ version, value: Buffer.concat([value, Buffer.alloc(1)]) })).toThrow(SecretUnreadable);
  });

  it.each([2, -1, 255])('V2: is refused in the unknown form %i', (version) =>
    expect(() => vault.open({ version, value: Buffer.from(CANARY) })).toThrow('a form that is not known here'),
  );

  it('V3: says nothing of the key or the value when it does not open', () => {
    const sealed = vault.seal(CANARY);
    const altered = { version: 1, value: Buffer.concat([sealed.value.subarray(0, -1), Buffer.of(0, 1)]) };
    const texts = [
      thrownBy(() => new Vault(Buffer.alloc(32, 2)).open(sealed)),
      thrownBy(() => new Vault(null).open(sealed)),
      thrownBy(() => vault.open(altered)),
      thrownBy(() => vault.open({ version: 9, value: Buffer.from(CANARY) })),
    ];
    for (const text of texts) {
      for (const hidden of [CANARY, KEY.toString('hex'), KEY.toString('base64'), sealed.value.toString('hex').slice(0, 16)]) {
        expect(text).not.toContain(hidden);
      }
    }
    expect(inspect(vault, { depth: 5, showHidden: true })).not.toContain('01 01 01');
  });
});
