/** A tenant's platform from outside (spec 1 §4.10, §4.11): whose requests it takes, what goes to the control plane, what to the canvas. */
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { attachedContext } from '@molecule/http';
import { describe, expect, onTestFinished } from 'vitest';
import { bearer, call, it } from '../testing/world.ts';

/** A server that says what it was asked, unless told otherwise. */
async function upstream(listener: RequestListener = echo): Promise<{ url: string; host: string; stop(): void }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  onTestFinished(stop);
  return { url: `http://${host}`, host, stop };
}

const echo: RequestListener = async (request, response) => {
  const { method, url, headers } = request;
  const { host, authorization, cookie, 'x-other': other } = headers;
  response.writeHead(200, { 'content-type': 'application/json', 'x-frame-options': 'SAMEORIGIN', 'set-cookie': ['a=1', 'b=2'] });
  response.end(JSON.stringify({ method, url, host, authorization, cookie, other, body: await text(request) }));
};

const CREDENTIALS = { authorization: 'Bearer root', cookie: 'cp=1; molecule_session=ours; x=2', 'x-other': 'kept' };

describe('the tenant guard', () => {
  it('lets nobody else in, and says nothing; it is counted, without security headers', async ({ world }) => {
    const gateway = await world.gateway({ MOLECULE_ORG_ID: 'acme' });
    for (const [path, headers] of [
      ['/admin/liveness', {}],
      ['/admin/liveness', { 'X-Molecule-Org-Id': 'other' }],
      ['/nothing', {}],
    ] as const) {
      const refused = await call(gateway, path, { headers });
      expect(refused).toMatchObject({ status: 404, text: '' });
      expect(refused.headers['x-frame-options']).toBeUndefined();
      expect(refused.headers['x-ratelimit-limit']).toBeDefined();
    }
    expect((await call(gateway, '/admin/liveness', { headers: { 'X-Molecule-Org-Id': 'acme' } })).status).toBe(200);
    expect((await call(gateway, '/health')).status).toBe(200);
    expect((await call(gateway, '/registry/heartbeat', { method: 'POST', body: '{"workspace_id":"nobody"}' })).status).toBe(200);
    const { text: metrics } = await call(gateway, '/metrics');
    expect(metrics).toMatch(/^molecule_http_requests_total\{method="GET",path="\/admin\/liveness",status="404".*\} 2$/m);
    expect(metrics).toMatch(/^molecule_auth_denials_total\{reason="other-tenant".*\} 3$/m);
  });
});

describe('the control plane', () => {
  it('is reached by its open paths alone, with the caller’s credentials but our session', async ({ world }) => {
    const plane = await upstream();
    const gateway = await world.gateway({ CP_UPSTREAM_URL: `${plane.url}/base` });
    const answer = await call(gateway, '/cp/auth/login?next=/', { method: 'POST', headers: CREDENTIALS, body: 'hello' });
    expect(JSON.parse(answer.text)).toEqual({
      method: 'POST',
      url: '/base/cp/auth/login?next=/',
      host: plane.host,
      authorization: 'Bearer root',
      cookie: 'cp=1; x=2',
      other: 'kept',
      body: 'hello',
    });
    expect(answer.headers).toMatchObject({
      'x-frame-options': 'SAMEORIGIN',
      'set-cookie': ['a=1', 'b=2'],
      'x-content-type-options': 'nosniff',
    });
    for (const path of ['/cp/tenants/config', '/cp/auth/../tenants/config', '/cp/auth/..%2ftenants', '/cp/'])
      expect(await call(gateway, path, { headers: CREDENTIALS }), path).toMatchObject({ status: 404, text: '' });
    expect((await call(gateway, '/metrics')).text).toMatch(
      /^molecule_http_requests_total\{method="GET",path="\/cp\/\*",status="404".*\} 4$/m,
    );
    plane.stop();
    expect(await call(gateway, '/cp/orgs')).toMatchObject({ status: 502, text: '{"error":"control plane unavailable"}' });
  });

  it('is not there where none is set', async ({ world }) =>
    expect(await call(await world.gateway(), '/cp/auth/me')).toMatchObject({ status: 404, text: '404 page not found' }));

  it('vouches for sessions, where we have a name there', async ({ world }) => {
    const plane = await upstream((request, response) =>
      response.end(JSON.stringify({ member: request.headers.cookie === 'cp=good', user_id: 'u' })),
    );
    const env = { ADMIN_TOKEN: 'root', CP_UPSTREAM_URL: plane.url };
    const sessions: unknown[] = [];
    const registry: RequestListener = (request, response) => {
      sessions.push(attachedContext(request)?.principal.session);
      response.end();
    };
    const named = await world.gateway({ ...env, MOLECULE_ORG_SLUG: 'acme' }, { registry });
    const see = async (gateway: typeof named, cookie: string) =>
      (await call(gateway, '/admin/liveness', { headers: { cookie } })).status;
    expect([await see(named, 'cp=good'), await see(named, 'cp=bad')]).toEqual([200, 401]);
    await call(named, '/workspaces', { headers: { cookie: 'cp=good' } });
    await call(named, '/workspaces', { headers: { cookie: 'cp=good', ...bearer('root') } });
    expect(sessions, 'the bearer decides, and nobody is asked').toEqual([{ kind: 'control-plane', id: 'u' }, null]);
    expect(await see(await world.gateway(env), 'cp=good'), 'without a name').toBe(401);
  });
});

describe('the canvas', () => {
  it('answers what nobody here does, without anybody’s credentials', async ({ world }) => {
    const canvas = await upstream();
    const gateway = await world.gateway({ CANVAS_PROXY_URL: canvas.url });
    const answer = await call(gateway, '/assets/app.js?v=1', { headers: CREDENTIALS });
    expect(JSON.parse(answer.text)).toEqual({
      method: 'GET',
      url: '/assets/app.js?v=1',
      host: canvas.host,
      other: 'kept',
      body: '',
    });
    expect((await call(gateway, '/')).status).toBe(200);
    expect((await call(gateway, '/health')).text).toBe('{"status":"ok"}');
    expect(await call(gateway, '/health/')).toMatchObject({ status: 301 });
    expect((await call(gateway, '/metrics')).text).toMatch(
      /^molecule_http_requests_total\{method="GET",path="unmatched",status="200".*\} 2$/m,
    );
    canvas.stop();
    expect(await call(gateway, '/')).toMatchObject({ status: 502, text: '{"error":"canvas unavailable"}' });
    expect((await call(gateway, '/health')).status).toBe(200);
  });

  it('makes its own pages of our origin', async ({ world }) => {
    const canvas = await upstream();
    const { id } = await world.registry.enrol();
    const asked: unknown[] = [];
    const registry: RequestListener = (request, response) => {
      asked.push(attachedContext(request)?.principal.sameOrigin);
      response.end();
    };
    const headers = { host: 'molecule.example', origin: 'https://molecule.example' };
    for (const env of [{ CANVAS_PROXY_URL: canvas.url }, {}])
      await call(await world.gateway(env, { registry }), `/workspaces/${id}/config`, { headers });
    expect(asked).toEqual([true, false]);
  });

  it('streams, and breaks off what breaks off', async ({ world }) => {
    const canvas = await upstream((request, response) => {
      response.writeHead(200, { 'content-length': '10' });
      response.write('half.');
      if (request.url === '/whole') response.end('half.');
      else setImmediate(() => response.destroy());
    });
    const gateway = await world.gateway({ CANVAS_PROXY_URL: canvas.url });
    expect((await call(gateway, '/whole')).text).toBe('half.half.');
    await expect(call(gateway, '/broken')).rejects.toThrow();
  });
});
