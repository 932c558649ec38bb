/** A node server with bounds on how slowly a request may come in, and an end that lets running requests finish. */
import { createServer, type Server } from 'node:http';
import type { Socket } from 'node:net';
import { bind, type Log } from '@molecule/service';
import type { Listener } from './listener.ts';

/** A request's head must be in by then; a slow-loris gets 408. */
const HEADERS_TIMEOUT_MS = 15_000;
/** So must its body. The answer may take as long as it likes: an A2A call lasts up to half an hour. */
const REQUEST_TIMEOUT_MS = 300_000;
const CHECK_INTERVAL_MS = 5_000;
/** Longer than any client of ours keeps an idle connection (`UPSTREAM_IDLE_MS`): the server never closes under a request. */
export const SERVER_IDLE_MS = 65_000;
/** How often a closing server looks for connections that have become idle. */
const DRAIN_STEP_MS = 25;

export interface Listening {
  readonly port: number;
  readonly url: string;
  /** For upgrades (WebSocket). */
  readonly server: Server;
  /** Takes nothing new, waits for running requests up to `graceMs`, then ends what is left. Never rejects. */
  close(graceMs: number): Promise<void>;
}

export interface ListenOptions {
  /** 0 takes any free one. */
  readonly port: number;
  readonly host: string;
  readonly log: Log;
}

/** @throws CannotListen, saying which port and what to do */
export async function listen(listener: Listener, { port, host, log }: ListenOptions): Promise<Listening> {
  const server = createServer(
    {
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: SERVER_IDLE_MS,
      connectionsCheckingInterval: CHECK_INTERVAL_MS,
      noDelay: true,
    },
    (req, res) => {
      if (closing) res.shouldKeepAlive = false;
      listener(req, res);
    },
  );
  let closing: Promise<void> | undefined;
  const sockets = new Set<Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });

  const boundPort = await bind(server, { port, host });
  server.on('error', (error) => log.error({ err: error }, 'the server has trouble'));
  const shownHost = host.includes(':') ? `[${host}]` : host;

  const drain = (graceMs: number): Promise<void> =>
    new Promise((resolve) => {
      const step = setInterval(() => server.closeIdleConnections(), DRAIN_STEP_MS);
      // Node does not count a connection as idle before its first request.
      for (const socket of sockets) if (socket.bytesRead === 0) socket.destroy();
      const giveUp = setTimeout(() => {
        log.warn({ connections: sockets.size, graceMs }, 'ending connections that did not finish in time');
        for (const socket of sockets) socket.destroy();
      }, graceMs);
      server.close(() => {
        clearInterval(step);
        clearTimeout(giveUp);
        resolve();
      });
      server.closeIdleConnections();
    });

  return {
    port: boundPort,
    url: `http://${shownHost}:${boundPort}`,
    server,
    close: (graceMs) => {
      closing ??= drain(graceMs);
      return closing;
    },
  };
}
