import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { NetGuard, type Resolve } from './guard.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

/** A server on loopback that counts the connections it gets. */
async function listenOn(host = '127.0.0.1', handler: Parameters<typeof createServer>[1] = (_, res) => res.end('hello')) {
  let connections = 0;
  const server: Server = createServer(handler as never).on('connection', () => connections++);
  server.listen(0, host);
  await once(server, 'listening');
  closing.push(async () => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
}

const poolOf = (guard: NetGuard, origin: string) => {
  const pool = guard.createPool(origin, { connectTimeoutMs: 2_000 });
  closing.push(() => pool.destroy());
  return pool;
};
const get = { method: 'GET', path: '/' } as const;
const code = async (request: Promise<unknown>) =>
  request.then(
    () => 'answered',
    (error: { code?: string }) => error.code,
  );

describe('a guarded pool', () => {
  it('reaches what may be reached, over a name and over literals', async () => {
    const { port } = await listenOn();
    const guard = new NetGuard({ mode: 'dev', resolve: async () => [{ address: '127.0.0.1', family: 4 }] });
    for (const host of ['agent.example', '127.0.0.1']) {
      const { statusCode, body } = await poolOf(guard, `http://${host}:${port}`).request(get);
      expect([statusCode, await body.text()]).toEqual([200, 'hello']);
    }
  });

  it('refuses literals before a connection is tried', async () => {
    const { port, connections } = await listenOn();
    const { port: port6, connections: connections6 } = await listenOn('::1');
    const strict = new NetGuard({ mode: 'strict' });
    expect(await code(poolOf(strict, `http://127.0.0.1:${port}`).request(get))).toBe('ERR_UNSAFE_DESTINATION');
    expect(await code(poolOf(strict, `http://[::1]:${port6}`).request(get))).toBe('ERR_UNSAFE_DESTINATION');
    expect(await code(poolOf(strict, `http://[::ffff:127.0.0.1]:${port}`).request(get))).toBe('ERR_UNSAFE_DESTINATION');
    expect(await code(poolOf(strict, `http://2130706433:${port}`).request(get))).toBe('ERR_UNSAFE_DESTINATION');
    expect([connections(), connections6()]).toEqual([0, 0]);
  });

  it('G2: leaves no window to rebind a name: what the first look-up said does not count for the dialling one', async () => {
    const { port, connections } = await listenOn();
    const answers = ['93.184.216.34', '127.0.0.1'];
    const asked: string[] = [];
    const resolve: Resolve = async (name) => {
      asked.push(name);
      return [{ address: answers[Math.min(asked.length, 2) - 1] as string, family: 4 }];
    };
    const guard = new NetGuard({ mode: 'strict', resolve });
    expect(await guard.check(`http://rebinding.example:${port}`, 'dispatch')).toMatchObject({ ok: true });
    expect(await code(poolOf(guard, `http://rebinding.example:${port}`).request(get))).toBe('ERR_UNSAFE_DESTINATION');
    expect(asked).toEqual(['rebinding.example', 'rebinding.example']);
    expect(connections()).toBe(0);
  });

  it('G2: dials the checked address, whatever the name means to anybody else', async () => {
    const { port, connections } = await listenOn();
    // For everybody else `localhost` is where the server listens; this guard is told of another address, and dials only that.
    const guard = new NetGuard({ mode: 'dev', resolve: async () => [{ address: '127.0.0.2', family: 4 }] });
    expect(await code(poolOf(guard, `http://localhost:${port}`).request(get))).toBe('ECONNREFUSED');
    expect(connections()).toBe(0);
  });

  it('G1: refuses a name with one bad address among good ones', async () => {
    const { port, connections } = await listenOn();
    const guard = new NetGuard({
      mode: 'dev',
      resolve: async () => [
        { address: '127.0.0.1', family: 4 },
        { address: '169.254.169.254', family: 4 },
      ],
    });
    expect(await code(poolOf(guard, `http://mixed.example:${port}`).request(get))).toBe('ERR_UNSAFE_DESTINATION');
    expect(connections()).toBe(0);
  });

  it('G1: refuses a name that does not resolve', async () => {
    const guard = new NetGuard({ mode: 'dev', resolve: async () => Promise.reject(new Error('ENOTFOUND')) });
    await expect(poolOf(guard, 'http://nowhere.example').request(get)).rejects.toMatchObject({ name: 'UnresolvedName' });
  });

  it('tries the next checked address when one is not listened on', async () => {
    const { port } = await listenOn('::1');
    const guard = new NetGuard({
      mode: 'dev',
      resolve: async () => [
        { address: '127.0.0.1', family: 4 },
        { address: '::1', family: 6 },
      ],
    });
    expect((await poolOf(guard, `http://both.example:${port}`).request(get)).statusCode).toBe(200);
  });

  it('G3: follows no redirect', async () => {
    const { port, connections } = await listenOn('127.0.0.1', (_, res) => {
      res.writeHead(302, { location: 'http://169.254.169.254/latest/meta-data' }).end();
    });
    const { statusCode, headers } = await poolOf(new NetGuard({ mode: 'dev' }), `http://127.0.0.1:${port}`).request(get);
    expect([statusCode, headers['location'], connections()]).toEqual([302, 'http://169.254.169.254/latest/meta-data', 1]);
  });

  it('takes a reset for no end: a body that was cut off is no answer', async () => {
    const { port } = await listenOn('127.0.0.1', (_, res) => {
      res.socket?.write('HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhalf', () => res.socket?.resetAndDestroy());
    });
    const { body } = await poolOf(new NetGuard({ mode: 'dev' }), `http://127.0.0.1:${port}`).request(get);
    await expect(body.text()).rejects.toMatchObject({ code: 'ECONNABORTED' });
  });

  it.each([
    ['timeout=1', 2],
    ['timeout=0', 2],
    ['timeout=30', 1],
  ])('heeds how long the other side keeps an idle connection: %s', async (hint, expected) => {
    const { port, connections } = await listenOn('127.0.0.1', (_, res) => {
      res.writeHead(200, { connection: 'keep-alive', 'keep-alive': hint }).end('hello');
    });
    const pool = poolOf(new NetGuard({ mode: 'dev' }), `http://127.0.0.1:${port}`);
    await (await pool.request(get)).body.text();
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve))); // the connection is free again, or gone
    await (await pool.request(get)).body.text();
    expect(connections()).toBe(expected);
  });

  it('uses a connection for one request at a time, and again for the next', async () => {
    let running = 0;
    let most = 0;
    const { port, connections } = await listenOn('127.0.0.1', (_, res) => {
      most = Math.max(most, ++running);
      setImmediate(() => {
        running--;
        res.end('hello');
      });
    });
    const pool = poolOf(new NetGuard({ mode: 'dev' }), `http://127.0.0.1:${port}`);
    for (let round = 0; round < 10; round++) expect(await (await pool.request(get)).body.text()).toBe('hello');
    expect(most).toBe(1);
    // undici opens a second one while the first is just becoming free; after that it reuses.
    expect(connections()).toBeLessThanOrEqual(2);
  });
});
