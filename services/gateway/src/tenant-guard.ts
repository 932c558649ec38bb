/** In a platform that belongs to one organisation, requests that were meant for another are not here (spec 1 §4.10). */
import type { IncomingMessage } from 'node:http';
import { isSameOrigin } from './same-origin.ts';

const OPEN_PATHS: ReadonlySet<string> = new Set(['/health', '/metrics', '/registry/register', '/registry/heartbeat']);
const CONTROL_PLANE = '/cp/';

export interface TenantGuardOptions {
  readonly orgId: string;
  /** A canvas is proxied: its pages pass. */
  readonly canvasProxied: boolean;
}

export class TenantGuard {
  readonly #orgId: string;
  readonly #canvasProxied: boolean;

  constructor({ orgId, canvasProxied }: TenantGuardOptions) {
    this.#orgId = orgId;
    this.#canvasProxied = canvasProxied;
  }

  passes(request: Pick<IncomingMessage, 'headers'>, path: string): boolean {
    if (OPEN_PATHS.has(path) || path.startsWith(CONTROL_PLANE)) return true;
    const { 'x-molecule-org-id': named, 'fly-replay-src': replayed } = request.headers;
    return (
      named === this.#orgId ||
      (typeof replayed === 'string' && stateOf(replayed) === this.#orgId) ||
      (this.#canvasProxied && isSameOrigin(request))
    );
  }
}

/** `instance=x;region=y;state=z` → `z`. */
const stateOf = (replayed: string): string | undefined =>
  replayed
    .split(';')
    .map((segment) => segment.trim())
    .find((segment) => segment.startsWith('state='))
    ?.slice('state='.length);
