/** An agent that is busy, resetting what comes, until it is told that it is free; then it answers at once what it was sent. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

let busy = true;
process.on('message', (now: { busy: boolean }) => {
  busy = now.busy;
});
const server = createServer((req, res) => {
  if (busy) return void req.socket.resetAndDestroy();
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', () => {
    const body = Buffer.concat(chunks);
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': String(body.length) }).end(body);
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
