/** Ceiling of the reads: `node:http`, answering a body of `BYTES` bytes that was made once. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

const body = Buffer.alloc(Number(process.env['BYTES']), 'x');
const headers = { 'content-type': 'application/json', 'content-length': String(body.length) };
const server = createServer((_, res) => res.writeHead(200, headers).end(body));
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
