/**
 * A bad link: passes TCP on to where it leads, and cuts connections where it is told to.
 *
 *   L1. What comes before the cut arrives, in both directions; of what comes after, nothing does.
 *   L2. Each connection gets a plan of its own when it is opened.
 */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** When to cut a connection: after so many bytes towards the server (`request`) or back (`answer`), and how the client sees it. */
export interface Cut {
  readonly after: 'request' | 'answer';
  readonly bytes: number;
  readonly how: 'end' | 'reset';
}

export interface Relay {
  readonly url: string;
  /** Connections it has cut so far. */
  readonly cuts: number;
  /** Connections that are open now, counted once. */
  readonly open: number;
  close(): Promise<void>;
}

/** `plan` is asked once per connection; `null`: it is left alone. */
export async function startRelay(to: string, plan: () => Cut | null): Promise<Relay> {
  const target = new URL(to);
  const clients = new Set<Socket>();
  let cuts = 0;

  const server = createServer((client) => {
    const cut = plan();
    const upstream = connect(Number(target.port), target.hostname);
    clients.add(client.on('close', () => clients.delete(client)));
    for (const socket of [client, upstream]) socket.on('error', () => undefined);

    const pass = (from: Socket, into: Socket, left: number) => {
      let room = left;
      from.on('data', (chunk) => {
        if (chunk.length < room) {
          room -= chunk.length;
          if (into.write(chunk)) return;
          from.pause();
          into.once('drain', () => from.resume());
          return;
        }
        from.pause().removeAllListeners('data');
        cuts++;
        // What was let through is on its way before the end of it is.
        into.write(chunk.subarray(0, room), () => {
          if (cut?.how === 'reset') client.resetAndDestroy();
          else client.end();
          upstream.destroy();
        });
      });
    };
    pass(client, upstream, cut?.after === 'request' ? cut.bytes : Number.POSITIVE_INFINITY);
    pass(upstream, client, cut?.after === 'answer' ? cut.bytes : Number.POSITIVE_INFINITY);
    client.on('close', () => upstream.destroy());
    upstream.on('end', () => client.end()).on('close', () => client.end());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get cuts() {
      return cuts;
    },
    get open() {
      return clients.size;
    },
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const client of clients) client.destroy();
      await closed;
    },
  };
}
