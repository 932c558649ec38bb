/** The cookie of a canvas session: out of reach of scripts, never sent from another site, and over TLS alone except on this machine. */
import { SESSION_COOKIE } from '@molecule/contracts';

export interface CookieOptions {
  readonly maxAgeSeconds: number;
  /** The `Host` that the request was sent to. */
  readonly host: string | undefined;
}

/** A `Set-Cookie` header. */
export const setSession = (value: string, { maxAgeSeconds, host }: CookieOptions): string =>
  [
    `${SESSION_COOKIE}=${value}`,
    'Path=/',
    `Max-Age=${maxAgeSeconds}`,
    'HttpOnly',
    'SameSite=Strict',
    ...(isLoopback(host) ? [] : ['Secure']),
  ].join('; ');

/** The one that takes it back. */
export const clearSession = (host: string | undefined): string => setSession('', { maxAgeSeconds: 0, host });

/** Browsers send no `Secure` cookie to plain HTTP, not even on the own machine everywhere. */
function isLoopback(host: string | undefined): boolean {
  const name = (host ?? '').replace(/:\d+$/, '').toLowerCase();
  return name === 'localhost' || name.endsWith('.localhost') || name === '[::1]' || /^127(\.\d{1,3}){3}$/.test(name);
}
