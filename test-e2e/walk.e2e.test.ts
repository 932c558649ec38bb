/**
 * The walk of an existing client through the whole life of a workspace, body by body as spec 1 has it, in each of the three modes:
 * create, register, beat, degrade, recover, peers, tokens; restart, pause, resume, hibernate, wake; delete, purge.
 */
import { once } from 'node:events';
import { waitFor } from '@molecule/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { Caller, type Whole } from './harness/caller.ts';
import { Cluster } from './harness/cluster.ts';

const ADMIN_TOKEN = 'the operator of the walk';
const UUID = expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
const TOKEN = expect.stringMatching(/^[A-Za-z0-9_-]{43}$/);
const TIME = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/);
const CARD = { name: 'walker', skills: [{ id: 'walk' }] };
const URL_OF_AGENT = 'http://localhost:8001';

interface Mode {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  /** What nobody in particular hears from an Admin route once a token lives. */
  readonly anonymousAdmin: number;
  /** What nobody in particular hears from the public read of a workspace. */
  readonly anonymousRead: number;
  readonly limited: boolean;
}

const MODES: readonly Mode[] = [
  { name: 'default', env: { MOLECULE_ENV: '' }, anonymousAdmin: 401, anonymousRead: 200, limited: true },
  { name: 'development', env: { MOLECULE_ENV: 'development' }, anonymousAdmin: 200, anonymousRead: 200, limited: false },
  {
    name: 'production',
    env: {
      MOLECULE_ENV: 'production',
      ADMIN_TOKEN,
      SECRETS_ENCRYPTION_KEY: Buffer.alloc(32, 7).toString('base64'),
    },
    anonymousAdmin: 401,
    anonymousRead: 401,
    limited: true,
  },
];

describe.each(MODES)('in $name mode', ({ name, env, anonymousAdmin, anonymousRead, limited }) => {
  let cluster: Cluster;
  let nobody: Caller;
  /** Who runs the platform: the admin token in production, else a workspace's token once there is one (spec 1 §4.2). */
  let operator: Caller;
  /** The remote agent of the walk, and what it shows. */
  let agent: Caller;
  let remote: string;
  let sibling: string;

  beforeAll(async () => {
    // The walk asks again and again whether something has happened; that is not what the limit is for.
    cluster = await Cluster.start({ env: { ...env, RATE_LIMIT: '1000000' } });
    nobody = new Caller(cluster.url());
    operator = name === 'production' ? nobody.bearer(ADMIN_TOKEN) : nobody;
  });
  afterAll(() => cluster?.stop());

  const reaches = (id: string, status: string) =>
    waitFor(async () => (await operator.get(`/workspaces/${id}`)).body.status === status, {
      timeoutMs: 30_000,
      what: `${id} to be ${status}`,
    });
  const expectAnswer = (answer: Whole, status: number, body: unknown) =>
    expect({ status: answer.status, body: answer.body }).toEqual({ status, body });

  it('starts empty, healthy, and says how much may be asked', async () => {
    const health = await nobody.get('/health');
    expectAnswer(health, 200, { status: 'ok' });
    expect(health.headers['x-ratelimit-limit']).toBe(limited ? '1000000' : 'unlimited');
    expect(health.headers['x-content-type-options']).toBe('nosniff');
    expectAnswer(await operator.get('/workspaces'), 200, []);
    if (name === 'production') expectAnswer(await nobody.get('/workspaces'), 401, { error: 'admin auth required' });
    expect(await nobody.get('/workspaces/')).toMatchObject({ status: 301, headers: { location: '/workspaces' } });
    expectAnswer(await nobody.get('/nowhere'), 404, '404 page not found');
  });

  it('creates a workspace for a remote agent, which waits for it', async () => {
    const created = await operator.post('/workspaces', { name: 'walker', external: true, role: 'walks', tier: 2 });
    expectAnswer(created, 201, {
      id: UUID,
      external: true,
      status: 'awaiting_agent',
      connection: {
        workspace_id: created.body.id,
        platform_url: cluster.url(),
        auth_token: TOKEN,
        registry_endpoint: `${cluster.url()}/registry/register`,
        heartbeat_endpoint: `${cluster.url()}/registry/heartbeat`,
        curl_register_template: expect.stringContaining('WORKSPACE_AUTH_TOKEN="<paste from create response>"'),
        python_snippet: expect.stringContaining('AUTH_TOKEN    = "<paste from create response>"'),
      },
    });
    remote = created.body.id;
    agent = nobody.bearer(created.body.connection.auth_token);
    if (name === 'default') operator = agent;
    expect((await nobody.get('/workspaces')).status).toBe(anonymousAdmin);

    const { body: list } = await operator.get('/workspaces');
    expect(list).toEqual([
      {
        id: remote,
        name: 'walker',
        role: 'walks',
        tier: 2,
        status: 'awaiting_agent',
        url: '',
        parent_id: null,
        agent_card: null,
        active_tasks: 0,
        max_concurrent_tasks: 1,
        last_error_rate: 0,
        last_sample_error: '',
        uptime_seconds: 0,
        current_task: '',
        runtime: 'external',
        workspace_dir: null,
        budget_limit: null,
        monthly_spend: 0,
        x: 0,
        y: 0,
        collapsed: false,
      },
    ]);
  });

  it('registers, beats, degrades and recovers, seen in the very next read', async () => {
    const register = { id: remote, url: URL_OF_AGENT, agent_card: CARD };
    expectAnswer(await nobody.post('/registry/register', register), 401, { error: 'missing workspace auth token' });
    expectAnswer(await agent.post('/registry/register', register), 200, { status: 'registered' });
    expect((await nobody.get(`/workspaces/${remote}`)).status).toBe(anonymousRead);
    const single = await agent.get(`/workspaces/${remote}`);
    expectAnswer(single, 200, {
      id: remote,
      name: 'walker',
      role: 'walks',
      tier: 2,
      status: 'online',
      url: URL_OF_AGENT,
      parent_id: null,
      agent_card: CARD,
      active_tasks: 0,
      max_concurrent_tasks: 1,
      last_error_rate: 0,
      uptime_seconds: 0,
      runtime: 'external',
      x: 0,
      y: 0,
      collapsed: false,
      last_outbound_at: null,
    });

    const beat = (more: object) => agent.post('/registry/heartbeat', { workspace_id: remote, ...more });
    expectAnswer(await beat({ error_rate: 0.8, sample_error: 'out of paper' }), 200, { status: 'ok' });
    expect((await agent.get(`/workspaces/${remote}`)).body).toMatchObject({ status: 'degraded', last_error_rate: 0.8 });
    expectAnswer(await beat({ error_rate: 0, uptime_seconds: 7 }), 200, { status: 'ok' });
    expect((await agent.get(`/workspaces/${remote}`)).body).toMatchObject({ status: 'online', uptime_seconds: 7 });
    const events = (await operator.get(`/events/${remote}`)).body as { event_type: string; payload: unknown }[];
    expect(events.map(({ event_type }) => event_type)).toEqual([
      'WORKSPACE_ONLINE',
      'WORKSPACE_DEGRADED',
      'WORKSPACE_ONLINE',
      'WORKSPACE_AWAITING_AGENT',
      'WORKSPACE_PROVISIONING',
    ]);
    expect(events[1]?.payload).toEqual({ error_rate: 0.8, sample_error: 'out of paper' });
  });

  it('has peers, and finds them', async () => {
    const created = await operator.post('/workspaces', { name: 'sibling', external: true, url: 'http://localhost:8002' });
    expectAnswer(created, 201, { id: UUID, external: true, status: 'online' });
    sibling = created.body.id;
    const peer = {
      id: sibling,
      name: 'sibling',
      role: null,
      tier: 3,
      status: 'online',
      agent_card: null,
      url: 'http://localhost:8002',
      parent_id: null,
      active_tasks: 0,
    };
    expectAnswer(await agent.get(`/registry/${remote}/peers`), 200, [peer]);
    expectAnswer(await agent.get(`/registry/${remote}/peers?q=%20SIB%20`), 200, [peer]);
    expectAnswer(await agent.get(`/registry/${remote}/peers?q=nobody`), 200, []);
    expectAnswer(await nobody.get(`/registry/discover/${sibling}`), 400, { error: 'X-Workspace-ID header is required' });
    const discovered = await agent.with({ 'x-workspace-id': remote }).get(`/registry/discover/${sibling}`);
    // Loopback passes the dispatch rules on a developer's machine only (spec 1 §3.8).
    if (name === 'development') expectAnswer(discovered, 200, { id: sibling, url: 'http://localhost:8002', name: 'sibling' });
    else expectAnswer(discovered, 503, { error: 'workspace URL failed safety check' });
    expectAnswer(await agent.post('/registry/check-access', { caller_id: remote, target_id: sibling }), 200, { allowed: true });
  });

  it('mints, lists and revokes tokens', async () => {
    const minted = await agent.post(`/workspaces/${remote}/tokens`);
    expectAnswer(minted, 201, {
      auth_token: TOKEN,
      workspace_id: remote,
      message: 'Save this token now — it cannot be retrieved again.',
    });
    const second = nobody.bearer(minted.body.auth_token);
    const listed = await second.get(`/workspaces/${remote}/tokens`);
    const token = { id: UUID, prefix: expect.stringMatching(/^.{8}$/), created_at: TIME, last_used_at: expect.anything() };
    expect(listed.status).toBe(200);
    expect(listed.body.count).toBe(2);
    expect(listed.body.tokens).toEqual([
      { ...token, prefix: minted.body.auth_token.slice(0, 8), last_used_at: expect.toBeOneOf([null, TIME]) },
      { ...token, last_used_at: expect.toBeOneOf([null, TIME]) },
    ]);
    const path = `/workspaces/${remote}/tokens/${listed.body.tokens[0].id}`;
    expectAnswer(await agent.send('DELETE', path), 200, { status: 'revoked' });
    expectAnswer(await second.get(`/workspaces/${remote}/state`), 401, { error: 'invalid workspace auth token' });
    expectAnswer(await agent.send('DELETE', path), 404, { error: 'token not found or already revoked' });
    expectAnswer(await agent.get(`/workspaces/${remote}/state`), 200, {
      workspace_id: remote,
      status: 'online',
      paused: false,
      deleted: false,
    });
  });

  it('explains what it shows', async () => {
    const { status, body } = await agent.get(`/workspaces/${remote}/explain`);
    expect(status).toBe(200);
    expect(body).toMatchObject({ id: remote, status: 'online', since: TIME });
  });

  it('restarts, pauses, resumes, hibernates and wakes an agent of its own', async () => {
    const created = await operator.post('/workspaces', { name: 'echo of the walk', runtime: 'echo', tier: 1 });
    const id = created.body.id as string;
    expectAnswer(created, 201, {
      id: UUID,
      status: 'provisioning',
      awareness_namespace: `workspace:${id}`,
      workspace_access: 'none',
    });
    await reaches(id, 'online');
    // Admin and org credentials may steer; where there are none, a token of the workspace does.
    const steering =
      name === 'default' ? nobody.bearer((await nobody.get(`/admin/workspaces/${id}/test-token`)).body.auth_token) : operator;

    expectAnswer(await steering.post(`/workspaces/${id}/restart`), 200, {
      status: 'provisioning',
      config_dir: 'existing-volume',
      reset_session: false,
    });
    await reaches(id, 'online');
    // A start of the platform's own agents exchanges their tokens (spec 1 §4.7).
    const again = async () =>
      name === 'default' ? nobody.bearer((await nobody.get(`/admin/workspaces/${id}/test-token`)).body.auth_token) : operator;

    expectAnswer(await (await again()).post(`/workspaces/${id}/pause`), 200, { status: 'paused', paused_count: 1 });
    expect((await operator.get(`/workspaces/${id}`)).body).toMatchObject({ status: 'paused', url: '' });
    expectAnswer(await (await again()).post(`/workspaces/${id}/pause`), 404, {
      error: 'workspace not found or already paused',
    });
    expectAnswer(await (await again()).post(`/workspaces/${id}/resume`), 200, { status: 'provisioning', resumed_count: 1 });
    await reaches(id, 'online');

    expectAnswer(await (await again()).post(`/workspaces/${id}/hibernate`), 200, { status: 'hibernated' });
    const message = { role: 'user', messageId: 'm', parts: [{ kind: 'text', text: 'good morning' }] };
    const call = async () =>
      (await again()).post(`/workspaces/${id}/a2a`, { jsonrpc: '2.0', id: '1', method: 'message/send', params: { message } });
    const woken = await call();
    expectAnswer(woken, 503, {
      error: 'workspace is waking from hibernation — retry in ~15 seconds',
      waking: true,
      retry_after: 15,
    });
    expect(woken.headers['retry-after']).toBe('15');
    await reaches(id, 'online');
    await waitFor(async () => (await operator.get(`/workspaces/${id}`)).body.url !== '', {
      what: 'the provisioner to say where',
    });
    // On loopback, which may be dialled in every mode where the platform itself made the agent run.
    const answered = await waitFor(
      async () => {
        const answer = await call();
        return answer.status === 200 ? answer : false;
      },
      { what: 'every service to know where' },
    );
    expect(answered.body.result.parts).toEqual([{ kind: 'text', text: 'good morning' }]);

    const told = (await operator.get(`/events/${id}`)).body.map(({ event_type }: { event_type: string }) => event_type).reverse();
    const order = ['WORKSPACE_PROVISIONING', 'WORKSPACE_PAUSED', 'WORKSPACE_HIBERNATED', 'WORKSPACE_ONLINE'].map((type) =>
      told.lastIndexOf(type),
    );
    expect(order).not.toContain(-1);
    expect(told.indexOf('WORKSPACE_PAUSED')).toBeLessThan(told.indexOf('WORKSPACE_HIBERNATED'));

    expectAnswer(await operator.send('DELETE', `/workspaces/${id}?purge=true`), 200, { status: 'purged', cascade_deleted: 0 });
    expectAnswer(await operator.get(`/workspaces/${id}`), 404, { error: 'workspace not found' });
  });

  it('lets a canvas listen as the mode allows, and shows the past to the operator', async () => {
    const socketUrl = `${cluster.url().replace('http', 'ws')}/ws`;
    const anonymous = new WebSocket(socketUrl);
    if (name === 'production') {
      const [, refused] = await once(anonymous, 'unexpected-response');
      expect(refused.statusCode).toBe(401);
      const opened = await operator.post('/session');
      expect(opened.status).toBe(200);
      const cookie = String(opened.headers['set-cookie']).split(';')[0] as string;
      expect(String(opened.headers['set-cookie'])).toMatch(/HttpOnly/);
      const canvas = new WebSocket(socketUrl, { headers: { cookie } });
      await once(canvas, 'open');
      expect((await nobody.with({ cookie }).get('/workspaces')).status).toBe(200);
      const ended = once(canvas, 'close');
      expect((await nobody.with({ cookie }).send('DELETE', '/session')).status).toBe(200);
      expect((await nobody.with({ cookie }).get('/workspaces')).status).toBe(401);
      await ended;
    } else {
      await once(anonymous, 'open');
      anonymous.close();
    }
    const before = await operator.get(`/workspaces?as_of=${encodeURIComponent('2020-01-01T00:00:00Z')}`);
    expectAnswer(before, 200, []);
  });

  it('deletes a parent only when told to, and forgets what is purged', async () => {
    const child = await operator.post('/workspaces', { name: 'child', external: true, parent_id: remote });
    expectAnswer(await operator.send('DELETE', `/workspaces/${remote}`), 409, {
      status: 'confirmation_required',
      message: 'This workspace has sub-workspaces. Delete with ?confirm=true to cascade delete.',
      children: [{ id: child.body.id, name: 'child' }],
      children_count: 1,
    });
    expectAnswer(await operator.send('DELETE', `/workspaces/${sibling}`), 200, { status: 'removed', cascade_deleted: 0 });
    expectAnswer(await operator.send('DELETE', `/workspaces/${remote}?confirm=true`), 200, {
      status: 'removed',
      cascade_deleted: 1,
    });
    // The agent's token is dead when the answer comes; a late beat changes nothing.
    expectAnswer(await agent.get(`/workspaces/${remote}/state`), 401, { error: 'invalid workspace auth token' });
    const late = await agent.post('/registry/heartbeat', { workspace_id: remote });
    expectAnswer(late, 200, { status: 'ok' });
    expect(
      (await nobody.with(name === 'production' ? { authorization: `Bearer ${ADMIN_TOKEN}` } : {}).get(`/workspaces/${remote}`))
        .body.status,
    ).toBe('removed');
    // The last token is gone: a fresh installation is open again, unless the mode says otherwise.
    const last = name === 'production' ? nobody.bearer(ADMIN_TOKEN) : nobody;
    expectAnswer(await last.get('/workspaces'), 200, []);
    expectAnswer(await last.send('DELETE', `/workspaces/${remote}?purge=true&confirm=true`), 200, {
      status: 'purged',
      cascade_deleted: 0,
    });
    expectAnswer(await last.get(`/workspaces/${remote}`), 404, { error: 'workspace not found' });
  });
});
