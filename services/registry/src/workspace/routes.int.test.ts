import { randomUUID } from 'node:crypto';
import { it as withServers } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { NOBODY, rowsOf, startRegistry, withRegistry } from '../fixtures.ts';

const it = withRegistry(withServers);
const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const error = (text: string) => ({ error: text });

describe('POST /workspaces', () => {
  it('answers at once, and the next request sees it', async ({ registry }) => {
    const { status, body } = await registry.call('POST', '/workspaces', { body: { name: 'atlas', canvas: { x: 3, y: 4 } } });
    expect(status).toBe(201);
    expect(body).toEqual({
      id: expect.stringMatching(uuid),
      status: 'provisioning',
      awareness_namespace: `workspace:${body.id}`,
      workspace_access: 'none',
    });
    const { body: list, text } = await registry.call('GET', '/workspaces');
    expect(list).toEqual([
      {
        id: body.id,
        name: 'atlas',
        role: null,
        tier: 3,
        status: 'provisioning',
        url: '',
        parent_id: null,
        agent_card: null,
        active_tasks: 0,
        max_concurrent_tasks: 1,
        last_error_rate: 0,
        last_sample_error: '',
        uptime_seconds: 0,
        current_task: '',
        runtime: 'langgraph',
        workspace_dir: null,
        budget_limit: null,
        monthly_spend: 0,
        x: 3,
        y: 4,
        collapsed: false,
      },
    ]);
    expect(text).toContain('"agent_card":null');
    expect(await registry.events(body.id)).toEqual([
      ['WORKSPACE_PROVISIONING', { name: 'atlas', tier: 3, runtime: 'langgraph' }],
    ]);
  });

  it('refuses in the order of the specification, and leaves no row', async ({ registry }) => {
    const refused = async (raw: string) => {
      const { status, body } = await registry.call('POST', '/workspaces', { raw });
      return [status, body.error];
    };
    expect(await refused('')).toEqual([400, 'invalid workspace payload']);
    expect(await refused('{"name":')).toEqual([400, 'invalid workspace payload']);
    expect(await refused('{"name":"a\\u0000b"}')).toEqual([400, 'invalid workspace payload']);
    expect(await refused('{"name":"a*b","template":"../x"}')).toEqual([400, 'invalid workspace fields']);
    expect(await refused('{"name":"a","template":"../x","runtime":"r","model":"m"}')).toEqual([400, 'invalid template']);
    expect(await refused('{"name":"a","workspace_dir":"/etc"}')).toEqual([400, 'invalid workspace directory']);
    expect(await refused('{"name":"a","workspace_access":"read_only"}')).toEqual([400, 'invalid workspace access']);
    expect(await refused('{"name":"a","parent_id":"nobody"}')).toEqual([500, 'failed to create workspace']);
    expect(await refused(`{"name":"a","parent_id":"${randomUUID()}","secrets":{"K":"v"}}`)).toEqual([
      500,
      'failed to create workspace',
    ]);
    expect((await registry.call('GET', '/workspaces')).text).toBe('[]');
  });

  it('fails before the answer where the provisioner says that it has no backend', async ({ registry, others }) => {
    others.backend = 'none';
    const id = await registry.create();
    expect(await registry.status(id)).toBe('failed');
    expect((await registry.call('GET', '/workspaces')).body[0].last_sample_error).toContain('Docker not available — workspace');
    expect(await registry.events(id)).toEqual([
      ['WORKSPACE_PROVISIONING', { name: 'atlas', tier: 3, runtime: 'echo' }],
      ['WORKSPACE_PROVISION_FAILED', { error: 'Docker not available on this platform instance' }],
    ]);
    expect((await registry.register(id)).body.status).toBe('registered');
    expect(await registry.status(id)).toBe('online');
  });

  it('brings an external one online with a URL, else waits with everything its agent needs', async ({ registry }) => {
    const withUrl = await registry.call('POST', '/workspaces', { body: { name: 'e', external: true, url: 'https://a.example' } });
    expect(withUrl.body).toEqual({ id: expect.stringMatching(uuid), external: true, status: 'online' });
    expect((await registry.call('GET', `/workspaces/${withUrl.body.id}`)).body).toMatchObject({
      status: 'online',
      runtime: 'external',
      url: 'https://a.example',
    });

    const { body } = await registry.call('POST', '/workspaces', {
      body: { name: 'e', runtime: 'external' },
      headers: { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'm.example' },
    });
    const { id, connection } = body;
    expect(body).toMatchObject({
      external: true,
      status: 'awaiting_agent',
      connection: {
        workspace_id: id,
        platform_url: 'https://m.example',
        registry_endpoint: 'https://m.example/registry/register',
      },
    });
    expect(connection.python_snippet).toContain('AUTH_TOKEN    = "<paste from create response>"');
    expect(connection.curl_register_template).toContain('WORKSPACE_AUTH_TOKEN="<paste from create response>"');
    expect(connection.auth_token).toMatch(/^[\w-]{43}$/);
    expect((await registry.events(id)).at(-1)).toEqual(['WORKSPACE_AWAITING_AGENT', { name: 'e', external: true }]);
    expect((await registry.register(id)).status).toBe(401);
  });
});

describe('GET /workspaces/:id', () => {
  it('strips what is nobody’s business', async ({ registry }) => {
    const id = await registry.create({ budget_limit: 500 });
    const { body } = await registry.call('GET', `/workspaces/${id}`, { as: NOBODY });
    expect(body).toMatchObject({ id, last_outbound_at: null });
    for (const key of ['last_sample_error', 'current_task', 'workspace_dir', 'budget_limit', 'monthly_spend'])
      expect(body).not.toHaveProperty(key);
  });

  it('says when the workspace last reached somebody, as far as anybody knows', async ({ registry, others }) => {
    others.lastOutboundAt = '2026-01-01T12:00:00.500Z';
    const [early, late] = [await registry.create(), await registry.create()];
    const last = async (id: string) => (await registry.call('GET', `/workspaces/${id}`, { as: NOBODY })).body.last_outbound_at;
    expect(await last(early)).toBe('2026-01-01T12:00:00.500Z');
    expect((await registry.call('GET', '/workspaces')).body[0]).not.toHaveProperty('last_outbound_at');
    await others.close();
    expect(await last(late)).toBeNull();
    expect(await last(early)).toBe('2026-01-01T12:00:00.500Z');
  });

  it.for(['nobody', '..%2F..%2Fetc', "1'or'1"])('refuses %s before it looks', async (id, { registry }) => {
    expect(await registry.call('GET', `/workspaces/${id}`)).toMatchObject({ status: 400, body: error('invalid workspace ID') });
    expect(await registry.call('DELETE', `/workspaces/${id}`)).toMatchObject({ status: 400 });
    expect(await registry.call('PATCH', `/workspaces/${id}`, { raw: '[' })).toMatchObject({
      status: 400,
      body: error('invalid workspace ID'),
    });
  });

  it('does not find what is not there', async ({ registry }) =>
    expect(await registry.call('GET', `/workspaces/${randomUUID()}`)).toMatchObject({
      status: 404,
      body: error('workspace not found'),
    }));

  it('asks for a credential in production', async ({ postgresUrl, natsUrl, log, bus: _ }) => {
    const registry = await startRegistry({ postgresUrl, natsUrl, log, env: { MOLECULE_ENV: 'production' } });
    const id = await registry.create();
    expect((await registry.call('GET', `/workspaces/${id}`, { as: NOBODY })).status).toBe(401);
    expect((await registry.register(id)).body).toEqual(error('missing workspace auth token'));
    expect((await registry.call('GET', `/admin/workspaces/${id}/test-token`)).status).toBe(404);
    for (const as of [NOBODY, { kind: 'unknown-token' } as const])
      expect(await registry.call('GET', '/canvas/viewport', { as })).toMatchObject({
        status: 401,
        body: error('missing workspace auth token'),
      });
    const session = { kind: 'canvas', id: randomUUID() } as const;
    expect((await registry.call('GET', '/canvas/viewport', { as: NOBODY, principal: { session } })).status).toBe(200);
    await registry.scope.close();
  });
});

describe('PATCH /workspaces/:id', () => {
  it('applies each known key by itself, without an event', async ({ registry }) => {
    const parent = await registry.create({ name: 'parent' });
    const id = await registry.create();
    const body = {
      name: 'borealis',
      role: 'r',
      tier: 'x',
      parent_id: parent,
      x: 1,
      collapsed: true,
      status: 'online',
      budget_limit: 1,
    };
    expect(await registry.call('PATCH', `/workspaces/${id}`, { body })).toMatchObject({
      status: 200,
      text: '{"status":"updated"}',
    });
    expect((await registry.call('GET', `/workspaces/${id}`)).body).toMatchObject({
      name: 'borealis',
      role: 'r',
      tier: 3,
      parent_id: parent,
      x: 0,
      collapsed: true,
      status: 'provisioning',
    });
    expect(
      await registry.call('PATCH', `/workspaces/${id}`, { body: { role: null, parent_id: null, x: 1, y: 2, name: null } }),
    ).toMatchObject({ status: 200 });
    expect((await registry.call('GET', `/workspaces/${id}`)).body).toMatchObject({
      name: 'borealis',
      role: null,
      parent_id: null,
      x: 1,
      y: 2,
    });
    expect(await registry.events(id)).toHaveLength(1);
  });

  it('takes after how many idle minutes to hibernate; 0 and null are never, and what is no number of minutes is passed over', async ({
    registry,
    postgresUrl,
  }) => {
    const id = await registry.create();
    const minutes = async (hibernation_idle_minutes: unknown) => {
      const { text } = await registry.call('PATCH', `/workspaces/${id}`, { body: { hibernation_idle_minutes } });
      expect(text).toBe('{"status":"updated"}');
      const [row] = await rowsOf(postgresUrl, 'select hibernation_idle_minutes from workspaces');
      return row?.['hibernation_idle_minutes'];
    };
    expect(await minutes(30)).toBe(30);
    for (const passedOver of [-1, 1.5, '5', true, 2 ** 31]) expect(await minutes(passedOver)).toBe(30);
    expect(await minutes(0)).toBeNull();
    expect(await minutes(45)).toBe(45);
    expect(await minutes(null)).toBeNull();
    expect((await registry.call('GET', `/workspaces/${id}`)).body).not.toHaveProperty('hibernation_idle_minutes');
  });

  it('passes over parents that do not exist, are removed, or would close a circle', async ({ registry }) => {
    const [id, child, gone] = [await registry.create(), await registry.create(), await registry.create()];
    await registry.call('PATCH', `/workspaces/${child}`, { body: { parent_id: id } });
    await registry.call('DELETE', `/workspaces/${gone}`);
    for (const parent_id of [randomUUID(), gone, child, id]) {
      expect(await registry.call('PATCH', `/workspaces/${id}`, { body: { parent_id } })).toMatchObject({ status: 200 });
      expect((await registry.call('GET', `/workspaces/${id}`)).body.parent_id).toBeNull();
    }
  });

  it('refuses in order, the directory after the other fields were applied', async ({ registry }) => {
    const id = await registry.create();
    const refused = async (body: unknown, path = id) => {
      const answer = await registry.call('PATCH', `/workspaces/${path}`, { body });
      return [answer.status, answer.body.error];
    };
    expect(await refused([])).toEqual([400, 'invalid request body']);
    expect(await refused({ name: 'x'.repeat(256) })).toEqual([400, 'name must be at most 255 characters']);
    expect(await refused({ role: 'a\nb' })).toEqual([400, 'role must not contain newline characters']);
    expect(await refused({ name: 'a' }, randomUUID())).toEqual([404, 'workspace not found']);
    expect(await refused({ name: 'kept', workspace_dir: '/etc' })).toEqual([400, 'invalid workspace directory']);
    expect((await registry.call('GET', `/workspaces/${id}`)).body.name).toBe('kept');
    expect((await registry.call('PATCH', `/workspaces/${id}`, { body: { workspace_dir: '/home/me' } })).body).toEqual({
      status: 'updated',
      needs_restart: true,
    });
    for (const workspace_dir of [null, 7])
      expect((await registry.call('PATCH', `/workspaces/${id}`, { body: { workspace_dir } })).body.needs_restart).toBe(true);
  });

  it('is the workspace’s own, or an operator’s', async ({ registry }) => {
    const id = await registry.create();
    expect((await registry.call('PATCH', `/workspaces/${id}`, { as: NOBODY, body: {} })).body).toEqual(
      error('missing workspace auth token'),
    );
  });
});

describe('the conventions', () => {
  it('hold for unknown paths and trailing slashes', async ({ registry }) => {
    expect(await registry.call('GET', '/nowhere')).toMatchObject({ status: 404, text: '404 page not found' });
    expect((await registry.call('GET', '/workspaces/')).status).toBe(301);
    expect((await registry.call('GET', '/workspaces', { as: NOBODY })).body).toEqual(error('admin auth required'));
  });

  it('declare an auth class for every route', ({ registry }) =>
    expect(registry.service.http.routes().map(({ method, path, authClass }) => `${method} ${path} ${authClass}`)).toEqual([
      'GET /workspaces admin',
      'POST /workspaces admin',
      'GET /workspaces/:id none',
      'PATCH /workspaces/:id workspace',
      'DELETE /workspaces/:id admin',
      'POST /workspaces/:id/restart workspace',
      'POST /workspaces/:id/pause workspace',
      'POST /workspaces/:id/resume workspace',
      'POST /workspaces/:id/hibernate workspace',
      'GET /workspaces/:id/config workspace',
      'PATCH /workspaces/:id/config workspace',
      'GET /workspaces/:id/budget workspace',
      'PATCH /workspaces/:id/budget admin',
      'GET /workspaces/:id/state workspace',
      'POST /admin/workspaces/:id/bootstrap-failed admin',
      'GET /canvas/viewport none',
      'PUT /canvas/viewport canvasOrBearer',
      'POST /workspaces/:id/agent workspace',
      'PATCH /workspaces/:id/agent workspace',
      'DELETE /workspaces/:id/agent workspace',
      'POST /workspaces/:id/agent/move workspace',
      'POST /workspaces/:id/expand workspace',
      'POST /workspaces/:id/collapse workspace',
      'POST /registry/register registryToken',
      'POST /registry/update-card registryToken',
      'POST /registry/check-access none',
      'GET /registry/discover/:id discovery',
      'GET /registry/:id/peers discovery',
      'GET /workspaces/:id/explain workspace',
      'GET /events admin',
      'GET /events/:workspaceId admin',
      'GET /workspaces/:id/tokens workspace',
      'POST /workspaces/:id/tokens workspace',
      'DELETE /workspaces/:id/tokens/:tokenId workspace',
      'GET /admin/workspaces/:id/test-token testToken',
      'GET /org/tokens admin',
      'POST /org/tokens admin',
      'DELETE /org/tokens/:id admin',
      'POST /session credential',
      'GET /session session',
      'DELETE /session session',
      'GET /admin/access admin',
    ]));
});
