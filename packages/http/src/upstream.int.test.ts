import { once } from 'node:events';
import http from 'node:http';
import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { request } from 'undici';
import { afterEach, describe, expect, it } from 'vitest';
import { CONTEXT_HEADER, verifyContext } from './context.ts';
import { Closing, exchange, KEY, textOf } from './testing.ts';
import { answerText, context, startHops } from './testing-hops.ts';

const closing = new Closing();
afterEach(() => closing.all());
const { start, startGateway, startTcp } = startHops(closing);

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

  it('are held back for a service that reads slowly, and lose nothing', async () => {
    const size = 60_000_000;
    let sent = 0;
    const reads = Promise.withResolvers<() => void>();
    const stuck = Promise.withResolvers<void>();
    const { gateway } = await start((req, res) => {
      let read = 0;
      setTimeout(stuck.resolve, 200);
      reads.resolve(() => req.on('data', ({ length }: Buffer) => (read += length)).on('end', () => res.end(`${read}`)));
    });
    function* pieces() {
      for (const chunk = Buffer.alloc(1_000_000, 'x'); sent < size; sent += chunk.length) yield chunk;
    }
    const headers = { 'content-length': `${size}` };
    const answer = answerText(request(gateway.url, { method: 'POST', headers, body: Readable.from(pieces()) }));
    const read = await reads.promise;
    await stuck.promise; // nobody has read the body for a while
    expect(sent).toBeLessThan(size / 2);
    read();
    expect(await answer).toEqual([200, `${size}`]);
  });

  it.each(['content-length', 'transfer-encoding'])(
    'that nobody reads (%s) do not keep the answer from the client',
    async (length) => {
      const body = Buffer.alloc(8_000_000);
      const { gateway } = await start((_, res) => void res.writeHead(401).end('no'));
      const outgoing = http.request(gateway.url, {
        method: 'POST',
        headers: { [length]: length === 'content-length' ? body.length : 'chunked' },
      });
      const answering = once(outgoing, 'response');
      outgoing.end(body);
      const [incoming] = (await answering) as [http.IncomingMessage];
      outgoing.on('error', () => {}); // of what was not read the client may hear, too
      expect([incoming.statusCode, await text(incoming)]).toEqual([401, 'no']);
    },
  );

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
