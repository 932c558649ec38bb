import { createHash, randomUUID } from 'node:crypto';
import { ask } from '@molecule/bus';
import { ask as asks, type Identity, WorkspaceId } from '@molecule/contracts';
import { it as withServers } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { NOBODY, publish, type Registry, startRegistry, withRegistry } from '../fixtures.ts';

const it = withRegistry(withServers);
const sha = (text: string) => createHash('sha256').update(text).digest('hex');
const error = (text: string) => ({ error: text });

/** Who the gateway would say shows this token. */
const holder = async (bus: Parameters<typeof ask>[0], id: string, token: string): Promise<Identity> => {
  const { entry } = await ask(bus, asks.registry.resolve, { workspaceId: id as WorkspaceId });
  const found = entry?.tokens.find(({ hash }) => hash === sha(token));
  return found ? { kind: 'workspace', workspaceId: id, tokenId: found.tokenId } : { kind: 'unknown-token' };
};

describe('POST /registry/register', () => {
  it('brings it online with its card, and gives a token once', async ({ registry, bus }) => {
    const id = await registry.create();
    const first = await registry.register(id);
    expect(first).toMatchObject({
      status: 200,
      body: { status: 'registered', auth_token: expect.stringMatching(/^[\w-]{43}$/) },
    });
    expect((await registry.call('GET', `/workspaces/${id}`)).body).toMatchObject({
      status: 'online',
      url: 'http://localhost:8001',
      agent_card: { name: 'card' },
    });
    expect((await registry.events(id)).at(-1)).toEqual([
      'WORKSPACE_ONLINE',
      { url: 'http://localhost:8001', agent_card: { name: 'card' } },
    ]);

    expect(await registry.register(id)).toMatchObject({ status: 401, body: error('missing workspace auth token') });
    expect(await registry.register(id, {}, { as: { kind: 'admin' } })).toMatchObject({
      status: 401,
      body: error('invalid workspace auth token'),
    });
    expect(await registry.register(id, {}, { as: NOBODY, principal: { tokensKnown: false } })).toMatchObject({
      status: 503,
      body: { code: 'platform_unavailable' },
    });
    const self = await holder(bus, id, first.body.auth_token);
    expect((await registry.register(id, { agent_card: null }, { as: self })).body).toEqual({ status: 'registered' });
    expect((await registry.call('GET', `/workspaces/${id}`)).text).toContain('"agent_card":null');
  });

  it('makes the row of an id nobody created', async ({ registry }) => {
    const id = randomUUID();
    expect((await registry.register(id)).body).toMatchObject({ status: 'registered', auth_token: expect.any(String) });
    expect((await registry.call('GET', `/workspaces/${id}`)).body).toMatchObject({
      name: id,
      tier: 1,
      runtime: 'langgraph',
      status: 'online',
    });
    expect(await registry.events(id)).toHaveLength(1);
  });

  it('refuses what is not a registration, and URLs that the platform must not dial', async ({ registry }) => {
    const id = await registry.create();
    for (const body of [
      { id: '' },
      { id: 'nobody', url: 'http://169.254.169.254' },
      { url: '' },
      { agent_card: undefined },
      { url: 'ftp://localhost' },
      { url: 'http://169.254.169.254' },
      { url: 'http://127.0.0.1:22' },
      { agent_card: { text: 'x'.repeat(50_000) } },
    ])
      expect(await registry.register(id, body)).toMatchObject({ status: 400, body: error('invalid request body') });
    expect(await registry.status(id)).toBe('provisioning');
  });

  it('cannot make a row of an id that is none: a 500 with the text of the route (§0)', async ({ registry }) => {
    expect(await registry.register('nobody')).toMatchObject({ status: 500, body: error('registration failed') });
  });

  it('keeps the provisioner’s URL, and takes the reported one for peers from what it provisioned itself', async ({
    registry,
    bus,
  }) => {
    const id = WorkspaceId.parse(await registry.create());
    const token = 'T'.repeat(43);
    const replaced = await ask(bus, asks.registry.replaceTokens, {
      workspaceId: id,
      hash: sha(token),
      prefix: 'TTTTTTTT',
      commandId: 'run-1',
    });
    expect(replaced).toEqual({ accepted: true });
    const self = await holder(bus, id, token);
    // The agent is faster than the provisioner's own report.
    expect((await registry.register(id, { url: 'http://10.0.0.9:8000' }, { as: self })).body).toEqual({ status: 'registered' });
    expect((await registry.call('GET', `/workspaces/${id}`)).body).toMatchObject({
      status: 'online',
      url: '',
      agent_card: { name: 'card' },
    });
    await publish(bus, {
      type: 'container.started',
      data: { workspaceId: id, run: 1, url: 'http://127.0.0.1:40000', backend: 'process' },
    });
    await expect
      .poll(async () => (await registry.call('GET', `/workspaces/${id}`)).body.url, { interval: 5 })
      .toBe('http://127.0.0.1:40000');
    await registry.register(id, { url: 'http://10.0.0.9:8001' }, { as: self });
    expect((await registry.call('GET', `/workspaces/${id}`)).body.url).toBe('http://127.0.0.1:40000');
    const { entry } = await ask(bus, asks.registry.resolve, { workspaceId: id });
    expect(entry?.internalUrl).toBe('http://10.0.0.9:8001');
  });

  it('relaxes the addresses in development mode', async ({ postgresUrl, natsUrl, log, bus: _ }) => {
    const registry = await startRegistry({ postgresUrl, natsUrl, log, env: { MOLECULE_ENV: 'development' } });
    const id = await registry.create();
    expect((await registry.register(id, { url: 'http://10.0.0.9:8000' })).status).toBe(200);
    await registry.scope.close();
  });
});

describe('POST /registry/update-card', () => {
  it('replaces the card and leaves the status', async ({ registry }) => {
    const id = await registry.create();
    const card = (workspace_id: string) =>
      registry.call('POST', '/registry/update-card', { as: NOBODY, body: { workspace_id, agent_card: { v: 2 } } });
    expect((await card(id)).body).toEqual({ status: 'updated' });
    expect((await registry.call('GET', `/workspaces/${id}`)).body).toMatchObject({
      agent_card: { v: 2 },
      status: 'provisioning',
    });
    expect((await registry.events(id)).at(-1)).toEqual(['AGENT_CARD_UPDATED', { agent_card: { v: 2 } }]);
    expect((await card(randomUUID())).body).toEqual({ status: 'updated' });
    expect((await registry.call('POST', '/registry/update-card', { raw: '{}' })).body).toEqual(error('invalid request body'));
    await registry.register(id);
    expect((await card(id)).body).toEqual(error('missing workspace auth token'));
  });
});

/** boss → (left → leaf, right); stranger. */
async function aTeam(registry: Registry) {
  const boss = await registry.create({ name: 'boss' });
  const left = await registry.create({ name: 'left', parent_id: boss, role: 'Writes Texts' });
  const right = await registry.create({ name: 'right', parent_id: boss });
  const leaf = await registry.create({ name: 'leaf', parent_id: left });
  const stranger = await registry.create({ name: 'stranger' });
  return { boss, left, right, leaf, stranger };
}

describe('who may turn to whom', () => {
  it('is asked by anybody', async ({ registry }) => {
    const { boss, left, right, leaf, stranger } = await aTeam(registry);
    const allowed = async (caller_id: string, target_id: string) =>
      (await registry.call('POST', '/registry/check-access', { as: NOBODY, body: { caller_id, target_id } })).body.allowed;
    expect(await allowed(left, right)).toBe(true);
    expect(await allowed(boss, leaf)).toBe(true);
    expect(await allowed(leaf, boss)).toBe(true);
    expect(await allowed(boss, stranger)).toBe(true);
    expect(await allowed(right, leaf)).toBe(false);
    expect(await allowed(stranger, left)).toBe(false);
    expect(await allowed(randomUUID(), left)).toBe(false);
    expect(await allowed('nobody', 'nobody')).toBe(true);
    expect((await registry.call('POST', '/registry/check-access', { raw: '{"caller_id":"a"}' })).status).toBe(400);
  });
});

describe('GET /registry/discover/:id', () => {
  it('needs a caller that proves itself and may ask', async ({ registry }) => {
    const { left, right, leaf } = await aTeam(registry);
    const discover = (target: string, caller?: string) =>
      registry.call('GET', `/registry/discover/${target}`, {
        as: NOBODY,
        headers: caller === undefined ? {} : { 'x-workspace-id': caller },
      });
    expect(await discover(left)).toMatchObject({ status: 400, body: error('X-Workspace-ID header is required') });
    expect(await discover(leaf, right)).toMatchObject({ status: 403, body: error('not authorized to discover this workspace') });
    expect(await discover(randomUUID(), right)).toMatchObject({ status: 403 });
    const nobody = randomUUID();
    expect(await discover(nobody, nobody)).toMatchObject({ status: 404, body: error('workspace not found') });
    expect(await discover(left, right)).toMatchObject({
      status: 503,
      body: { error: 'workspace not available', status: 'provisioning' },
    });
    await registry.register(left, { url: 'http://localhost:8077' });
    expect(await discover(left, right)).toMatchObject({
      status: 200,
      body: { id: left, url: 'http://localhost:8077', name: 'left' },
    });
    await registry.register(right);
    expect(await discover(left, right)).toMatchObject({ status: 401, body: error('missing workspace auth token') });
    const asRight = {
      as: { kind: 'workspace', workspaceId: right, tokenId: 't' } as const,
      headers: { 'x-workspace-id': right },
    };
    expect((await registry.call('GET', `/registry/discover/${left}`, asRight)).status).toBe(200);
    const asAdmin = { headers: { 'x-workspace-id': right } };
    expect((await registry.call('GET', `/registry/discover/${left}`, asAdmin)).body).toEqual(
      error('invalid workspace auth token'),
    );
  });

  it('shows an external URL as the caller can dial it, if it may be dialled', async ({ registry }) => {
    const caller = await registry.create();
    const external = async (url: string) => registry.create({ name: 'e', external: true, url });
    const discover = async (target: string, from = caller) =>
      (await registry.call('GET', `/registry/discover/${target}`, { as: NOBODY, headers: { 'x-workspace-id': from } })).body;
    expect(await discover(await external('http://93.184.216.34/a'))).toMatchObject({ url: 'http://93.184.216.34/a' });
    expect(await discover(await external('http://127.0.0.1:1'))).toEqual(error('workspace URL failed safety check'));
    const gone = await external('http://93.184.216.34/a');
    await registry.call('DELETE', `/workspaces/${gone}`);
    expect(await discover(gone)).toEqual({ error: 'workspace not available', status: 'removed' });
  });
});

describe('GET /registry/:id/peers', () => {
  it('lists siblings, children and the parent', async ({ registry }) => {
    const { boss, left, right, leaf, stranger } = await aTeam(registry);
    const peers = async (id: string, q = '') =>
      (await registry.call('GET', `/registry/${id}/peers?q=${q}`, { as: NOBODY })).body.map((row: { id: string }) => row.id);
    expect(await peers(left)).toEqual([right, leaf, boss]);
    expect(await peers(boss)).toEqual([stranger, left, right]);
    expect(await peers(boss, 'texts')).toEqual([left]);
    expect(await peers(boss, '%20LEFT%20')).toEqual([left]);
    expect(await peers(boss, 'nothing')).toEqual([]);
    // Neither across the seam of name and role, nor in the role that somebody does not have.
    for (const q of ['leftwrites', 'left%0Awrites', 'left%20writes', 'null']) expect(await peers(boss, q)).toEqual([]);
    for (const q of ['', '%20%20', '%09']) expect(await peers(boss, q)).toEqual([stranger, left, right]);
    expect(await registry.call('GET', `/registry/${randomUUID()}/peers`, { as: NOBODY })).toMatchObject({
      status: 404,
      body: error('workspace not found'),
    });
    const [row] = (await registry.call('GET', `/registry/${leaf}/peers`, { as: NOBODY })).body;
    expect(row).toEqual({
      id: left,
      name: 'left',
      role: 'Writes Texts',
      tier: 3,
      status: 'provisioning',
      agent_card: null,
      url: '',
      parent_id: boss,
      active_tasks: 0,
    });
  });
});

describe('GET /admin/workspaces/:id/test-token', () => {
  it('mints one more each time, for workspaces that are there', async ({ registry, bus }) => {
    const id = await registry.create();
    const mint = () =>
      registry.call('GET', `/admin/workspaces/${id}/test-token`, { as: NOBODY, principal: { adminTokenSet: false } });
    const [first, second] = [await mint(), await mint()];
    expect(first.body).toEqual({ auth_token: expect.stringMatching(/^[\w-]{43}$/), workspace_id: id });
    expect(await holder(bus, id, first.body.auth_token)).toMatchObject({ kind: 'workspace' });
    expect(await holder(bus, id, second.body.auth_token)).toMatchObject({ kind: 'workspace' });
    expect(await registry.call('GET', `/admin/workspaces/${randomUUID()}/test-token`)).toMatchObject({
      status: 404,
      body: error('workspace not found'),
    });
  });

  it('asks for the admin token where there is one', async ({ postgresUrl, natsUrl, log, bus: _ }) => {
    const registry = await startRegistry({ postgresUrl, natsUrl, log, env: { ADMIN_TOKEN: 'secret' } });
    const id = await registry.create();
    const mint = async (authorization: string) =>
      (await registry.call('GET', `/admin/workspaces/${id}/test-token`, { as: NOBODY, headers: { authorization } })).status;
    expect([await mint('Bearer wrong'), await mint('Bearer secret'), await mint('secret')]).toEqual([401, 200, 200]);
    await registry.scope.close();
  });
});
