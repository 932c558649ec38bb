/** Ceiling of start and memory: the libraries of a service, loaded and connected, and nothing else. Tells its port when it is ready. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { Hono } from 'hono';
import { Kysely, PostgresDialect } from 'kysely';
import pg from 'pg';
import { pino } from 'pino';
import 'undici';
import 'ws';
import 'zod';

pino({ level: 'silent' });
new Hono();
const { host, username, password } = new URL(process.env['NATS_URL'] as string);
const nats = await connect({ servers: host, user: username, pass: password });
jetstream(nats);
const pool = new pg.Pool({ connectionString: process.env['DATABASE_URL'] });
new Kysely({ dialect: new PostgresDialect({ pool }) });
await pool.query('select 1');
const server = createServer((_, res) => res.end('ok'));
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
