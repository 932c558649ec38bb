/** What the tests of this package share: contexts to sign, servers on loopback, raw sockets. */
import { once } from 'node:events';
import type { IncomingMessage, RequestListener, Server } from 'node:http';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { type Identity, type Principal, principalOf, type RequestContext } from '@molecule/contracts';
import { createLog, type Log } from '@molecule/service';

export const KEY = 'k'.repeat(32);

/** A logger, and what was written to it. */
export function recordingLog(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const log = createLog({ service: 'registry', level: 'info', destination: { write: (line: string) => void lines.push(line) } });
  return { log, lines };
}

export const principal = (identity: Identity, rest: Partial<Principal> = {}): Principal =>
  principalOf(identity, { adminTokenSet: false, ...rest });

export const contextOf = (identity: Identity, rest: Partial<Principal> = {}): RequestContext => ({
  principal: principal(identity, rest),
  peer: '127.0.0.1',
  requestId: 'request-1',
  beats: null,
});

/** Things to close after a test, last first. */
export class Closing {
  readonly #closes: (() => unknown)[] = [];

  add<Thing>(thing: Thing, close: (thing: Thing) => unknown): Thing {
    this.#closes.push(() => close(thing));
    return thing;
  }

  async all(): Promise<void> {
    for (const close of this.#closes.splice(0).toReversed()) await close();
  }
}

export interface TestServer {
  readonly server: Server;
  readonly port: number;
  readonly url: string;
  connections(): number;
}

export async function startServer(closing: Closing, handler: RequestListener, port = 0): Promise<TestServer> {
  let connections = 0;
  const server = createServer(handler).on('connection', () => connections++);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  closing.add(server, () => {
    server.closeAllConnections();
    server.close();
  });
  const { port: bound } = server.address() as AddressInfo;
  return { server, port: bound, url: `http://127.0.0.1:${bound}`, connections: () => connections };
}

/** A port that nobody listens on. */
export async function deadPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Sends bytes as they are, and gives what came back when the server ended the connection. */
export async function exchange(port: number, bytes: string | Uint8Array): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined);
  socket.write(bytes);
  await once(socket, 'close');
  return Buffer.concat(chunks).toString();
}

export async function textOf(req: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of req) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
