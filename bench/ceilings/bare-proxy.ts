/** One bare hop to `TARGET`: request buffered, answer streamed, an undici pool on the raw response; no other work. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Pool } from 'undici';

const pool = new Pool(process.env['TARGET'] as string, { connections: 128 });
const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', async () => {
    const answer = await pool.request({
      method: 'POST',
      path: req.url as string,
      headers: { 'content-type': 'application/json' },
      body: Buffer.concat(chunks),
    });
    const length = answer.headers['content-length'];
    res.writeHead(answer.statusCode, {
      'content-type': String(answer.headers['content-type']),
      ...(length !== undefined && { 'content-length': String(length) }),
    });
    answer.body.pipe(res);
  });
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
