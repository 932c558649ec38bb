/** The part of a control plane that pages of ours may use through us (spec 1 §4.10). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { posix } from 'node:path';
import { ReverseProxy } from '@molecule/http';
import type { Log } from '@molecule/service';
import { withoutSession } from '../cookies.ts';

const OPEN = [/^\/cp\/auth\//, /^\/cp\/orgs(\/|$)/, /^\/cp\/billing\//, /^\/cp\/templates(\/|$)/, /^\/cp\/legal\//];

/**
 * The path to ask for, or `null` when it is not to be asked for. It has to be open as it stands and as it reads decoded: whoever
 * decodes it later comes to no other place. Dots and slashes that are encoded twice have no honest use.
 */
export function controlPlanePath(path: string): string | null {
  const { pathname } = new URL(path, 'http://control-plane');
  let decoded: string;
  try {
    decoded = posix.normalize(decodeURIComponent(pathname).replaceAll('\\', '/'));
  } catch {
    return null;
  }
  if (/%(2e|2f|5c|25)/i.test(decoded)) return null;
  const isOpen = (candidate: string) => OPEN.some((pattern) => pattern.test(candidate));
  return isOpen(pathname) && isOpen(decoded) ? pathname : null;
}

export class ControlPlaneProxy {
  readonly #proxy: ReverseProxy;

  constructor(upstream: string, log: Log) {
    this.#proxy = new ReverseProxy(upstream, {
      unavailable: 'control plane unavailable',
      header: (name, value) => (name === 'cookie' ? withoutSession(value) : value),
      log,
    });
  }

  forward(request: IncomingMessage, response: ServerResponse, path: string): void {
    const open = controlPlanePath(path);
    if (open === null) response.writeHead(404, { 'content-length': '0' }).end();
    else void this.#proxy.forward(request, response, `${open}${(request.url ?? '').slice(path.length)}`);
  }

  close(): Promise<void> {
    return this.#proxy.close();
  }
}
