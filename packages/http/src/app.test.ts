import { Refusal, type RefusalKind } from '@molecule/contracts';
import { Hono } from 'hono';
import { HTTPException } from 'hono/http-exception';
import { describe, expect, it } from 'vitest';
import { listRoutes, serviceApp } from './app.ts';
import { auth } from './auth.ts';
import type { WithContext } from './context.ts';
import { httpService } from './listener.ts';
import { isUnavailable, json } from './problems.ts';
import { recordingLog } from './testing.ts';

const { log, lines } = recordingLog();
const throwing = (error: unknown) => () => {
  throw error;
};
const KINDS: Record<RefusalKind, number> = {
  invalid: 400,
  unauthenticated: 401,
  'payment-required': 402,
  forbidden: 403,
  'not-found': 404,
  conflict: 409,
  'too-large': 413,
  'too-many': 429,
  failed: 500,
  'bad-gateway': 502,
  unavailable: 503,
};
const app = serviceApp(log)
  .get('/things', auth.none, (c) => json(c, [{ a: 1 }, 'é — ✓']))
  .post('/things', auth.admin, (c) => json(c, {}, 201))
  .get('/things/:id', auth.workspace, (c) => json(c, c.req.param('id')))
  .get('/busy', throwing(new Refusal('unavailable', 'busy', { body: { retry_after: 30 }, headers: { 'retry-after': '30' } })))
  .get('/defect', throwing(new Error('the database said hunter2')))
  .get('/odd', throwing(Object.assign(new Error('x'), { status: 200 })))
  .get('/http', throwing(new HTTPException(415)));
for (const kind of Object.keys(KINDS) as RefusalKind[]) app.get(`/refuse/${kind}`, throwing(new Refusal(kind, kind)));

const ask = async (path: string, method = 'GET') => {
  const response = await app.request(path, { method });
  const { status, headers } = response;
  return { status, type: headers.get('content-type'), location: headers.get('location'), headers, text: await response.text() };
};

describe('the conventions (spec 1 §0)', () => {
  it('answers compact JSON with its charset', async () => {
    expect(await ask('/things')).toMatchObject({
      status: 200,
      type: 'application/json; charset=utf-8',
      text: '[{"a":1},"é — ✓"]',
    });
  });

  it.each([
    ['/nothing', 'GET'],
    ['/things', 'DELETE'],
    ['/things', 'OPTIONS'],
    ['/', 'GET'],
    ['/nothing/', 'GET'],
    ['/things/', 'DELETE'],
    ['//things/', 'GET'],
    ['/THINGS', 'GET'],
  ])('does not know %s with %s: 404 in plain text', async (path, method) => {
    expect(await ask(path, method)).toMatchObject({ status: 404, type: 'text/plain', text: '404 page not found' });
  });

  it('does not know HEAD, even of what it would GET', async () => {
    expect((await ask('/things')).status).toBe(200);
    expect(await ask('/things', 'HEAD')).toMatchObject({ status: 404, type: 'text/plain' });
  });

  it('redirects from a trailing slash: GET with 301, others with 307, query kept', async () => {
    expect(await ask('/things/?x=1&y=%2F')).toMatchObject({ status: 301, location: '/things?x=1&y=%2F', text: '' });
    expect(await ask('/things/', 'POST')).toMatchObject({ status: 307, location: '/things' });
    expect(await ask('/things/7//')).toMatchObject({ status: 301, location: '/things/7' });
  });

  it.each([
    '/things/%',
    '/things/%zz',
    '/things/%ff',
    '/things/%c0%ae',
    '/things/%00',
    '/things/%E0%A4%A',
    '/things/..%2f..%2fetc',
  ])('is not upset by %s', async (path) => {
    const { status } = await app.request(path, {}, { context: undefined });
    expect(status).toBe(503); // the route's own auth class answers; nothing failed before it
  });
});

describe('refusals and defects', () => {
  it.each(Object.entries(KINDS))('answers %s with %d', async (kind, status) => {
    expect(await ask(`/refuse/${kind}`)).toMatchObject({
      status,
      type: 'application/json; charset=utf-8',
      text: `{"error":"${kind}"}`,
    });
  });

  it('adds the members and headers a refusal brings', async () => {
    const { status, text, headers } = await ask('/busy');
    expect([status, text, headers.get('retry-after')]).toEqual([503, '{"error":"busy","retry_after":30}', '30']);
  });

  it('answers a defect with a bare 500, and logs it', async () => {
    lines.length = 0;
    expect(await ask('/defect')).toMatchObject({ status: 500, text: '' });
    expect(await ask('/odd')).toMatchObject({ status: 500, text: '' });
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain('the database said hunter2');
  });

  it('keeps the client errors of the framework', async () => {
    expect(await ask('/http')).toMatchObject({ status: 415, text: '' });
  });

  it.each([
    Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' }),
    Object.assign(new Error('terminating connection due to administrator command'), { code: '57P01' }),
    Object.assign(new Error('sorry, too many clients already'), { code: '53300' }),
    new Error('timeout exceeded when trying to connect'),
    new Error('Connection terminated unexpectedly'),
    Object.assign(new Error('no'), { name: 'AskTimeout' }),
    Object.assign(new Error('deadlock detected'), { code: '40P01' }),
    Object.assign(new Error('somebody else was first, again and again'), { name: 'VersionConflict' }),
    new Error('wrapped', { cause: Object.assign(new Error('x'), { code: 'ECONNRESET' }) }),
  ])('says that the platform is unavailable for %s', async (error) => {
    expect(isUnavailable(error)).toBe(true);
    const response = await serviceApp(log).get('/x', throwing(error)).request('/x');
    expect([response.status, await response.text()]).toEqual([
      503,
      '{"error":"platform datastore unavailable — retry shortly","code":"platform_unavailable"}',
    ]);
  });

  it.each([
    new Error('x'),
    Object.assign(new Error('unique'), { code: '23505' }),
    'ECONNREFUSED',
    null,
    undefined,
    { code: 'ECONNREFUSED' },
  ])('does not say so for %s', (error) => {
    expect(isUnavailable(error)).toBe(false);
  });
});

describe('the list of routes', () => {
  it('has every route once, with its auth class, also from mounted apps', () => {
    const mounted = serviceApp(log).route(
      '/a',
      new Hono<WithContext>()
        .use(auth.none)
        .get('/x', auth.admin, (c) => json(c, 1))
        .post('/y', (c) => json(c, 1)),
    );
    const separate = serviceApp(log).get('/z/:id', auth.workspace, (c) => json(c, 1));
    mounted.route('/b', separate);
    expect(listRoutes(mounted)).toEqual([
      { method: 'GET', path: '/a/x', authClass: 'admin' },
      { method: 'POST', path: '/a/y', authClass: 'undeclared' },
      { method: 'GET', path: '/b/z/:id', authClass: 'workspace' },
    ]);
  });

  it('begins with the raw ones', () => {
    const raw = { method: 'POST', path: '/r/:id', pattern: /^\/r\/([^/]+)$/, authClass: 'caller', handle: () => {} } as const;
    expect(httpService(app, [raw]).routes().slice(0, 2)).toEqual([
      { method: 'POST', path: '/r/:id', authClass: 'caller' },
      { method: 'GET', path: '/things', authClass: 'none' },
    ]);
  });
});
