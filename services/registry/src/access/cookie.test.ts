import { describe, expect, it } from 'vitest';
import { clearSession, setSession } from './cookie.ts';

describe('the cookie of a session', () => {
  it('is for the server alone, for this site alone, and for TLS alone', () =>
    expect(setSession('secret', { maxAgeSeconds: 60, host: 'molecule.example' })).toBe(
      'molecule_session=secret; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure',
    ));

  it('is taken back in the same words', () =>
    expect(clearSession('molecule.example')).toBe('molecule_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict; Secure'));

  it.for<[host: string | undefined, secure: boolean]>([
    ['localhost', false],
    ['LOCALHOST:8080', false],
    ['canvas.localhost:3000', false],
    ['127.0.0.1', false],
    ['127.9.9.9:8080', false],
    ['[::1]:8080', false],
    ['10.0.0.1:8080', true],
    ['127.0.0.1.evil.example', true],
    ['localhost.evil.example', true],
    ['notlocalhost', true],
    ['[2001:db8::1]:8080', true],
    ['', true],
    [undefined, true],
  ])('asked as %s: over TLS alone is %s', ([host, secure]) =>
    expect(setSession('x', { maxAgeSeconds: 1, host }).endsWith('; Secure')).toBe(secure),
  );
});
