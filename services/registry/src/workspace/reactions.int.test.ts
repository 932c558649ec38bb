import { ask, ensureStreams } from '@molecule/bus';
import { ask as asks, ScheduleId, WorkspaceId } from '@molecule/contracts';
import { waitFor, it as withServers } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { aGateway, beat, publish, type Registry, withRegistry } from '../fixtures.ts';

const it = withRegistry(withServers);
const soon = () => new Date(Date.now() + 60_000).toISOString();
const past = '2020-01-01T00:00:00.000Z';
const until = (registry: Registry, id: string, status: string) =>
  waitFor(async () => (await registry.status(id)) === status, { what: `${id} to be ${status}` });

const fired = (workspaceId: WorkspaceId, name: string) =>
  ({
    type: 'schedule.fired',
    data: {
      scheduleId: ScheduleId.parse('00000000-0000-4000-8000-000000000001'),
      workspaceId,
      name,
      dueAt: past,
      status: 'ok',
      error: '',
      empty: false,
      ranAt: past,
      nextRunAt: past,
    },
  }) as const;
/** Everything published before has been heard when this shows. */
async function heardUpTo(registry: Registry, bus: Parameters<typeof publish>[0], id: WorkspaceId, name: string) {
  await publish(bus, fired(id, name));
  await waitFor(async () =>
    (await registry.events(id)).some(([, payload]) => (payload as { schedule_name?: string }).schedule_name === name),
  );
}

describe('evidence', () => {
  it('moves a workspace as the table says', async ({ registry, others, bus }) => {
    const gateway = aGateway(bus);
    const id = WorkspaceId.parse(await registry.create());
    others.backend = 'none'; // nothing is started again
    await publish(bus, {
      type: 'provision.failed',
      data: { workspaceId: id, run: 1, error: 'workspace start failed', sampleError: 'workspace start failed' },
    });
    await until(registry, id, 'failed');
    expect((await registry.call('GET', '/workspaces')).body[0].last_sample_error).toBe('workspace start failed');

    await registry.register(id);
    beat(gateway, id, { sample_error: 'newer' });
    await registry.status(id, gateway);
    expect((await registry.call('GET', '/workspaces')).body[0].last_sample_error).toBe('newer');
    await publish(bus, { type: 'container.exited', data: { workspaceId: id, run: 1 } });
    await until(registry, id, 'offline');
    beat(gateway, id);
    expect(await registry.status(id, gateway)).toBe('online');
    await publish(bus, { type: 'liveness.lost', data: { workspaceId: id, lastHeardAt: soon(), leaseSeconds: 180 } });
    await until(registry, id, 'offline');
    beat(gateway, id);
    expect(await registry.status(id, gateway)).toBe('online');
    await publish(bus, { type: 'agent.unreachable', data: { workspaceId: id, error: 'gone' }, recordedAt: soon() });
    await until(registry, id, 'offline');
    expect((await registry.events(id)).map(([type]) => type)).toEqual([
      'WORKSPACE_PROVISIONING',
      'WORKSPACE_PROVISION_FAILED',
      'WORKSPACE_ONLINE',
      'WORKSPACE_OFFLINE',
      'WORKSPACE_ONLINE',
      'WORKSPACE_OFFLINE',
      'WORKSPACE_ONLINE',
      'WORKSPACE_OFFLINE',
    ]);
  });

  it('R2: that comes too late changes nothing', async ({ registry, bus }) => {
    const gateway = aGateway(bus);
    const id = WorkspaceId.parse(await registry.create());
    await publish(bus, {
      type: 'container.started',
      data: { workspaceId: id, run: 2, url: 'http://127.0.0.1:2', backend: 'process' },
    });
    await publish(bus, {
      type: 'container.started',
      data: { workspaceId: id, run: 1, url: 'http://127.0.0.1:1', backend: 'process' },
    });
    await publish(bus, { type: 'provision.failed', data: { workspaceId: id, run: 1, error: 'e', sampleError: null } });
    await publish(bus, {
      type: 'provision.timed-out',
      data: { workspaceId: id, timeoutSeconds: 600, runtime: 'echo', since: past },
    });
    await heardUpTo(registry, bus, id, 'a');
    expect((await registry.call('GET', `/workspaces/${id}`)).body).toMatchObject({
      status: 'provisioning',
      url: 'http://127.0.0.1:2',
    });
    beat(gateway, id);
    await registry.status(id, gateway);
    await publish(bus, { type: 'liveness.lost', data: { workspaceId: id, lastHeardAt: past, leaseSeconds: 180 } });
    await publish(bus, { type: 'agent.unreachable', data: { workspaceId: id, error: 'gone' }, recordedAt: past });
    await publish(bus, { type: 'container.exited', data: { workspaceId: id, run: 1 } });
    await heardUpTo(registry, bus, id, 'b');
    expect(await registry.status(id)).toBe('online');
  });

  it('fails what has been provisioning for too long', async ({ registry, bus }) => {
    const id = WorkspaceId.parse(await registry.create());
    const data = { workspaceId: id, timeoutSeconds: 10, runtime: 'echo', since: past };
    await publish(bus, { type: 'provision.timed-out', data, recordedAt: soon() });
    await until(registry, id, 'failed');
    expect((await registry.events(id)).at(-1)).toMatchObject([
      'WORKSPACE_PROVISION_FAILED',
      { timeout_secs: 10, source: 'provision_timeout_sweep' },
    ]);
  });

  it('R1: heard twice counts once, also when what it means has changed since', async ({ registry, others, bus }) => {
    const gateway = aGateway(bus);
    const id = WorkspaceId.parse(await registry.create());
    others.backend = 'none'; // nothing is started again
    beat(gateway, id);
    await registry.status(id, gateway);
    const lost = { type: 'liveness.lost', data: { workspaceId: id, lastHeardAt: soon(), leaseSeconds: 180 } } as const;
    const fact = await publish(bus, lost);
    await until(registry, id, 'offline');
    beat(gateway, id);
    expect(await registry.status(id, gateway)).toBe('online');
    await publish(bus, lost, fact);
    await heardUpTo(registry, bus, id, 'a');
    expect(await registry.status(id)).toBe('online');
  });

  it('R1: is heard through a stream made anew, whose numbers begin again', async ({ registry, bus }) => {
    const id = WorkspaceId.parse(await registry.create());
    for (const name of ['a', 'b', 'c']) await heardUpTo(registry, bus, id, name);
    await bus.jsm.streams.delete('FACTS');
    await ensureStreams(bus);
    await heardUpTo(registry, bus, id, 'd');
  });

  it('of nobody, or that nobody can read, harms nothing', async ({ registry, bus }) => {
    const id = WorkspaceId.parse(await registry.create());
    const unknown = WorkspaceId.parse(crypto.randomUUID());
    await publish(bus, {
      type: 'container.started',
      data: { workspaceId: unknown, run: 1, url: 'http://127.0.0.1:1', backend: 'process' },
    });
    await bus.nats.request(`liveness.lost.${id}`, 'not a fact');
    await publish(bus, {
      type: 'container.started',
      data: { workspaceId: id, run: 1, url: 'http://127.0.0.1:1', backend: 'process' },
    });
    await waitFor(async () => (await registry.call('GET', `/workspaces/${id}`)).body.url !== '');
    expect((await registry.call('GET', `/workspaces/${unknown}`)).status).toBe(404);
  });
});

describe('GET /events', () => {
  it('is the union of what happened here and elsewhere, newest first, 100 at most', async ({ registry, bus }) => {
    const id = WorkspaceId.parse(await registry.create());
    await heardUpTo(registry, bus, id, 'nightly');
    expect((await registry.events(id)).at(-1)).toEqual([
      'CRON_EXECUTED',
      { schedule_id: expect.any(String), schedule_name: 'nightly', status: 'ok' },
    ]);
    for (let n = 0; n < 60; n++)
      await registry.call('POST', '/registry/update-card', { body: { workspace_id: id, agent_card: n } });
    for (let n = 0; n < 60; n++)
      await registry.call('POST', '/registry/update-card', { body: { workspace_id: id, agent_card: n } });
    const { body } = await registry.call('GET', '/events');
    expect(body).toHaveLength(100);
    expect(body[0]).toEqual({
      id: expect.any(String),
      event_type: 'AGENT_CARD_UPDATED',
      workspace_id: id,
      payload: { agent_card: 59 },
      created_at: expect.stringMatching(/Z$/),
    });
    expect(await registry.call('GET', '/events/nobody')).toMatchObject({ status: 500, body: { error: 'query failed' } });
    expect((await registry.call('GET', `/events/${crypto.randomUUID()}`)).text).toBe('[]');
  });
});

describe('what others may ask', () => {
  it('is the directory, page by page', async ({ registry, bus }) => {
    const ids = await Promise.all(Array.from({ length: 230 }, (_, n) => registry.create({ name: `${n}-${'x'.repeat(200)}` })));
    const seen: string[] = [];
    for (let after: string | null = null, more = true; more; ) {
      const page: { entries: { workspaceId: string; version: number }[]; next: string | null } = await ask(
        bus,
        asks.registry.directory,
        { after },
      );
      seen.push(...page.entries.map(({ workspaceId }) => workspaceId));
      after = page.next;
      more = after !== null;
    }
    expect(seen).toEqual(ids.toSorted());
  });

  it('I3: the read models are what the log says', async ({ registry, bus }) => {
    const gateway = aGateway(bus);
    const id = await registry.create({ canvas: { x: 0.1, y: -3 } });
    const child = await registry.create({
      parent_id: id,
      budget_limit: 12,
      workspace_dir: '/home/me',
      workspace_access: 'read_only',
    });
    await registry.create({ external: true });
    await registry.register(id);
    await registry.call('PATCH', `/workspaces/${child}`, { body: { name: 'b', x: 1, y: 2, collapsed: true, role: 'r' } });
    await registry.call('POST', '/registry/update-card', { body: { workspace_id: child, agent_card: [1, { a: null }] } });
    beat(gateway, child, { error_rate: 1 });
    await registry.status(child, gateway);
    await registry.call('DELETE', `/workspaces/${child}?purge=true`);
    const { projections } = await ask(bus, asks.rebuild.registry, { check: true });
    expect(projections.filter(({ missing, unexpected }) => missing + unexpected > 0)).toEqual([]);
    const filled = projections.filter(({ rows }) => rows > 0).map(({ table }) => table);
    expect(filled).toEqual(expect.arrayContaining(['workspaces', 'tokens', 'structure_events']));
  });

  it('is how it is', async ({ registry, bus }) => {
    expect(registry.service.port).toBeGreaterThan(0);
    expect(await ask(bus, asks.health.registry, {})).toMatchObject({ service: 'registry', ready: true });
  });
});
