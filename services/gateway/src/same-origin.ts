/** Whether a page of this very host asks (spec 1 §4.6). Such a page exists only where a canvas is proxied. */
import type { IncomingMessage } from 'node:http';

/** By `Referer` or `Origin`, which anybody can write: no proof, and no credential in production. */
export function isSameOrigin({ headers: { host, origin, referer } }: Pick<IncomingMessage, 'headers'>): boolean {
  if (host === undefined || host === '') return false;
  return ['http', 'https'].some((scheme) => {
    const own = `${scheme}://${host}`;
    return origin === own || referer === own || referer?.startsWith(`${own}/`) === true;
  });
}
