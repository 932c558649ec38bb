import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { signContext, verifyContext } from './context.ts';
import { contextOf, KEY } from './testing.ts';

const context = { ...contextOf({ kind: 'workspace', workspaceId: 'w', tokenId: 't' }), beats: { gateway: 'g', seq: 7 } };
const now = Date.parse('2026-01-01T00:00:00Z');
const signed = signContext(context, KEY, now);

/** A header with any payload, signed as it should be. */
const forge = (payload: unknown, key = KEY): string => {
  const text = Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)).toString('base64url');
  return `v1.${text}.${createHmac('sha256', key).update(`v1.${text}`).digest('base64url')}`;
};

describe('a signed context', () => {
  it('comes back as it was', () => {
    expect(verifyContext(signed, KEY, now)).toEqual(context);
    expect(verifyContext(signed, KEY, now + 60_000)).toEqual(context);
    expect(verifyContext(signed, KEY, now - 60_000)).toEqual(context);
  });

  it.each(['', 'k', KEY, 'k'.repeat(64), 'k'.repeat(65), 'ключ'.repeat(40)])(
    'is signed as HMAC-SHA-256 signs it, under %j',
    (key) => {
      for (const long of [context, { ...context, peer: 'p'.repeat(20_000) }, context]) {
        const [version, payload, signature] = signContext(long, key, now).split('.');
        expect(signature).toBe(createHmac('sha256', key).update(`${version}.${payload}`).digest('base64url'));
        expect(verifyContext(`${version}.${payload}.${signature}`, key, now)).toEqual(long);
      }
    },
  );

  it('is a header value, whatever is in it', () => {
    const odd = signContext({ ...context, requestId: 'a\r\nx: y\u2028é' }, KEY, now);
    expect(odd).toMatch(/^[\w.-]+$/);
    expect(verifyContext(odd, KEY, now)?.requestId).toBe('a\r\nx: y\u2028é');
  });
});

describe('C2: no context', () => {
  it('is what is too old, or from the future', () => {
    expect(verifyContext(signed, KEY, now + 60_001)).toBeNull();
    expect(verifyContext(signed, KEY, now - 60_001)).toBeNull();
  });

  it('is what another key signed', () => {
    expect(verifyContext(signed, `${KEY}x`, now)).toBeNull();
    expect(verifyContext(forge({ iat: now, context }, 'other'), KEY, now)).toBeNull();
  });

  it('is what was altered, at any place', () => {
    for (let index = 0; index < signed.length; index++) {
      const altered = `${signed.slice(0, index)}${signed[index] === 'A' ? 'B' : 'A'}${signed.slice(index + 1)}`;
      expect(verifyContext(altered, KEY, now)).toBeNull();
    }
  });

  it.each([
    undefined,
    '',
    '.',
    '..',
    'v1..',
    'v1.e30.',
    signed.slice(0, -4),
    `${signed}.x`,
    signed.replace('v1', 'v2'),
    `x${signed}`,
  ])('is %j', (header) => {
    expect(verifyContext(header, KEY, now)).toBeNull();
  });

  it.each([
    'not json',
    'null',
    '[]',
    { iat: now },
    { iat: 'now', context },
    { iat: null, context },
    { context },
    { iat: now, context: { ...context, principal: { identity: { kind: 'root' } } } },
    { iat: now, context: { requestId: 'x' } },
  ])('is a well signed %j', (payload) => {
    expect(verifyContext(forge(payload), KEY, now)).toBeNull();
  });
});
