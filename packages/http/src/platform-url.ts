/** Where this platform is reached from outside: what it is told, else what the request says of how it came here. */
import { TLSSocket } from 'node:tls';
import type { Context } from 'hono';
import type { NodeBindings } from './app.ts';

export interface RequestOrigin {
  /** The setting that overrides everything else. */
  readonly configured: string | undefined;
  readonly forwardedProto: string | undefined;
  readonly forwardedHost: string | undefined;
  readonly host: string | undefined;
  readonly tls: boolean;
}

/** What is put into snippets that somebody will run, and into cards, is a host and a port, and nothing else. */
const AUTHORITY = /^[\w.-]+(:\d+)?$|^\[[\da-fA-F:.]+\](:\d+)?$/;

/** Where agents reach this platform, without a trailing slash. */
export function platformUrl({ configured, forwardedProto, forwardedHost, host, tls }: RequestOrigin): string {
  const scheme = forwardedProto === 'https' || forwardedProto === 'http' ? forwardedProto : tls ? 'https' : 'http';
  const authority = [forwardedHost, host].find((text) => text !== undefined && AUTHORITY.test(text)) ?? 'localhost';
  const url = configured ?? `${scheme}://${authority}`;
  return url.endsWith('/') ? url.slice(0, -1) : url;
}

/** What a request says of it. `configured`: the setting. */
export const originOf = (c: Context, configured: string | undefined): RequestOrigin => ({
  configured,
  forwardedProto: c.req.header('x-forwarded-proto'),
  forwardedHost: c.req.header('x-forwarded-host'),
  host: c.req.header('host'),
  tls: (c.env as NodeBindings | undefined)?.incoming?.socket instanceof TLSSocket,
});
