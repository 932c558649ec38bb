/** Ceiling of the sockets: what comes from NATS goes to every WebSocket as it is; nobody is asked who they are, nothing is bounded. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from '@nats-io/transport-node';
import { WebSocketServer } from 'ws';

const { host, username, password } = new URL(process.env['NATS_URL'] as string);
const nats = await connect({ servers: host, user: username, pass: password });
const server = createServer();
const sockets = new WebSocketServer({ server, perMessageDeflate: false });
nats.subscribe('bench.frames', {
  callback: (_, message) => {
    const frame = message.string();
    for (const client of sockets.clients) client.send(frame);
  },
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
