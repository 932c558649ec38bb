/** Cookies, as far as the edge reads them. */
import { SESSION_COOKIE } from '@molecule/contracts';

const pairs = (header: string): string[] =>
  header
    .split(';')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '');

/** The value of the first cookie of that name. */
export function cookieOf(header: string, name: string): string | undefined {
  const start = `${name}=`;
  return pairs(header)
    .find((pair) => pair.startsWith(start))
    ?.slice(start.length)
    .replace(/^"(.*)"$/, '$1');
}

/** What is left of a `Cookie` header without our own session, which is nobody else's business; `undefined`: nothing. */
export function withoutSession(header: string): string | undefined {
  const others = pairs(header).filter((pair) => !pair.startsWith(`${SESSION_COOKIE}=`));
  return others.length === 0 ? undefined : others.join('; ');
}
