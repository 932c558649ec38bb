import { once } from 'node:events';
import { connect } from 'node:net';
import type { BeatMark } from '@molecule/contracts';
import { afterEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { serviceApp } from './app.ts';
import { auth } from './auth.ts';
import { body, readBody } from './body.ts';
import { attachContext, CONTEXT_HEADER, signContext } from './context.ts';
import { type Listening, listen } from './listen.ts';
import { type CatchesUp, createListener, httpService, type RawRoute } from './listener.ts';
import { json, problem, sendJson } from './problems.ts';
import { Closing, contextOf, exchange, KEY, recordingLog, startServer } from './testing.ts';

const closing = new Closing();
afterEach(() => closing.all());

const admin = contextOf({ kind: 'admin' }, { adminTokenSet: true });

const rawRoutes: RawRoute[] = [
  {
    method: 'POST',
    path: '/raw/strict',
    pattern: /^\/raw\/strict$/,
    async handle(req, res) {
      sendJson(res, (await readBody(req, { maxBytes: 1000 })).length);
    },
  },
  {
    method: 'POST',
    path: '/raw/:id',
    pattern: /^\/raw\/([^/]+)$/,
    authClass: 'none',
    async handle(req, res, { params, context }) {
      const text = (await readBody(req, { maxBytes: 1000, excess: 'cut' })).toString();
      sendJson(res, { params, who: context.principal.identity.kind, length: text.length });
    },
  },
  {
    method: 'GET',
    path: '/raw/throws',
    pattern: /^\/raw\/throws$/,
    handle() {
      throw new Error('sync');
    },
  },
  {
    method: 'GET',
    path: '/raw/rejects',
    pattern: /^\/raw\/rejects$/,
    handle: async () => {
      throw problem.workspaceNotFound();
    },
  },
  {
    method: 'GET',
    path: '/raw/half',
    pattern: /^\/raw\/half$/,
    handle: async (_, res) => {
      res.writeHead(200).write('half');
      throw new Error('then this');
    },
  },
];

async function start(beats?: CatchesUp): Promise<Listening & { lines: string[] }> {
  const { log, lines } = recordingLog();
  const Thing = z.object({ name: z.string().min(1) });
  const app = serviceApp(log)
    .get('/who', auth.none, (c) => json(c, c.get('context').principal.identity.kind))
    .get('/admin', auth.admin, (c) => json(c, 'in'))
    .get('/things/:id', auth.none, (c) => json(c, c.req.param('id')))
    .post('/things', auth.none, body(Thing, problem.invalidRequestBody, { maxBytes: 100_000 }), (c) =>
      json(c, c.req.valid('json')),
    );
  const listener = createListener(httpService(app, rawRoutes), { log, internalKey: KEY, ...(beats ? { beats } : {}) });
  const listening = await listen(listener, { port: 0, host: '127.0.0.1', log });
  closing.add(listening, () => listening.close(0));
  return { ...listening, lines };
}

const send = async (url: string, init: RequestInit = {}) => {
  const response = await fetch(url, { redirect: 'manual', ...init });
  return {
    status: response.status,
    type: response.headers.get('content-type'),
    text: await response.text(),
    headers: response.headers,
  };
};
const post = (url: string, text: string, headers = {}) => send(url, { method: 'POST', body: text, headers });

describe('who is asking', () => {
  it('is what the signed header says', async () => {
    const { url } = await start();
    const headers = { [CONTEXT_HEADER]: signContext(admin, KEY) };
    expect(await send(`${url}/who`, { headers })).toMatchObject({ status: 200, text: '"admin"' });
    expect(await send(`${url}/admin`, { headers })).toMatchObject({ status: 200, text: '"in"' });
    expect(await post(`${url}/raw/7`, '', headers)).toMatchObject({ text: '{"params":["7"],"who":"admin","length":0}' });
  });

  it.each([
    undefined,
    'x',
    signContext(admin, 'another key'),
    signContext(admin, KEY, Date.now() - 61_000),
    `${signContext(admin, KEY).slice(0, -8)}AAAAAAAA`,
  ])('C2: is nobody, and tokens are unknown, with the header %.12s', async (header) => {
    const { url } = await start();
    const headers = header === undefined ? {} : { [CONTEXT_HEADER]: header };
    expect(await send(`${url}/who`, { headers })).toMatchObject({ status: 200, text: '"anonymous"' });
    expect(await send(`${url}/admin`, { headers })).toMatchObject({
      status: 503,
      text: '{"error":"platform datastore unavailable — retry shortly","code":"platform_unavailable"}',
    });
  });

  it('C2: is nobody when the header comes twice', async () => {
    const { port } = await start();
    const signed = `${CONTEXT_HEADER}: ${signContext(admin, KEY)}\r\n`;
    expect(await exchange(port, `GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${signed}${signed}\r\n`)).toContain(
      '"anonymous"',
    );
  });

  it('C1: is what hangs on the request within one process, whatever the client sends', async () => {
    const { log } = recordingLog();
    const app = serviceApp(log).get('/who', auth.none, (c) => json(c, c.get('context').principal.identity.kind));
    const listener = createListener(httpService(app), { log, internalKey: KEY });
    const { url } = await startServer(closing, (req, res) => {
      attachContext(req, contextOf({ kind: 'anonymous' }));
      listener(req, res);
    });
    const headers = { [CONTEXT_HEADER]: signContext(admin, KEY) };
    expect(await send(`${url}/who`, { headers })).toMatchObject({ text: '"anonymous"' });
  });
});

describe('raw routes', () => {
  it('come before hono, and only for their method and their whole path', async () => {
    const { url } = await start();
    expect(await post(`${url}/raw/a%20b?x=1`, 'hello')).toMatchObject({
      status: 200,
      type: 'application/json; charset=utf-8',
      text: '{"params":["a%20b"],"who":"anonymous","length":5}',
    });
    expect(await send(`${url}/raw/7`)).toMatchObject({ status: 404, type: 'text/plain' });
    expect(await post(`${url}/raw/7/8`, '')).toMatchObject({ status: 404 });
  });

  it('redirect from a trailing slash like all others', async () => {
    const { url } = await start();
    const { status, headers } = await post(`${url}/raw/7/?x=1`, '');
    expect([status, headers.get('location')]).toEqual([307, '/raw/7?x=1']);
    expect((await send(`${url}/things/7/`)).status).toBe(301);
  });

  it('turn what they throw into the same answers', async () => {
    const { url, lines } = await start();
    expect(await send(`${url}/raw/throws`)).toMatchObject({ status: 500, text: '' });
    expect(await send(`${url}/raw/rejects`)).toMatchObject({ status: 404, text: '{"error":"workspace not found"}' });
    expect(lines).toHaveLength(1);
  });

  it('break off an answer that fails half-way', async () => {
    const { url } = await start();
    await expect(send(`${url}/raw/half`)).rejects.toThrow();
  });

  it('refuse a body they could not read, and say nothing of a client that has gone', async () => {
    const { url, port, lines } = await start();
    expect(await post(`${url}/raw/strict`, 'x'.repeat(2_000))).toMatchObject({
      status: 400,
      text: '{"error":"failed to read request body"}',
    });
    const socket = connect(port, '127.0.0.1');
    socket.write('POST /raw/strict HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nhalf');
    await once(socket, 'ready');
    socket.end().resume();
    await once(socket, 'close');
    expect(await send(`${url}/who`)).toMatchObject({ status: 200 });
    expect(lines).toEqual([]);
  });

  it('may cut an excess of body instead of refusing it', async () => {
    const { url } = await start();
    expect(await post(`${url}/raw/7`, 'x'.repeat(200_000))).toMatchObject({
      text: '{"params":["7"],"who":"anonymous","length":1000}',
    });
  });
});

describe('bad input', () => {
  it.each([
    ['malformed JSON', '{"name":'],
    ['an empty body', ''],
    ['a body that is too large', `{"name":"${'x'.repeat(200_000)}"}`],
    ['a wrong type', '{"name":7}'],
    ['NUL', '{"name":"\\u0000"}'],
    ['only prototype keys', '{"__proto__":{"name":"x"}}'],
    ['a deep nesting', '['.repeat(50_000)],
  ])("gets the route's 400: %s", async (_, text) => {
    const { url } = await start();
    expect(await post(`${url}/things`, text)).toMatchObject({ status: 400, text: '{"error":"invalid request body"}' });
    expect(await post(`${url}/things`, '{"name":"x"}')).toMatchObject({ status: 200 });
  });

  it('gets it also in chunks, without a length', async () => {
    const { port } = await start();
    const head = 'POST /things HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n';
    const big = `186a1\r\n${'x'.repeat(0x186a1)}\r\n0\r\n\r\n`;
    expect(await exchange(port, `${head}${big}`)).toMatch(/^HTTP\/1.1 400 /);
    expect(await exchange(port, `${head}c\r\n{"name":"x"}\r\n0\r\n\r\n`)).toMatch(/^HTTP\/1.1 200 /);
  });

  it.each([
    'GET /things/%zz HTTP/1.1',
    'GET /things/%ff%fe HTTP/1.1',
    'GET /things/..%2f..%2fetc HTTP/1.1',
    'GET /%00 HTTP/1.1',
    'GET /things\\..\\x HTTP/1.1',
    'GET //evil.example/ HTTP/1.1',
    'GET http://evil.example/things/1 HTTP/1.1',
    'GET ? HTTP/1.1',
    'GET * HTTP/1.1',
    'OPTIONS * HTTP/1.1',
    'GET /things/1#x HTTP/1.1',
    'GET /things/"><script> HTTP/1.1',
    'PROPFIND /things/1 HTTP/1.1',
    'TRACE /who HTTP/1.1',
    'GET things HTTP/1.1',
    'NONSENSE',
  ])('never gets a 500: %s', async (line) => {
    const { port, lines } = await start();
    const answer = await exchange(port, `${line}\r\nHost: x\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 [234]\d\d /);
    expect(lines).toEqual([]);
  });

  it.each(['a b', 'x:99999', '[::1', 'http://x', '', 'ex"mple', `${'x'.repeat(300)}`])(
    'never gets a 500 for the host %.10j',
    async (host) => {
      const { port, lines } = await start();
      expect(await exchange(port, `GET /who HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)).toMatch(
        /^HTTP\/1.1 [24]\d\d /,
      );
      expect(lines).toEqual([]);
    },
  );

  it.each([
    ['both lengths', 'POST /things HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
    ['two lengths', 'POST /things HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!', 400],
    ['a negative length', 'POST /things HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n', 400],
    ['headers beyond 16 KiB', `GET /who HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
  ])('is refused by the parser: %s', async (_, bytes, status) => {
    const { port } = await start();
    expect(await exchange(port, bytes)).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
  });

  it('ends quietly when the client goes away in the middle of its body', async () => {
    const { port, url, lines } = await start();
    const socket = connect(port, '127.0.0.1');
    socket.write('POST /things HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{"name":');
    await once(socket, 'ready');
    socket.destroy();
    await once(socket, 'close');
    expect(await send(`${url}/who`)).toMatchObject({ status: 200 });
    expect(lines.filter((line) => line.includes('"error"'))).toEqual([]);
  });
});

describe('a service that acts on beats', () => {
  const withMark = { ...admin, beats: { gateway: 'g', seq: 3 } };
  const headers = { [CONTEXT_HEADER]: signContext(withMark, KEY) };

  it('handles a request only when it knows the beats its gateway knew', async () => {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const asked: (BeatMark | null)[] = [];
    const caughtUp = (mark: BeatMark | null) => {
      asked.push(mark);
      return promise;
    };
    const { url } = await start({ caughtUp });
    let answered = false;
    const answer = send(`${url}/who`, { headers }).finally(() => {
      answered = true;
    });
    expect(await send(`${url}/who`)).toMatchObject({ text: '"anonymous"' }); // carries no mark, waits for nothing
    expect([asked, answered]).toEqual([[withMark.beats], false]);
    resolve(true);
    expect(await answer).toMatchObject({ text: '"admin"' });
  });

  it('does not wait when it knows already, and answers when catching up fails', async () => {
    const { url } = await start({ caughtUp: () => true });
    expect(await send(`${url}/who`, { headers })).toMatchObject({ text: '"admin"' });
    const failing = await start({ caughtUp: () => Promise.reject(new Error('no')) });
    expect(await send(`${failing.url}/who`, { headers })).toMatchObject({ status: 500 });
  });
});

describe('closing', () => {
  it('takes nothing new, and lets running requests finish', async () => {
    const { log } = recordingLog();
    const started = Promise.withResolvers<() => void>();
    const listening = await listen((_, res) => started.resolve(() => res.end('whole')), { port: 0, host: '127.0.0.1', log });
    const idle = connect(listening.port, '127.0.0.1').resume();
    await once(idle, 'connect');
    const answer = send(listening.url);
    const finish = await started.promise;
    const closed = listening.close(10_000);
    await once(idle, 'close');
    await expect(send(listening.url)).rejects.toThrow();
    finish();
    expect((await answer).text).toBe('whole');
    await closed;
  });

  it('ends what does not finish in time', async () => {
    const { log, lines } = recordingLog();
    const started = Promise.withResolvers<void>();
    const listening = await listen(() => started.resolve(), { port: 0, host: '127.0.0.1', log });
    const answer = send(listening.url).catch(() => 'broken off');
    await started.promise;
    await listening.close(20);
    expect(await answer).toBe('broken off');
    expect(lines.join()).toContain('did not finish in time');
  });

  it('says which port is taken, and what to do', async () => {
    const { port } = await start();
    const { log } = recordingLog();
    await expect(listen(() => {}, { port, host: '127.0.0.1', log })).rejects.toThrow(
      `cannot listen on 127.0.0.1:${port}: the port is in use. Stop what listens there, or set PORT to a free port.`,
    );
  });
});
