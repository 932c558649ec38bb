/** How a service says that it lives, that it can work, and what it counts: on a port of its own, never through the gateway. */
import { createServer, type ServerResponse } from 'node:http';
import type { ServiceHealth } from '@molecule/contracts';
import type { Registry } from 'prom-client';
import { EXPOSITION_TYPE, exposition } from './exposition.ts';
import { bind } from './listening.ts';
import type { Log } from './log.ts';
import type { Loops } from './loops.ts';

export interface HealthResult {
  readonly ok: boolean;
  /** For a person: what is wrong, or what is fine. No secrets. */
  readonly detail: string;
}

/** Asks one dependency how it is. May throw: that is a no. */
export type HealthCheck = () => Promise<HealthResult> | HealthResult;

/** A check that has not answered by then counts as failed. */
const CHECK_TIMEOUT_MS = 2_000;

/** Runs every check at once, each bounded. `ready` means that all said yes. Never rejects. */
export async function evaluateHealth({
  checks,
  loops,
  timeoutMs = CHECK_TIMEOUT_MS,
}: {
  readonly checks: Readonly<Record<string, HealthCheck>>;
  readonly loops: Loops;
  readonly timeoutMs?: number;
}): Promise<Pick<ServiceHealth, 'ready' | 'checks' | 'loops'>> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => [name, await bounded(check, timeoutMs)] as const),
  );
  return { ready: results.every(([, { ok }]) => ok), checks: Object.fromEntries(results), loops: loops.snapshot() };
}

async function bounded(check: HealthCheck, timeoutMs: number): Promise<HealthResult> {
  const { promise: late, resolve } = Promise.withResolvers<HealthResult>();
  const timer = setTimeout(() => resolve({ ok: false, detail: `no answer within ${timeoutMs} ms` }), timeoutMs);
  try {
    return await Promise.race([late, (async () => check())()]);
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? error.message : 'the check failed' };
  } finally {
    clearTimeout(timer);
  }
}

export interface OpsServerOptions {
  readonly port: number;
  readonly host: string;
  readonly checks: Readonly<Record<string, HealthCheck>>;
  readonly loops: Loops;
  readonly metrics: Registry;
  readonly log: Log;
}

/**
 * `GET /healthz` (the process lives), `/readyz` (200 or 503, with every check), `/metrics` (Prometheus text).
 *
 * @throws CannotListen
 */
export async function startOpsServer({
  port,
  host,
  checks,
  loops,
  metrics,
  log,
}: OpsServerOptions): Promise<{ port: number; close(): Promise<void> }> {
  const routes: Readonly<Record<string, (res: ServerResponse) => Promise<void>>> = {
    '/healthz': async (res) => answer(res, 200, { status: 'ok' }),
    '/readyz': async (res) => {
      const health = await evaluateHealth({ checks, loops });
      answer(res, health.ready ? 200 : 503, health);
    },
    '/metrics': async (res) => {
      res.writeHead(200, { 'content-type': EXPOSITION_TYPE }).end(await exposition([metrics]));
    },
  };
  const server = createServer((req, res) => {
    const [path = ''] = (req.url ?? '').split('?');
    const route = req.method === 'GET' && Object.hasOwn(routes, path) ? routes[path] : undefined;
    if (!route) return void res.writeHead(404, { 'content-type': 'text/plain' }).end('404 page not found');
    route(res).catch((error: unknown) => {
      log.error({ err: error, path }, 'the ops server failed to answer');
      if (!res.headersSent) res.writeHead(500);
      res.end();
    });
  });
  server.headersTimeout = 5_000;
  server.requestTimeout = 5_000;
  const boundPort = await bind(server, { port, host, setting: 'OPS_PORT' });
  server.on('error', (error) => log.error({ err: error }, 'the ops server has trouble'));
  return {
    port: boundPort,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

const answer = (res: ServerResponse, status: number, body: unknown): void => {
  res.writeHead(status, { 'content-type': 'application/json; charset=utf-8' }).end(JSON.stringify(body));
};
