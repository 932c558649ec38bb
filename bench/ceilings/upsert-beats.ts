/** What the batched beats are compared with: one committed row per beat, through the same kind of server. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import pg from 'pg';

const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'], max: 16 });
await pool.query('create table if not exists bench_beats (id text primary key, body jsonb, at timestamptz)');
const server = createServer((req, res) => {
  const chunks: Buffer[] = [];
  req.on('data', (chunk: Buffer) => chunks.push(chunk));
  req.on('end', async () => {
    const text = Buffer.concat(chunks).toString();
    const { workspace_id } = JSON.parse(text) as { workspace_id: string };
    await pool.query({
      name: 'upsert',
      text: 'insert into bench_beats values ($1, $2, now()) on conflict (id) do update set body = excluded.body, at = excluded.at',
      values: [workspace_id, text],
    });
    res.writeHead(200, { 'content-type': 'application/json', 'content-length': '15' }).end('{"status":"ok"}');
  });
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
