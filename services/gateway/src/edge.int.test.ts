/** The edge over real HTTP and a real bus: who may, what pages of other origins may, and where requests go. */
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { DenialReason } from '@molecule/contracts';
import { attachedContext, createListener, httpService, listen, serviceApp } from '@molecule/http';
import { createBasics } from '@molecule/service';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { bearer, call, INTERNAL_KEY, it, PRODUCTION } from './testing/world.ts';

describe('who may see how things are', () => {
  it('everybody, until there is a token; then those who have one', async ({ world }) => {
    const gateway = await world.gateway();
    const ask = async (headers = {}) => (await call(gateway, '/admin/liveness', { headers })).status;
    expect(await ask()).toBe(200);

    const { id, token } = await world.registry.enrol();
    await waitFor(async () => (await ask()) === 401, { what: 'the token to be known' });
    expect(await call(gateway, '/admin/liveness')).toMatchObject({ text: '{"error":"admin auth required"}' });
    expect(await call(gateway, '/admin/liveness', { headers: bearer('wrong') })).toMatchObject({
      status: 401,
      text: '{"error":"invalid admin auth token"}',
    });
    expect(await ask(bearer(token))).toBe(200);

    await world.registry.revokeTokens(id);
    await waitFor(async () => (await ask(bearer(token))) === 200 && (await ask()) === 200, { what: 'the token to be gone' });
  });

  it('the admin alone, where there is an admin token', async ({ world }) => {
    const { token } = await world.registry.enrol();
    const gateway = await world.gateway({ ADMIN_TOKEN: 'root' });
    expect((await call(gateway, '/admin/liveness')).status).toBe(401);
    expect((await call(gateway, '/admin/liveness', { headers: bearer(token) })).text).toBe(
      '{"error":"invalid admin auth token"}',
    );
    expect((await call(gateway, '/admin/liveness', { headers: { authorization: 'bearer root' } })).status).toBe(401);
    expect((await call(gateway, '/admin/liveness', { headers: bearer('root') })).status).toBe(200);
  });

  it('everybody in development, also when there are tokens', async ({ world }) => {
    await world.registry.enrol();
    const gateway = await world.gateway({ MOLECULE_ENV: 'development' });
    expect((await call(gateway, '/admin/liveness')).status).toBe(200);
    expect((await call(gateway, '/admin/liveness', { headers: bearer('wrong') })).status).toBe(200);
  });

  it('nobody while the registry has not told its workspaces: 503, and health answers', { timeout: 15_000 }, async ({ world }) => {
    await world.registry.stop();
    const gateway = await world.gateway({ ADMIN_TOKEN: 'root' });
    const answer = await call(gateway, '/admin/liveness', { headers: bearer('root') });
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text)).toMatchObject({ code: 'platform_unavailable' });
    expect(await call(gateway, '/health')).toMatchObject({ status: 200, text: '{"status":"ok"}' });
    expect((await gateway.service.health()).checks['directory']).toMatchObject({ ok: false });
  });

  it('in production figures too are the admin’s', async ({ world }) => {
    const gateway = await world.gateway(PRODUCTION);
    expect((await call(gateway, '/metrics')).status).toBe(401);
    expect((await call(gateway, '/metrics', { headers: bearer('root') })).status).toBe(200);
    expect((await call(gateway, '/health')).status).toBe(200);
  });
});

describe('what every answer carries', () => {
  it('security headers, by the kind of path', async ({ world }) => {
    const gateway = await world.gateway();
    const api = await call(gateway, '/health');
    expect(api.headers).toMatchObject({
      'content-type': 'application/json; charset=utf-8',
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'strict-transport-security': 'max-age=31536000; includeSubDomains',
      'referrer-policy': 'strict-origin-when-cross-origin',
      'permissions-policy': 'camera=(), microphone=(), geolocation=()',
      'content-security-policy': "default-src 'self'",
    });
    expect((await call(gateway, '/canvas/viewport')).headers['content-security-policy']).toContain(
      "script-src 'self' 'unsafe-inline'",
    );
  });

  it('404 for what nobody answers, and a detour for a slash too many', async ({ world }) => {
    const gateway = await world.gateway();
    for (const [method, path] of [
      ['GET', '/nothing'],
      ['GET', '/'],
      ['DELETE', '/health'],
      ['GET', '/registry/heartbeat'],
      ['GET', '//evil.example/'],
      ['OPTIONS', '/health'],
    ] as const) {
      const answer = await call(gateway, path, { method });
      expect({ path, ...answer }).toMatchObject({ path, status: 404, text: '404 page not found' });
      expect(answer.headers['content-type']).toMatch(/^text\/plain/);
    }
    expect(await call(gateway, '/health/?a=b')).toMatchObject({ status: 301, headers: { location: '/health?a=b' } });
    expect(await call(gateway, '/registry/heartbeat/', { method: 'POST' })).toMatchObject({
      status: 307,
      headers: { location: '/registry/heartbeat' },
    });
  });

  it('figures of what was answered, by pattern', async ({ world }) => {
    const gateway = await world.gateway();
    await call(gateway, '/health');
    await call(gateway, '/nothing');
    await call(gateway, '/registry/heartbeat', { method: 'POST', body: '{}' });
    await call(gateway, '/workspaces/5d0a6c7e-0000-4000-8000-000000000000');
    const { headers, text } = await call(gateway, '/metrics');
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(text).toMatch(/^# TYPE molecule_http_requests_total counter$/m);
    expect(text).toMatch(/^molecule_http_requests_total\{method="GET",path="\/health",status="200".*\} 1$/m);
    expect(text).toMatch(/^molecule_http_requests_total\{method="GET",path="unmatched",status="404".*\} 1$/m);
    expect(text).toMatch(/^molecule_http_requests_total\{method="POST",path="\/registry\/heartbeat",status="400".*\} 1$/m);
    expect(text).toMatch(/^molecule_http_requests_total\{method="GET",path="\/workspaces\/:id",status="503".*\} 1$/m);
    expect(text).toMatch(/^molecule_http_request_duration_seconds_total\{method="GET",path="\/health"/m);
    expect(text).toMatch(/^molecule_websocket_connections_active(\{.*\})? 0$/m);
  });
});

describe('figures', () => {
  it('are what Prometheus takes, with the names of the contract, and of those beside us', async ({ world, promtool }) => {
    const beside = createBasics('scheduler', { level: 'silent' }).metrics;
    const gateway = await world.gateway({}, {}, { beside: [beside] });
    await call(gateway, '/health');
    await call(gateway, '/workspaces/5d0a6c7e-0000-4000-8000-000000000000');
    const { headers, text } = await call(gateway, '/metrics');
    expect(headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await promtool(text)).toBe('');
    const types = Object.fromEntries([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name, type]) => [name, type]));
    expect(types).toMatchObject({
      molecule_http_requests_total: 'counter',
      molecule_http_request_duration_seconds_total: 'counter',
      molecule_websocket_connections_active: 'gauge',
      molecule_auth_denials_total: 'counter',
      molecule_projection_lag_seconds: 'gauge',
      go_goroutines: 'gauge',
      go_memstats_alloc_bytes: 'gauge',
      go_memstats_sys_bytes: 'gauge',
      go_memstats_heap_inuse_bytes: 'gauge',
      go_gc_duration_seconds_total: 'counter',
    });
    for (const name of Object.keys(types)) expect(text.split(`# HELP ${name} `), name).toHaveLength(2);
    expect(text).toMatch(/^process_resident_memory_bytes\{service="gateway"\} \d+$/m);
    expect(text).toMatch(/^process_resident_memory_bytes\{service="scheduler"\} \d+$/m);
    for (const reason of DenialReason.options) expect(text).toContain(`molecule_auth_denials_total{reason="${reason}",`);
    for (const name of ['go_goroutines', 'go_memstats_alloc_bytes', 'go_memstats_sys_bytes', 'go_memstats_heap_inuse_bytes'])
      expect(Number(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'm').exec(text)?.[1]), name).toBeGreaterThan(0);
  });
});

describe('pages of other origins', () => {
  it('are refused without a word more, allowed, or none of our business', async ({ world }) => {
    const gateway = await world.gateway({ CORS_ORIGINS: 'https://canvas.example' });
    const foreign = await call(gateway, '/health', { headers: { origin: 'https://evil.example' } });
    expect(foreign).toMatchObject({ status: 403, text: '' });
    expect(foreign.headers['x-frame-options']).toBeUndefined();

    const allowed = await call(gateway, '/health', { headers: { origin: 'https://canvas.example' } });
    expect(allowed).toMatchObject({
      status: 200,
      headers: {
        'access-control-allow-origin': 'https://canvas.example',
        'access-control-allow-credentials': 'true',
        vary: 'Origin',
      },
    });
    const same = await call(gateway, '/health', { headers: { origin: `http://127.0.0.1:${gateway.port}` } });
    expect(same.status).toBe(200);
    expect(same.headers['access-control-allow-origin']).toBeUndefined();
  });

  it('may ask first, for any path', async ({ world }) => {
    const gateway = await world.gateway();
    const origin = 'http://localhost:3000';
    const preflight = await call(gateway, '/no/such/path', { method: 'OPTIONS', headers: { origin } });
    expect(preflight).toMatchObject({
      status: 204,
      headers: {
        'access-control-allow-origin': origin,
        'access-control-allow-methods': 'GET,POST,PUT,PATCH,DELETE,OPTIONS',
        'access-control-allow-headers': 'Origin,Content-Type,X-Workspace-Id,Authorization',
        vary: 'Origin, Access-Control-Request-Method, Access-Control-Request-Headers',
      },
    });
    expect(preflight.headers['access-control-max-age']).toBeUndefined();
    expect(preflight.headers['x-frame-options']).toBeUndefined();
  });
});

describe('a request for somebody else', () => {
  it('is handed over in this process with who asks, and without headers that only we may set', async ({ world }) => {
    const { id, token } = await world.registry.enrol();
    const gateway = await world.gateway(
      {},
      {
        scheduler: async (request, response) => {
          const { principal, beats } = attachedContext(request) ?? {};
          const ours = request.rawHeaders.concat(Object.keys(request.headers)).filter((name) => /^x-molecule-/i.test(name));
          response.end(JSON.stringify({ identity: principal?.identity, beats, ours, body: await text(request) }));
        },
      },
    );
    await call(gateway, '/registry/heartbeat', {
      method: 'POST',
      headers: bearer(token),
      body: JSON.stringify({ workspace_id: id }),
    });
    const answer = await call(gateway, `/workspaces/${id}/schedules?x=1`, {
      method: 'POST',
      headers: { ...bearer(token), 'X-Molecule-Context': 'forged', 'x-molecule-anything': 'else' },
      body: 'hello',
    });
    expect(JSON.parse(answer.text)).toEqual({
      identity: { kind: 'workspace', workspaceId: id, tokenId: expect.any(String) },
      beats: { gateway: expect.stringMatching(/^gateway-/), seq: 1 },
      ours: [],
      body: 'hello',
    });
    expect(answer.headers['x-frame-options']).toBe('DENY');
  });

  it('hops to where the owner listens, with who asks signed', async ({ world, log }) => {
    const app = serviceApp(log).get('/events', (c) => c.text(c.get('context').principal.identity.kind));
    const remote = await listen(createListener(httpService(app), { log, internalKey: INTERNAL_KEY }), {
      port: 0,
      host: '127.0.0.1',
      log,
    });
    try {
      const gateway = await world.gateway({ ADMIN_TOKEN: 'root', REGISTRY_URL: remote.url });
      expect((await call(gateway, '/events', { headers: bearer('root') })).text).toBe('admin');
      expect((await call(gateway, '/events')).text).toBe('anonymous');
      expect(await call(gateway, '/events/')).toMatchObject({ status: 301, headers: { location: '/events' } });
    } finally {
      await remote.close(100);
    }
  });

  it('answers 503 while its owner is not there', async ({ world }) => {
    const gateway = await world.gateway();
    const answer = await call(gateway, '/events');
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text)).toMatchObject({ code: 'platform_unavailable' });
  });

  it('that throws in its owner disturbs no other', async ({ world }) => {
    const gateway = await world.gateway(
      {},
      {
        registry: () => {
          throw new Error('a defect');
        },
      },
    );
    expect(await call(gateway, '/events')).toMatchObject({ status: 500, text: '' });
    expect((await call(gateway, '/health')).status).toBe(200);
  });
});

describe('what is no proper request', () => {
  it('ends its own connection alone', async ({ world }) => {
    const gateway = await world.gateway();
    const raw = (bytes: string) =>
      new Promise<string>((resolve, reject) => {
        const socket = connect(gateway.port, '127.0.0.1', () => socket.end(bytes));
        text(socket).then(resolve, reject);
      });
    expect(await raw('nonsense\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
    expect(await raw(`GET /health HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`)).toMatch(/^HTTP\/1\.1 431 /);
    expect(
      await raw('POST /registry/heartbeat HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n'),
    ).toMatch(/^HTTP\/1\.1 400 /);
    expect(await raw('GET http://elsewhere/health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
    expect(await raw('GET /health HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n')).toMatch(
      /^HTTP\/1\.1 200 /,
    );
    expect((await call(gateway, '/health')).status).toBe(200);
  });

  it('a port that is taken is told by its number', async ({ world }) => {
    const other = createServer();
    const port = await new Promise<number>((resolve) => {
      other.listen(0, '127.0.0.1', () => resolve((other.address() as { port: number }).port));
    });
    await expect(world.gateway({ PORT: String(port) })).rejects.toThrow(`127.0.0.1:${port}`);
    other.close();
  });
});
