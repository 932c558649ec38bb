/** Restart, pause, resume, hibernate and wake, on real servers, answer by answer (spec 1 §1.8). */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { ask } from '@molecule/bus';
import { ask as asks, type Identity, WorkspaceId } from '@molecule/contracts';
import { CONTEXT_HEADER, verifyContext } from '@molecule/http';
import { manualClock, waitFor, it as withServers } from '@molecule/testkit';
import { describe, expect, onTestFinished } from 'vitest';
import { aGateway, beat, KEY, publish, type Registry, rowsOf, startRegistry, withRegistry } from '../fixtures.ts';

const it = withRegistry(withServers);
const post = (registry: Registry, id: string, what: string, body?: unknown) =>
  registry.call('POST', `/workspaces/${id}/${what}`, body === undefined ? {} : { body });
const until = (registry: Registry, id: string, status: string) =>
  waitFor(async () => (await registry.status(id)) === status, { what: `${id} to be ${status}` });
const online = async (registry: Registry, body: object = {}) => {
  const id = await registry.create(body);
  await registry.register(id);
  return id;
};
const typesOf = async (registry: Registry, id: string) => (await registry.events(id)).map(([type]) => type);
/** Its agent registers again, with the token it was given. */
async function comesBack(registry: Registry, postgresUrl: string, id: string): Promise<void> {
  const [token] = await rowsOf(postgresUrl, 'select token_id from tokens where workspace_id = $1 and revoked_at is null', [id]);
  const as: Identity = { kind: 'workspace', workspaceId: WorkspaceId.parse(id), tokenId: token?.['token_id'] };
  const { status } = await registry.register(id, {}, { as });
  if (status !== 200) throw new Error(`the agent of ${id} was not let in: ${status}`);
}
/** Nests two in each other: an operator's mistake that older rows may hold. */
const nestInEachOther = (postgresUrl: string, a: string, b: string) =>
  rowsOf(
    postgresUrl,
    'update workspaces set parent_id = case workspace_id when $1::uuid then $2::uuid else $1::uuid end where workspace_id in ($1, $2)',
    [a, b],
  );

describe('POST /workspaces/:id/restart', () => {
  it('stops what runs, and starts it as it is', async ({ registry, others }) => {
    const id = await online(registry);
    const answer = await post(registry, id, 'restart');
    expect(answer).toMatchObject({
      status: 200,
      text: '{"status":"provisioning","config_dir":"existing-volume","reset_session":false}',
    });
    expect(others.stops).toEqual([{ workspaceId: id, removeVolume: false, commandId: expect.any(String) }]);
    expect((await registry.call('GET', `/workspaces/${id}`)).body).toMatchObject({ status: 'provisioning', url: '' });
    expect((await registry.events(id)).at(-1)).toEqual(['WORKSPACE_PROVISIONING', { name: 'atlas', tier: 3, runtime: 'echo' }]);
  });

  it('takes over the runtime that the running configuration names', async ({ registry, others }) => {
    const id = await online(registry);
    others.configuredRuntime = 'hermes';
    await post(registry, id, 'restart');
    expect((await registry.call('GET', `/workspaces/${id}`)).body.runtime).toBe('hermes');
    expect((await registry.events(id)).at(-1)?.[1]).toMatchObject({ runtime: 'hermes' });
  });

  it('says what it is started from, and passes over what is no template', async ({ registry, postgresUrl }) => {
    const id = await online(registry);
    const labels: unknown[] = [];
    for (const template of ['echo', 'no-such', '../echo', '/etc', ''])
      labels.push((await post(registry, id, 'restart', { template })).body.config_dir);
    expect(labels).toEqual(['echo', ...Array(4).fill('existing-volume')]);
    const told = await rowsOf(
      postgresUrl,
      "select data->'start' as start from events where stream = $1 and type = 'workspace.status' order by version",
      [`workspace.${id}`],
    );
    expect(told.map(({ start }) => start)).toEqual([{ template: 'echo', resetSession: false }, null, null, null, null]);
  });

  it('throws the session away when the query or the body says so', async ({ registry }) => {
    const id = await online(registry);
    const reset = async (path: string, body?: unknown) => (await post(registry, id, path, body)).body.reset_session;
    expect(await reset('restart?reset=true')).toBe(true);
    expect(await reset('restart', { reset: true })).toBe(true);
    expect(await reset('restart?reset=1', { reset: false })).toBe(false);
  });

  it.for(['{', '[]', '{"reset":"yes"}', 'null'])('ignores the body %s', async (raw, { registry }) => {
    const id = await online(registry);
    const { status, body } = await registry.call('POST', `/workspaces/${id}/restart`, { raw });
    expect([status, body]).toEqual([200, { status: 'provisioning', config_dir: 'existing-volume', reset_session: false }]);
  });

  it('goes on when nobody answers what it asks', async ({ registry, others }) => {
    const id = await online(registry);
    others.stop = () => 'failed';
    expect((await post(registry, id, 'restart')).status).toBe(200);
    await others.close();
    expect((await post(registry, id, 'restart')).status).toBe(200);
  });

  it('refuses in the order of the specification', async ({ registry, others }) => {
    const boss = await online(registry, { name: 'boss' });
    const middle = await registry.create({ parent_id: boss });
    const leaf = await registry.create({ parent_id: middle });
    const gone = await registry.create();
    await registry.call('DELETE', `/workspaces/${gone}`);
    for (const id of [gone, randomUUID(), 'nobody'])
      expect(await post(registry, id, 'restart')).toMatchObject({ status: 404, text: '{"error":"workspace not found"}' });
    await post(registry, boss, 'pause');
    await registry.register(middle); // by itself, below a paused one
    others.backend = 'none';
    expect(await post(registry, leaf, 'restart')).toMatchObject({
      status: 409,
      body: { error: 'parent workspace "boss" is paused — resume it first' },
    });
    expect(await post(registry, boss, 'restart')).toMatchObject({ status: 503, body: { error: 'provisioner not available' } });
    others.backend = 'process';
    expect((await post(registry, boss, 'restart')).status).toBe(200); // whatever it is doing itself
  });

  it('S7: starts no container for an external one', async ({ registry, others }) => {
    const waiting = await registry.create({ external: true });
    const reached = await registry.create({ external: true, url: 'http://localhost:9' });
    others.backend = 'none';
    for (const id of [waiting, reached]) expect((await post(registry, id, 'restart')).status).toBe(200);
    expect([await registry.status(waiting), await registry.status(reached)]).toEqual(['awaiting_agent', 'online']);
    expect(others.stopped).toEqual([]);
  });
});

describe('POST /workspaces/:id/pause and /resume', () => {
  it('pause what is below too, and resume it', async ({ registry, others }) => {
    const boss = await online(registry, { name: 'boss' });
    const left = await online(registry, { name: 'left', parent_id: boss });
    const leaf = await registry.create({ name: 'leaf', parent_id: left });
    const paused = await post(registry, boss, 'pause');
    expect(paused).toMatchObject({ status: 200, text: '{"status":"paused","paused_count":3}' });
    expect(others.stops.map(({ workspaceId, removeVolume }) => [workspaceId, removeVolume]).toSorted()).toEqual(
      [boss, left, leaf].toSorted().map((id) => [id, false]),
    );
    for (const [id, name] of [
      [boss, 'boss'],
      [left, 'left'],
      [leaf, 'leaf'],
    ] as const) {
      expect((await registry.call('GET', `/workspaces/${id}`)).body).toMatchObject({ status: 'paused', url: '' });
      expect((await registry.events(id)).at(-1)).toEqual(['WORKSPACE_PAUSED', { name }]);
    }
    expect(await post(registry, boss, 'pause')).toMatchObject({
      status: 404,
      text: '{"error":"workspace not found or already paused"}',
    });
    expect(await post(registry, left, 'resume')).toMatchObject({
      status: 409,
      body: { error: 'parent workspace "boss" is paused — resume it first' },
    });
    expect(await post(registry, boss, 'resume')).toMatchObject({
      status: 200,
      text: '{"status":"provisioning","resumed_count":3}',
    });
    expect((await registry.events(leaf)).at(-1)).toEqual(['WORKSPACE_PROVISIONING', { name: 'leaf', tier: 3, runtime: 'echo' }]);
  });

  it('a paused or removed one hides what is below it', async ({ registry, postgresUrl }) => {
    const boss = await online(registry);
    const middle = await online(registry, { parent_id: boss });
    const leaf = await online(registry, { parent_id: middle });
    await post(registry, middle, 'pause');
    await comesBack(registry, postgresUrl, leaf); // works on below a paused one
    expect((await post(registry, boss, 'pause')).body).toEqual({ status: 'paused', paused_count: 1 });
    expect(await registry.status(leaf)).toBe('online');
    expect((await post(registry, boss, 'resume')).body).toEqual({ status: 'provisioning', resumed_count: 2 });
    expect(await registry.status(leaf)).toBe('online');
  });

  it('resume goes through paused ones alone', async ({ registry, postgresUrl }) => {
    const boss = await online(registry);
    const middle = await online(registry, { parent_id: boss });
    const leaf = await online(registry, { parent_id: middle });
    await post(registry, boss, 'pause');
    await comesBack(registry, postgresUrl, middle);
    expect((await post(registry, boss, 'resume')).body).toEqual({ status: 'provisioning', resumed_count: 1 });
    expect([await registry.status(middle), await registry.status(leaf)]).toEqual(['online', 'paused']);
  });

  it('refuse what is not there, and resume asks for a backend before it asks for the parent', async ({ registry, others }) => {
    const boss = await online(registry, { name: 'boss' });
    const leaf = await online(registry, { parent_id: boss });
    for (const id of [randomUUID(), 'nobody']) {
      expect((await post(registry, id, 'pause')).text).toBe('{"error":"workspace not found or already paused"}');
      expect((await post(registry, id, 'resume')).text).toBe('{"error":"workspace not found or not paused"}');
    }
    expect((await post(registry, boss, 'resume')).text).toBe('{"error":"workspace not found or not paused"}');
    await post(registry, boss, 'pause');
    others.backend = 'none';
    expect(await post(registry, leaf, 'resume')).toMatchObject({ status: 503, body: { error: 'provisioner not available' } });
    expect(await post(registry, boss, 'resume')).toMatchObject({ status: 503 });
    const external = await registry.create({ external: true });
    expect((await post(registry, external, 'pause')).body).toEqual({ status: 'paused', paused_count: 1 });
    expect((await post(registry, external, 'resume')).body).toEqual({ status: 'provisioning', resumed_count: 1 });
    expect(await registry.status(external)).toBe('awaiting_agent');
    expect(others.stopped).not.toContain(external);
  });

  it('end on circles (§9 #14)', async ({ registry, postgresUrl }) => {
    const [one, other] = [await online(registry), await online(registry)];
    await nestInEachOther(postgresUrl, one, other);
    expect((await post(registry, one, 'pause')).body).toEqual({ status: 'paused', paused_count: 2 });
    expect((await post(registry, one, 'resume')).status).toBe(409);
    expect((await post(registry, one, 'restart')).status).toBe(409);
  });

  it('a pause stands although what runs could not be stopped', async ({ registry, others }) => {
    const id = await online(registry);
    others.stop = () => 'failed';
    expect((await post(registry, id, 'pause')).body).toEqual({ status: 'paused', paused_count: 1 });
    expect(await registry.status(id)).toBe('paused');
  });

  it('of one tree at the same time leave it whole', async ({ registry }) => {
    const boss = await online(registry);
    const below = await Promise.all(Array.from({ length: 5 }, () => online(registry, { parent_id: boss })));
    const answers = await Promise.all([
      ...below.map((id) => post(registry, id, 'pause')),
      post(registry, boss, 'pause'),
      ...below.map(() => registry.create({ parent_id: boss })),
    ]);
    expect(answers.filter((answer) => typeof answer !== 'string').every(({ status }) => status === 200 || status === 404)).toBe(
      true,
    );
    for (const id of [boss, ...below]) expect(await registry.status(id)).toBe('paused');
    expect((await post(registry, boss, 'resume')).status).toBe(200);
    for (const id of [boss, ...below]) expect(await registry.status(id)).toBe('provisioning');
  });
});

describe('POST /workspaces/:id/hibernate', () => {
  it('puts to sleep, with one stop, however many ask', async ({ registry, others }) => {
    const id = await online(registry);
    const answers = await Promise.all(Array.from({ length: 12 }, () => post(registry, id, 'hibernate')));
    expect(answers.filter(({ status }) => status === 200).map(({ text }) => text)).toEqual(['{"status":"hibernated"}']);
    expect(new Set(answers.filter(({ status }) => status !== 200).map(({ text }) => text))).toEqual(
      new Set(['{"error":"workspace not found or not in a hibernatable state (must be online or degraded)"}']),
    );
    expect(others.stopped).toEqual([id]);
    expect((await registry.call('GET', `/workspaces/${id}`)).body).toMatchObject({ status: 'hibernated', url: '' });
    expect((await registry.events(id)).at(-1)).toEqual(['WORKSPACE_HIBERNATED', { name: 'atlas', tier: 3 }]);
    expect((await typesOf(registry, id)).filter((type) => type === 'WORKSPACE_HIBERNATED')).toHaveLength(1);
  });

  it('puts to sleep with one stop when two registries are asked', async ({ registry, others, postgresUrl, natsUrl, log }) => {
    const second = await startRegistry({ postgresUrl, natsUrl, log });
    onTestFinished(() => second.scope.close());
    const id = await online(registry);
    const asked = [registry, second, registry, second, second, registry].map((one) => post(one, id, 'hibernate'));
    const statuses = (await Promise.all(asked)).map(({ status }) => status);
    expect(statuses.toSorted()).toEqual([200, 404, 404, 404, 404, 404]);
    await until(second, id, 'hibernated');
    expect(others.stopped).toEqual([id]);
    expect((await typesOf(registry, id)).filter((type) => type === 'WORKSPACE_HIBERNATED')).toHaveLength(1);
  });

  it('asks first when it is at work, and does it when forced', async ({ registry, bus }) => {
    const gateway = aGateway(bus);
    const id = await online(registry);
    beat(gateway, id, { active_tasks: 2 });
    await registry.status(id, gateway);
    expect(await post(registry, id, 'hibernate')).toMatchObject({
      status: 409,
      body: { error: 'workspace has active tasks; use ?force=true to terminate them', active_tasks: 2 },
    });
    expect(await registry.status(id)).toBe('online');
    expect((await post(registry, id, 'hibernate?force=true')).text).toBe('{"status":"hibernated"}');
    expect(await registry.status(id)).toBe('hibernated');
  });

  it.for(['nobody', randomUUID()])('knows no %s', async (id, { registry }) => {
    expect(await post(registry, id, 'hibernate')).toMatchObject({
      status: 404,
      body: { error: 'workspace not found or not in a hibernatable state (must be online or degraded)' },
    });
  });

  it('H2: what was left between the claim and the end is finished by whoever comes next', async ({
    registry,
    others,
    postgresUrl,
    natsUrl,
    log,
  }) => {
    const id = await online(registry);
    const { promise: never, resolve } = Promise.withResolvers<void>();
    others.beforeStop = () => never;
    const asking = post(registry, id, 'hibernate').catch(() => undefined);
    await waitFor(() => others.stopped.length === 1, { what: 'the stop' });
    expect(await registry.status(id)).toBe('hibernating');
    expect(await typesOf(registry, id)).not.toContain('WORKSPACE_HIBERNATED');
    // The first loses its place to the second: its lead ends with its connection.
    const ended = await rowsOf(
      postgresUrl,
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name like '%registry.pulse%'",
    );
    expect(ended).toHaveLength(1);
    const next = await startRegistry({ postgresUrl, natsUrl, log });
    onTestFinished(() => next.scope.close());
    resolve();
    await until(next, id, 'hibernated');
    await asking;
    expect((await typesOf(next, id)).filter((type) => type === 'WORKSPACE_HIBERNATED')).toHaveLength(1);
    expect(new Set(others.stops.map(({ commandId }) => commandId)).size).toBe(1);
  });
});

describe('a sleeping workspace', () => {
  const wake = (bus: Parameters<typeof publish>[0], id: string) =>
    ask(bus, asks.registry.wake, { workspaceId: WorkspaceId.parse(id), commandId: randomUUID() });

  it('is woken once, however many messages come', async ({ registry, bus }) => {
    const id = await online(registry);
    await post(registry, id, 'hibernate');
    const answers = await Promise.all(Array.from({ length: 10 }, () => wake(bus, id)));
    expect(answers.every(({ waking }) => waking)).toBe(true);
    expect(await registry.status(id)).toBe('provisioning');
    expect((await typesOf(registry, id)).filter((type) => type === 'WORKSPACE_PROVISIONING')).toHaveLength(2);
  });

  it('is not woken without a backend; and nobody else is by a wake', async ({ registry, others, bus }) => {
    const [asleep, paused] = [await online(registry), await online(registry)];
    await post(registry, asleep, 'hibernate');
    await post(registry, paused, 'pause');
    others.backend = 'none';
    expect(await wake(bus, asleep)).toEqual({ waking: false });
    others.backend = 'process';
    expect(await wake(bus, paused)).toEqual({ waking: false });
    expect(await wake(bus, randomUUID())).toEqual({ waking: false });
    expect([await registry.status(asleep), await registry.status(paused)]).toEqual(['hibernated', 'paused']);
  });

  it('stays asleep when evidence or a beat comes late', async ({ registry, bus }) => {
    const gateway = aGateway(bus);
    const id = WorkspaceId.parse(await online(registry));
    await post(registry, id, 'hibernate');
    beat(gateway, id);
    await publish(bus, { type: 'container.exited', data: { workspaceId: id, run: 1 } });
    await publish(bus, {
      type: 'agent.unreachable',
      data: { workspaceId: id, error: 'gone' },
      recordedAt: new Date(Date.now() + 60_000).toISOString(),
    });
    const other = WorkspaceId.parse(await online(registry));
    await publish(bus, { type: 'container.exited', data: { workspaceId: other, run: 1 } });
    await until(registry, other, 'provisioning'); // heard, in order
    expect(await registry.status(id, gateway)).toBe('hibernated');
  });
});

describe('a workspace that is found offline', () => {
  it.for(['container.exited', 'agent.unreachable', 'liveness.lost'] as const)(
    'by %s is started again, once, and told in order',
    async (type, { registry, bus }) => {
      const id = WorkspaceId.parse(await online(registry));
      const later = new Date(Date.now() + 60_000).toISOString();
      const evidence = {
        'container.exited': { type: 'container.exited', data: { workspaceId: id, run: 1 } },
        'agent.unreachable': { type: 'agent.unreachable', data: { workspaceId: id, error: 'gone' } },
        'liveness.lost': { type: 'liveness.lost', data: { workspaceId: id, lastHeardAt: later, leaseSeconds: 180 } },
      } as const;
      await publish(bus, { ...evidence[type], recordedAt: later });
      await until(registry, id, 'provisioning');
      expect((await registry.events(id)).slice(-2)).toEqual([
        ['WORKSPACE_OFFLINE', {}],
        ['WORKSPACE_PROVISIONING', { name: 'atlas', tier: 3, runtime: 'echo' }],
      ]);
    },
  );

  it('is not started when it is external, when nothing could start it, or when it is below a paused one', async ({
    registry,
    others,
    bus,
    postgresUrl,
  }) => {
    const boss = await online(registry);
    const below = WorkspaceId.parse(await online(registry, { parent_id: boss }));
    await post(registry, boss, 'pause');
    await comesBack(registry, postgresUrl, below);
    const external = WorkspaceId.parse(await registry.create({ external: true, url: 'http://localhost:9' }));
    const later = new Date(Date.now() + 60_000).toISOString();
    await publish(bus, { type: 'container.exited', data: { workspaceId: below, run: 1 } });
    await publish(bus, {
      type: 'liveness.remote-stale',
      data: { workspaceId: external, lastHeardAt: later, staleAfterSeconds: 90 },
    });
    await until(registry, external, 'offline');
    others.backend = 'none';
    const last = WorkspaceId.parse(await online(registry, { external: true, url: 'http://localhost:9' }));
    await publish(bus, { type: 'liveness.remote-stale', data: { workspaceId: last, lastHeardAt: later, staleAfterSeconds: 90 } });
    await until(registry, last, 'offline');
    expect([await registry.status(below), await registry.status(external)]).toEqual(['offline', 'offline']);
  });

  it('A2: by a registry that ended before it could be started, is started by the next, once', async ({
    others: _,
    bus,
    postgresUrl,
    natsUrl,
    log,
  }) => {
    const first = await startRegistry({ postgresUrl, natsUrl, log });
    const id = WorkspaceId.parse(await online(first));
    await first.scope.close();
    // What the first had committed when it was killed, and not followed up.
    await rowsOf(
      postgresUrl,
      `with fact as (
         insert into events (id, stream, version, nth, type, schema, data, meta, recorded_at)
         select gen_random_uuid(), stream, max(version) + 1, 1, 'workspace.status', 1,
           '{"from":"online","to":"offline","reason":"container-exited","clearsUrl":false,"event":{"type":"WORKSPACE_OFFLINE","payload":{}}}'::jsonb,
           jsonb_build_object('commandId', 'killed', 'workspaceId', $2::text), now()
         from events where stream = $1 group by stream returning version)
       update workspaces set status = 'offline', version = fact.version from fact where workspace_id = $2::text::uuid`,
      [`workspace.${id}`, id],
    );
    const second = await startRegistry({ postgresUrl, natsUrl, log });
    onTestFinished(() => second.scope.close());
    await until(second, id, 'provisioning');
    expect(bus.nats.isClosed()).toBe(false);
    const starts = await rowsOf(
      postgresUrl,
      "select data->>'reason' as reason from events where stream = $1 and data->>'to' = 'provisioning'",
      [`workspace.${id}`],
    );
    expect(starts).toEqual([{ reason: 'auto-restart' }]);
  });
});

describe('a restarted agent', () => {
  it('is told of its restart by the platform, once it is online', async ({ others: _, postgresUrl, natsUrl, log }) => {
    const proxy = await aProxy();
    const registry = await startRegistry({ postgresUrl, natsUrl, log, env: { A2A_PROXY_URL: proxy.url } });
    onTestFinished(() => registry.scope.close());
    const id = await registry.create();
    await registry.register(id);
    await post(registry, id, 'restart');
    expect(proxy.received).toEqual([]);
    await comesBack(registry, postgresUrl, id);
    const { path, as, body } = await waitFor(() => proxy.received[0], { what: 'the restart context' });
    expect([path, as]).toEqual([`/workspaces/${id}/a2a`, 'system:restart-context']);
    expect(body).toMatchObject({ jsonrpc: '2.0', method: 'message/send', params: { message: { role: 'user' } } });
    const { metadata, parts } = (body as Sent).params.message;
    expect(metadata).toEqual({ source: 'platform', kind: 'restart_context', layer: 1, restart_context: true });
    expect(parts[0]?.text).toMatch(
      /^=== WORKSPACE RESTART CONTEXT ===\nRestart at: \S+Z\nPrevious session ended: \(no prior session on record\)\nEnv vars now available: \(none\)\n=== END RESTART CONTEXT ===\n$/,
    );
  });

  it('is told once where it is restarted twice, and again where the platform did not know yet where it is', async ({
    others: _,
    bus,
    postgresUrl,
    natsUrl,
    log,
  }) => {
    const proxy = await aProxy();
    const registry = await startRegistry({ postgresUrl, natsUrl, log, env: { A2A_PROXY_URL: proxy.url } });
    onTestFinished(() => registry.scope.close());
    const gateway = aGateway(bus);
    const id = await registry.create();
    beat(gateway, id);
    await registry.status(id, gateway);
    await post(registry, id, 'restart');
    await post(registry, id, 'restart');
    proxy.answers.push({ status: 503, body: '{"error":"workspace has no URL","status":"online"}' });
    beat(gateway, id);
    await waitFor(() => proxy.received.length === 2, { what: 'the second try' });
    await registry.scope.close();
    expect(proxy.received).toHaveLength(2);
    const [, { body } = { body: {} }] = proxy.received;
    expect((body as Sent).params.message.parts[0]?.text).toMatch(/ended: \S+Z \(\d+s ago\)/);
  });
});

interface Sent {
  readonly params: { readonly message: { readonly metadata: unknown; readonly parts: readonly { readonly text: string }[] } };
}

/** Takes what is sent to agents, and says for whom it was sent. */
async function aProxy() {
  const received: { path: string; as: string; body: unknown }[] = [];
  const answers: { status: number; body: string }[] = [];
  const server = createServer(async (req, res) => {
    const body = JSON.parse(await text(req));
    const identity = verifyContext(`${req.headers[CONTEXT_HEADER]}`, KEY)?.principal.identity;
    received.push({ path: req.url ?? '', as: identity?.kind === 'service' ? identity.as : 'nobody', body });
    const answer = answers.shift() ?? { status: 200, body: '{}' };
    res.writeHead(answer.status, { 'content-type': 'application/json' }).end(answer.body);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(async () => {
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, received, answers };
}

describe('an idle workspace', () => {
  const MINUTE = 60_000;
  const aRegistryThatLooks = async (servers: {
    postgresUrl: string;
    natsUrl: string;
    log: Parameters<typeof startRegistry>[0]['log'];
  }) => {
    const clock = manualClock(new Date());
    const registry = await startRegistry({ ...servers, clock, options: { idleEveryMs: 20 } });
    onTestFinished(() => registry.scope.close());
    return { clock, registry };
  };
  const limited = async (registry: Registry, body: object = {}) => {
    const id = await online(registry, body);
    await registry.call('PATCH', `/workspaces/${id}`, { body: { hibernation_idle_minutes: 10 } });
    return id;
  };

  it('is put to sleep after its limit, and nobody else is', async ({ others, bus, postgresUrl, natsUrl, log }) => {
    const { clock, registry } = await aRegistryThatLooks({ postgresUrl, natsUrl, log });
    const gateway = aGateway(bus);
    const [idle, working, unheard] = [await limited(registry), await limited(registry), await limited(registry)];
    const [unlimited, external] = [
      await online(registry),
      await limited(registry, { external: true, url: 'http://localhost:9' }),
    ];
    const everybodyBeats = async () => {
      for (const id of [idle, unlimited, external]) beat(gateway, id);
      beat(gateway, working, { active_tasks: 1 });
      await registry.status(idle, gateway);
    };
    await everybodyBeats();
    clock.advance(10 * MINUTE - 1);
    await everybodyBeats(); // beats alone are no work
    expect(await registry.status(idle)).toBe('online');
    clock.advance(1);
    await until(registry, idle, 'hibernated');
    clock.advance(60 * MINUTE);
    const last = await limited(registry);
    beat(gateway, last);
    await registry.status(last, gateway);
    clock.advance(10 * MINUTE);
    await until(registry, last, 'hibernated'); // looked at after all the others
    for (const id of [working, unheard, unlimited, external]) expect(await registry.status(id), id).toBe('online');
    expect(others.stopped).toEqual([idle, last]);
  });

  it('is not, while a call is open, while nobody says so, and for a limit after that', async ({
    others,
    bus,
    postgresUrl,
    natsUrl,
    log,
  }) => {
    const { clock, registry } = await aRegistryThatLooks({ postgresUrl, natsUrl, log });
    const gateway = aGateway(bus);
    const id = await limited(registry);
    const looked = async () => {
      const before = others.asked;
      await waitFor(() => others.asked > before + 1, { what: 'another look' });
    };
    beat(gateway, id);
    await registry.status(id, gateway);
    others.openCalls = undefined;
    clock.advance(10 * MINUTE);
    await looked();
    expect(await registry.status(id)).toBe('online');
    others.openCalls = 1;
    await waitFor(() => others.openSeen, { what: 'the open call to be seen' });
    others.openCalls = 0;
    clock.advance(1);
    const ended = clock.now().getTime();
    const lastLook = async () => (await registry.service.health()).loops['hibernation-monitor']?.lastTickAt ?? '';
    await waitFor(async () => Date.parse(await lastLook()) >= ended, { what: 'the look that saw it to end' });
    clock.advance(10 * MINUTE - 2);
    await registry.status(id, gateway);
    expect(await registry.status(id)).toBe('online');
    clock.advance(2);
    await until(registry, id, 'hibernated');
  });
});
