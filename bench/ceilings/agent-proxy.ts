/** One bare hop to `TARGET` for large bodies: both directions piped through a `node:http` agent, which is fastest for these. */
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';

const agent = new Agent({ keepAlive: true });
const target = new URL(process.env['TARGET'] as string);
const server = createServer((req, res) => {
  const { 'content-type': type, 'content-length': length } = req.headers;
  const headers = { 'content-type': type, 'content-length': length };
  const options = { agent, host: target.hostname, port: target.port, method: 'POST', path: req.url, headers };
  const upstream = request(options, (answer) => {
    res.writeHead(answer.statusCode as number, {
      'content-type': 'application/json',
      'content-length': String(answer.headers['content-length']),
    });
    answer.pipe(res);
  });
  req.pipe(upstream);
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
