import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { Readable } from 'node:stream';
import { request } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import { CONTEXT_HEADER, verifyContext } from './context.ts';
import { Closing, contextOf, deadPort, exchange, KEY, recordingLog, startServer, textOf } from './testing.ts';
import { Upstream } from './upstream.ts';

const closing = new Closing();
afterEach(() => closing.all());

const context = contextOf({ kind: 'workspace', workspaceId: 'w', tokenId: 't' });

/** A gateway in front of the services at these addresses. */
async function startGateway(...baseUrls: string[]) {
  const { log, lines } = recordingLog();
  const upstream = closing.add(new Upstream(baseUrls, { internalKey: KEY, log }), (it) => it.close());
  const settled: Promise<void>[] = [];
  const gateway = await startServer(closing, (req, res) => {
    res.setHeader('x-from-gateway', 'yes');
    res.setHeader('x-overridden', 'gateway');
    settled.push(upstream.forward(req, res, context));
  });
  return { ...gateway, lines, settled };
}

/** A service and a gateway in front of it. */
async function start(handler: RequestListener) {
  const service = await startServer(closing, handler);
  return { service, gateway: await startGateway(service.url) };
}

const answerText = async (answering: ReturnType<typeof request>) => {
  const { statusCode, body } = await answering;
  return [statusCode, await body.text()];
};

/** A service on bare TCP that says exactly these bytes to each request. */
async function startTcp(onRequest: (socket: Socket) => void) {
  let connections = 0;
  const server = createTcpServer((socket) => {
    connections++;
    socket.on('error', () => undefined).once('data', () => onRequest(socket));
    closing.add(socket, () => socket.destroy());
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  closing.add(server, () => server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, connections: () => connections };
}

describe('forwarding', () => {
  it.each(['GET', 'POST', 'PUT', 'PATCH', 'DELETE'] as const)('passes a %s on, and its answer back', async (method) => {
    const { gateway } = await start(async (req, res) => {
      res.writeHead(207, { 'content-type': 'text/x', 'x-answer': 'a', 'x-overridden': 'service' });
      res.end(`${req.method} ${req.url} ${req.headers['x-asked']} ${await textOf(req)}`);
    });
    const body = method === 'GET' ? null : 'the body — ✓';
    const {
      statusCode,
      headers,
      body: answer,
    } = await request(`${gateway.url}/a%2Fb/c?d=%20e&f`, { method, body, headers: { 'x-asked': 'yes' } });
    expect(statusCode).toBe(207);
    expect(headers).toMatchObject({
      'content-type': 'text/x',
      'x-answer': 'a',
      'x-from-gateway': 'yes',
      'x-overridden': 'service',
    });
    expect(await answer.text()).toBe(`${method} /a%2Fb/c?d=%20e&f yes ${body ?? ''}`);
  });

  it('passes an answer without a body on', async () => {
    const { gateway } = await start((req, res) => res.writeHead(req.url === '/304' ? 304 : 204).end());
    expect(await answerText(request(gateway.url))).toEqual([204, '']);
    expect(await answerText(request(`${gateway.url}/304`))).toEqual([304, '']);
  });

  it('passes a HEAD on', async () => {
    const { gateway } = await start((_, res) => res.writeHead(200, { 'content-length': 5 }).end('hello'));
    const { statusCode, headers } = await request(gateway.url, { method: 'HEAD' });
    expect([statusCode, headers['content-length']]).toEqual([200, '5']);
  });

  it('keeps repeated headers apart, both ways', async () => {
    const { gateway } = await start((req, res) => {
      res.writeHead(200, { 'set-cookie': ['a=1', 'b=2'] }).end(JSON.stringify(req.rawHeaders));
    });
    const { headers, body } = await request(gateway.url, { headers: ['X-Many', '1', 'X-Many', '2'] });
    expect(headers['set-cookie']).toEqual(['a=1', 'b=2']);
    const seen = (await body.json()) as string[];
    expect(seen.filter((_, index) => seen[index - 1] === 'X-Many')).toEqual(['1', '2']);
  });

  it('survives a service that gives informational answers first', async () => {
    const { gateway } = await start((_, res) => {
      res.writeEarlyHints({ link: '</x>; rel=preload' });
      res.end('hello');
    });
    expect(await answerText(request(gateway.url))).toEqual([200, 'hello']);
  });

  it('reuses its connections', async () => {
    const { gateway, service } = await start((_, res) => res.end('x'));
    for (let round = 0; round < 20; round++) await answerText(request(gateway.url, { method: 'POST', body: 'x' }));
    expect(service.connections()).toBeLessThanOrEqual(2);
  });

  it.each([0, 1, 65_536, 65_537, 5_000_000])('passes %d bytes on, both ways', async (size) => {
    const { gateway } = await start((req, res) => void req.pipe(res));
    const bytes = Buffer.alloc(size, 'abcdefg');
    for (const body of [bytes, Readable.from([bytes])]) {
      const { body: answer } = await request(gateway.url, { method: 'POST', body });
      expect(bytes.equals(Buffer.from(await answer.arrayBuffer()))).toBe(true);
    }
  });
});

describe('headers of the hop', () => {
  const seenBy = async (...lines: string[]): Promise<Record<string, string>> => {
    const { gateway } = await start((req, res) => res.writeHead(200, { connection: 'close' }).end(JSON.stringify(req.headers)));
    const answer = await exchange(gateway.port, `GET / HTTP/1.1\r\nHost: molecule.example\r\n${lines.join('\r\n')}\r\n\r\n`);
    return JSON.parse(answer.slice(answer.indexOf('{'), answer.lastIndexOf('}') + 1)) as Record<string, string>;
  };

  it('U4: lets no x-molecule header of a client through, and adds its own', async () => {
    const headers = await seenBy(
      'Connection: close',
      `${CONTEXT_HEADER}: forged`,
      'X-Molecule-Org-Id: o',
      'x-MOLECULE-anything: y',
      'X-Workspace-ID: w',
    );
    expect(Object.keys(headers).filter((name) => name.startsWith('x-molecule-'))).toEqual([CONTEXT_HEADER]);
    expect(verifyContext(headers[CONTEXT_HEADER], KEY)).toEqual(context);
    expect(headers['x-workspace-id']).toBe('w');
  });

  it('end here, also those the client names', async () => {
    const headers = await seenBy(
      'Connection: close, X-Private, host',
      'X-Private: 1',
      'TE: trailers',
      'Keep-Alive: x',
      'Proxy-Authorization: x',
      'Upgrade: h2c',
    );
    expect(headers).not.toHaveProperty('x-private');
    for (const name of ['te', 'keep-alive', 'proxy-authorization', 'upgrade']) expect(headers).not.toHaveProperty(name);
    expect(headers['host']).toBe('molecule.example');
  });

  it('end here on the way back, too', async () => {
    const { url } = await startTcp((socket) =>
      socket.end(
        'HTTP/1.1 200 OK\r\nConnection: close, X-Private\r\nX-Private: 1\r\nKeep-Alive: x\r\nX-Kept: 2\r\nContent-Length: 2\r\n\r\nok',
      ),
    );
    const { headers, body } = await request((await startGateway(url)).url);
    expect(await body.text()).toBe('ok');
    expect(headers['x-private']).toBeUndefined();
    expect(headers['x-kept']).toBe('2');
  });
});

describe('streams', () => {
  it('reach the client part by part, the head before the first', async () => {
    const parts = Promise.withResolvers<(part: string | null) => void>();
    const { gateway } = await start((_, res) => {
      res.writeHead(200, { 'content-type': 'text/event-stream' }).flushHeaders();
      parts.resolve((part) => (part === null ? res.end() : res.write(part)));
    });
    const { body, statusCode } = await request(`${gateway.url}/events`); // resolves with the head alone
    const say = await parts.promise;
    const reader = body[Symbol.asyncIterator]();
    expect(statusCode).toBe(200);
    for (const part of ['data: 1\n\n', 'data: 2\n\n']) {
      say(part);
      expect(String((await reader.next()).value)).toBe(part);
    }
    say(null);
    expect((await reader.next()).done).toBe(true);
  });

  it('reach the service part by part', async () => {
    const first = Promise.withResolvers<string>();
    const { gateway } = await start((req, res) => {
      req.once('data', (chunk) => first.resolve(String(chunk)));
      req.on('end', () => res.end('whole')).resume();
    });
    const more = Promise.withResolvers<void>();
    async function* body() {
      yield Buffer.from('first');
      await more.promise;
      yield Buffer.from('second');
    }
    const answer = answerText(request(gateway.url, { method: 'POST', body: Readable.from(body()) }));
    expect(await first.promise).toBe('first');
    more.resolve();
    expect(await answer).toEqual([200, 'whole']);
  });

  it('are held back for a client that reads slowly, and lose nothing', async () => {
    const size = 60_000_000;
    let written = 0;
    const stuck = Promise.withResolvers<void>();
    const { gateway } = await start((_, res) => {
      res.writeHead(200, { 'content-length': size });
      const chunk = Buffer.alloc(1_000_000, 'x');
      const write = () => {
        while (written < size) {
          written += chunk.length;
          if (!res.write(chunk)) return void (written < size && res.once('drain', write));
        }
        res.end();
      };
      setTimeout(stuck.resolve, 200);
      write();
    });
    const { body } = await request(gateway.url, { highWaterMark: 1024 });
    await stuck.promise; // nobody has read the body for a while
    expect(written).toBeLessThan(size / 2);
    expect((await body.arrayBuffer()).byteLength).toBe(size);
  });
});

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
