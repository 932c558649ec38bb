import { once } from 'node:events';
import { connect } from 'node:net';
import { request } from 'undici';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Closing, deadPort, exchange, startServer } from './testing.ts';
import { answerText, startHops } from './testing-hops.ts';

const closing = new Closing();
afterEach(() => closing.all());
const { start, startGateway, startTcp } = startHops(closing);

describe('a client that goes away', () => {
  /** Sends a request by hand, and hangs up when told to. */
  const client = async (port: number, head: string) => {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    await once(socket, 'connect');
    socket.write(head);
    return socket;
  };

  it('U3: ends its GET upstream', async () => {
    const ended = Promise.withResolvers<void>();
    const { gateway } = await start((_, res) => {
      res.on('close', () => ended.resolve());
      res.writeHead(200).write('data: 1\n\n');
    });
    const socket = await client(gateway.port, 'GET /events HTTP/1.1\r\nHost: x\r\n\r\n');
    await once(socket, 'data');
    socket.destroy();
    await ended.promise;
    await Promise.all(gateway.settled);
  });

  it('U3: ends its GET upstream also before there is an answer', async () => {
    const begun = Promise.withResolvers<void>();
    const ended = Promise.withResolvers<void>();
    const { gateway } = await start((_, res) => {
      res.on('close', () => ended.resolve());
      begun.resolve();
    });
    const socket = await client(gateway.port, 'GET /slow HTTP/1.1\r\nHost: x\r\n\r\n');
    await begun.promise;
    socket.destroy();
    await ended.promise;
    await Promise.all(gateway.settled);
    expect(gateway.lines).toEqual([]);
  });

  it.each(['POST', 'PUT', 'DELETE'])('U3: does not end its %s, whose answer is read to the end', async (method) => {
    const begun = Promise.withResolvers<() => void>();
    const outcome = Promise.withResolvers<string>();
    const { gateway } = await start((_, res) => {
      res.on('finish', () => outcome.resolve('finished')).on('close', () => outcome.resolve('aborted'));
      begun.resolve(() => res.end('x'.repeat(5_000_000)));
    });
    const socket = await client(gateway.port, `${method} /a2a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}`);
    const finish = await begun.promise;
    socket.destroy();
    await once(socket, 'close');
    finish();
    expect(await outcome.promise).toBe('finished');
    await Promise.all(gateway.settled);
  });

  it('U3: does not stop a POST whose answer it had begun to read slowly', async () => {
    const outcome = Promise.withResolvers<string>();
    const { gateway } = await start((_, res) => {
      res.on('finish', () => outcome.resolve('finished')).on('close', () => outcome.resolve('aborted'));
      res.end('x'.repeat(50_000_000));
    });
    const socket = await client(gateway.port, 'POST /a2a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}');
    await once(socket, 'data');
    socket.pause();
    socket.destroy();
    expect(await outcome.promise).toBe('finished');
    await Promise.all(gateway.settled);
  });

  it('U3: ends the stream of events that its POST is answered with: what becomes of the work the service knows', async () => {
    const ended = Promise.withResolvers<void>();
    const { gateway } = await start((_, res) => {
      res.on('close', () => ended.resolve());
      res.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' }).write('data: 1\n\n');
    });
    const socket = await client(gateway.port, 'POST /a2a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}');
    await once(socket, 'data');
    socket.destroy();
    await ended.promise;
    await Promise.all(gateway.settled);
    expect(gateway.lines).toEqual([]);
  });

  it('U3: ends it also when it has gone before the stream began', async () => {
    const ended = Promise.withResolvers<void>();
    const begun = Promise.withResolvers<() => void>();
    const { gateway } = await start((_, res) => {
      res.on('close', () => ended.resolve());
      begun.resolve(() => res.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n'));
    });
    const socket = await client(gateway.port, 'POST /a2a HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}');
    const begin = await begun.promise;
    socket.destroy();
    await once(socket, 'close');
    begin();
    await ended.promise;
    await Promise.all(gateway.settled);
  });

  it('is not taken for whole when it goes in the middle of its body', async () => {
    const outcome = Promise.withResolvers<string>();
    const { gateway } = await start((req) => {
      req
        .on('end', () => outcome.resolve('whole'))
        .on('close', () => outcome.resolve('broken'))
        .on('error', () => undefined)
        .resume();
    });
    const socket = await client(
      gateway.port,
      `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n${'x'.repeat(500_000)}`,
    );
    await new Promise((resolve) => socket.write('x', resolve));
    socket.end();
    expect(await outcome.promise).toBe('broken');
    await Promise.all(gateway.settled);
  });

  it('reaches no service when it goes before a small body is there', async () => {
    let asked = 0;
    const { gateway } = await start(() => asked++);
    const socket = await client(gateway.port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf');
    await once(gateway.server, 'request');
    socket.destroy();
    await Promise.all(gateway.settled);
    expect(asked).toBe(0);
  });
});

describe('a service that is not well', () => {
  const unavailable = [503, '{"error":"platform datastore unavailable — retry shortly","code":"platform_unavailable"}'];

  it('is platform_unavailable when it cannot be reached, and used again when it can', async () => {
    const port = await deadPort();
    const gateway = await startGateway(`http://127.0.0.1:${port}`);
    const post = () => answerText(request(gateway.url, { method: 'POST', body: '{}' }));
    expect(await post()).toEqual(unavailable);
    expect(await post()).toEqual(unavailable);
    expect(gateway.lines).toHaveLength(1); // said once, not per request
    await startServer(closing, (_, res) => res.end('back'), port);
    expect(await post()).toEqual([200, 'back']);
  });

  it('U1: leaves the request to another replica when nothing was written, small or streamed', async () => {
    const service = await startServer(closing, (req, res) => void req.pipe(res));
    const gateway = await startGateway(
      `http://127.0.0.1:${await deadPort()}`,
      service.url,
      `http://127.0.0.1:${await deadPort()}`,
    );
    for (let round = 0; round < 6; round++) {
      const body = 'x'.repeat(round % 2 === 0 ? 10 : 200_000);
      expect(await answerText(request(gateway.url, { method: 'POST', body }))).toEqual([200, body]);
    }
  });

  it('takes replicas in turn', async () => {
    const replicas = await Promise.all(['a', 'b'].map((name) => startServer(closing, (_, res) => res.end(name))));
    const gateway = await startGateway(...replicas.map(({ url }) => url));
    const answers = [];
    for (let round = 0; round < 4; round++) answers.push((await answerText(request(gateway.url)))[1]);
    expect(answers.sort()).toEqual(['a', 'a', 'b', 'b']);
  });

  it('U1: is not asked twice when it dies with the request in its hands', async () => {
    const dying = await startTcp((socket) => socket.destroy());
    const other = await startTcp((socket) => socket.destroy());
    const gateway = await startGateway(dying.url, other.url);
    const [status, text] = await answerText(request(gateway.url, { method: 'POST', body: '{}' }));
    expect([status, text]).toEqual([502, '{"error":"the service ended the connection before its answer was complete"}']);
    expect(dying.connections() + other.connections()).toBe(1);
  });

  it.each([
    ['with a length', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf'],
    ['in chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n'],
    ['right after its head', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ])('U2: has its answer broken off, too, when it dies %s', async (_, bytes) => {
    const { url } = await startTcp((socket) => socket.write(bytes, () => socket.destroy()));
    const gateway = await startGateway(url);
    const answer = await exchange(gateway.port, 'POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}');
    expect(answer).not.toMatch(/\r\n0\r\n\r\n$/);
    await expect(answerText(request(gateway.url, { method: 'POST', body: '{}' }))).rejects.toThrow();
  });

  it('is a 502 when it talks nonsense', async () => {
    const { url } = await startTcp((socket) => socket.end('220 smtp.example ready\r\n'));
    expect(await answerText(request((await startGateway(url)).url, { method: 'POST', body: '{}' }))).toMatchObject([
      502,
      expect.any(String),
    ]);
  });

  it('may answer before it has read the whole body', async () => {
    const { gateway } = await start((_, res) => res.writeHead(413, { connection: 'close' }).end('too much'));
    const answer = await exchange(
      gateway.port,
      `POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3000000\r\n\r\n${'x'.repeat(3_000_000)}`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 (413|502) /);
  });
});

describe('a request that cannot be passed on', () => {
  it('is refused when its target is no path', async () => {
    const { gateway, service } = await start((_, res) => res.end());
    expect(await exchange(gateway.port, 'OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /);
    expect(await exchange(gateway.port, 'GET http://evil.example/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toMatch(
      /^HTTP\/1.1 400 /,
    );
    expect(service.connections()).toBe(0);
  });
});

describe('an answer that comes before the body has been sent', () => {
  it.each(['as soon as the head is there', 'after a part of it'])(
    '%s: leaves the connection to the next request',
    async (when) => {
      const { gateway } = await start((req, res) => {
        const answer = () => res.writeHead(400, { 'content-length': 3 }).end('no!');
        if (req.method === 'GET') res.end('yes');
        else if (when === 'after a part of it') req.once('data', answer);
        else answer();
      });
      const socket = connect(gateway.port, '127.0.0.1');
      closing.add(socket, () => socket.destroy());
      await once(socket, 'connect');
      let heard = '';
      socket.on('data', (chunk) => {
        heard += chunk;
      });
      const body = Buffer.alloc(3_000_000, ' ');
      socket.write(`POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: ${body.length}\r\n\r\n`);
      socket.write(body);
      await vi.waitFor(() => expect(heard).toContain('no!'), { interval: 5 });
      socket.write('GET /next HTTP/1.1\r\nHost: x\r\n\r\n');
      await vi.waitFor(() => expect(heard).toMatch(/yes$/), { interval: 5, timeout: 5_000 });
    },
  );
});
