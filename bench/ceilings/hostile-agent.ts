/** Agents that go wrong, each call in another way, after they have held it for `HOLD_MS`: what the neighbours of F12 live beside. */
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const holdMs = Number(process.env['HOLD_MS'] ?? 2_000);
const LARGE = Buffer.alloc(12 * 1024 * 1024, ' ');

type Way = (response: ServerResponse) => unknown;
const raw =
  (text: string): Way =>
  ({ socket }) =>
    socket?.end(text);

const WAYS: readonly Way[] = [
  ({ socket }) => socket?.destroy(),
  ({ socket }) => socket?.resetAndDestroy(),
  (response) => response.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data' }).end(),
  (response) => response.writeHead(500, { 'content-type': 'text/html' }).end('<html>'),
  (response) => response.writeHead(200).end(Buffer.from([0xff, 0xfe, 0x00, 0x80])),
  (response) => response.writeHead(200, { 'content-length': LARGE.length }).end(LARGE),
  raw(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(10_000)}\r\n`),
  raw('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{'),
  async (response) => {
    response.writeHead(200, { 'content-length': 100 });
    for (let bytes = 0; bytes < 20 && !response.destroyed; bytes++) {
      response.write('x');
      await delay(holdMs / 20);
    }
    response.destroy();
  },
];

let turn = 0;
const server = createServer((request, response) => {
  request.resume();
  response.on('error', () => undefined);
  const nth = turn++;
  // Not all at once: between half of the time and one and a half of it.
  setTimeout(() => WAYS[nth % WAYS.length]?.(response), holdMs * (0.5 + ((nth * 0.618) % 1)));
});
server.on('connection', (socket) => socket.on('error', () => undefined));
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
