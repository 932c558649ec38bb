import { createHash } from 'node:crypto';
import { type Bus, followLive } from '@molecule/bus';
import type { LiveEvent } from '@molecule/contracts';
import { Directory } from '@molecule/directory';
import { systemClock } from '@molecule/service';
import { waitFor, it as withServers } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { aGateway, beat, publish, startRegistry, withRegistry } from '../fixtures.ts';

const it = withRegistry(withServers);

const hear = (bus: Bus, log: Parameters<typeof followLive>[1]['log']) => {
  const heard: LiveEvent[] = [];
  followLive(bus, { log, onEvent: (event) => heard.push(event) });
  return heard;
};

describe('a beat', () => {
  it('is seen by the next request, with whatever it moved', async ({ registry, bus }) => {
    const gateway = aGateway(bus);
    const id = await registry.create();
    beat(gateway, id, {
      active_tasks: 2,
      uptime_seconds: 7,
      current_task: 'sum',
      sample_error: 'e',
      error_rate: 0.2,
      monthly_spend: 40,
    });
    expect(await registry.status(id, gateway)).toBe('online');
    const [row] = (await registry.call('GET', '/workspaces', { after: gateway })).body;
    expect(row).toMatchObject({
      active_tasks: 2,
      uptime_seconds: 7,
      current_task: 'sum',
      last_sample_error: 'e',
      last_error_rate: 0.2,
      monthly_spend: 40,
    });

    beat(gateway, id, { error_rate: 0.8 });
    expect(await registry.status(id, gateway)).toBe('degraded');
    beat(gateway, id, { error_rate: 0.1 });
    expect(await registry.status(id, gateway)).toBe('degraded');
    beat(gateway, id);
    expect(await registry.status(id, gateway)).toBe('online');
    expect((await registry.call('GET', '/workspaces', { after: gateway })).body[0]).toMatchObject({
      monthly_spend: 40,
      current_task: '',
      active_tasks: 0,
    });
    expect((await registry.events(id)).slice(1)).toEqual([
      ['WORKSPACE_ONLINE', { recovered_from: 'provisioning' }],
      ['WORKSPACE_DEGRADED', { error_rate: 0.8, sample_error: '' }],
      ['WORKSPACE_ONLINE', {}],
    ]);
  });

  it('that is wedged and erring says both, the wedge first', async ({ registry, bus }) => {
    const gateway = aGateway(bus);
    const id = await registry.create();
    beat(gateway, id);
    beat(gateway, id, { error_rate: 1, runtime_state: 'wedged', sample_error: 'stuck\u0000' });
    await registry.status(id, gateway);
    expect((await registry.events(id)).slice(2)).toEqual([
      ['WORKSPACE_DEGRADED', { runtime_state: 'wedged', sample_error: 'stuck\uFFFD' }],
      ['WORKSPACE_DEGRADED', { error_rate: 1, sample_error: 'stuck\uFFFD' }],
    ]);
  });

  it('P5: is judged by what the one before declared', async ({ registry, bus }) => {
    const gateway = aGateway(bus);
    const [managed, late] = [await registry.create(), await registry.create()];
    const native = { runtime_metadata: { capabilities: { status_mgmt: true } } };
    beat(gateway, managed, native);
    beat(gateway, managed, { error_rate: 1, ...native });
    beat(gateway, managed, { error_rate: 1 }); // says nothing about it
    beat(gateway, late);
    beat(gateway, late, { error_rate: 1, ...native });
    expect(await registry.status(managed, gateway)).toBe('online');
    expect(await registry.status(late, gateway)).toBe('degraded');
    beat(gateway, managed, { runtime_state: 'wedged', runtime_metadata: {} });
    expect(await registry.status(managed, gateway)).toBe('degraded');
  });

  it('is told to canvases after what it moved, the task first', async ({ registry, bus, log }) => {
    const gateway = aGateway(bus);
    const heard = hear(bus, log);
    const id = await registry.create();
    await waitFor(async () => {
      beat(gateway, id, { current_task: 'warm', active_tasks: 1, uptime_seconds: 3 });
      await registry.status(id, gateway);
      return heard.length > 0; // a replica speaks once it leads
    });
    beat(gateway, id, { current_task: 'sum', active_tasks: 1, uptime_seconds: 4 });
    beat(gateway, id, { current_task: 'sum', active_tasks: 1, uptime_seconds: 5, error_rate: 0.9 });
    await waitFor(() => heard.at(-1)?.payload['uptime_seconds'] === 5);
    expect(heard.slice(-3).map(({ event, payload, after }) => [event, payload, after])).toEqual([
      ['TASK_UPDATED', { current_task: 'sum', active_tasks: 1 }, 2],
      ['WORKSPACE_HEARTBEAT', { active_tasks: 1, uptime_seconds: 4 }, 2],
      ['WORKSPACE_HEARTBEAT', { active_tasks: 1, uptime_seconds: 5 }, 3],
    ]);
  });

  it('I5: of a removed or unknown workspace changes nothing', async ({ registry, bus }) => {
    const gateway = aGateway(bus);
    const id = await registry.create();
    await registry.call('DELETE', `/workspaces/${id}`);
    beat(gateway, id, { active_tasks: 3 });
    beat(gateway, crypto.randomUUID(), { active_tasks: 3 });
    const { body } = await registry.call('GET', `/workspaces/${id}`, { after: gateway });
    expect(body).toMatchObject({ status: 'removed', active_tasks: 0 });
    expect((await registry.register(id)).text).toBe('{"status":"registered"}');
    expect(await registry.status(id)).toBe('removed');
    expect((await registry.events(id)).map(([type]) => type)).toEqual(['WORKSPACE_PROVISIONING', 'WORKSPACE_REMOVED']);
  });
});

describe('a restarted registry', () => {
  it('knows what beats said and declared, and does not take an old beat for a new one', async ({
    postgresUrl,
    natsUrl,
    log,
    bus,
    others,
  }) => {
    const gateway = aGateway(bus);
    const first = await startRegistry({ postgresUrl, natsUrl, log });
    const [managed, lost] = [await first.create(), await first.create()];
    others.backend = 'none'; // nothing is started again
    beat(gateway, managed, { monthly_spend: 12, current_task: 'sum', runtime_metadata: { capabilities: { status_mgmt: true } } });
    beat(gateway, lost);
    await first.status(managed, gateway);
    await publish(bus, {
      type: 'liveness.lost',
      data: { workspaceId: lost as never, lastHeardAt: new Date(Date.now() + 1_000).toISOString(), leaseSeconds: 1 },
    });
    await waitFor(async () => (await first.status(lost)) === 'offline');
    await first.scope.close();

    beat(gateway, managed, {
      error_rate: 1,
      current_task: 'on',
      monthly_spend: 0,
      runtime_metadata: { capabilities: { status_mgmt: true } },
    });
    await bus.nats.flush();
    const second = await startRegistry({ postgresUrl, natsUrl, log });
    expect(await second.status(lost, gateway)).toBe('offline');
    expect(await second.status(managed, gateway)).toBe('online');
    const row = (await second.call('GET', '/workspaces')).body.find(({ id }: { id: string }) => id === managed);
    expect(row).toMatchObject({ monthly_spend: 12, current_task: 'on', last_error_rate: 1 });
    beat(gateway, managed, { error_rate: 1 });
    beat(gateway, lost);
    expect(await second.status(managed, gateway)).toBe('online');
    expect(await second.status(lost, gateway)).toBe('online');
    await second.scope.close();
  });

  it('takes in a beat that came while nobody was there', async ({ postgresUrl, natsUrl, log, bus, others: _ }) => {
    const gateway = aGateway(bus);
    const first = await startRegistry({ postgresUrl, natsUrl, log });
    const id = await first.create();
    await first.scope.close();
    beat(gateway, id);
    await bus.nats.flush();
    const second = await startRegistry({ postgresUrl, natsUrl, log });
    expect(await second.status(id, gateway)).toBe('online');
    await second.scope.close();
  });
});

describe('two replicas', () => {
  it('P3: store what a beat moved once, and speak of it once', async ({ registry, postgresUrl, natsUrl, log, bus }) => {
    const other = await startRegistry({ postgresUrl, natsUrl, log });
    const gateway = aGateway(bus);
    const heard = hear(bus, log);
    const ids = await Promise.all(Array.from({ length: 20 }, (_, n) => (n % 2 ? registry : other).create()));
    for (const error_rate of [0, 1, 0, 1]) {
      for (const id of ids) beat(gateway, id, { error_rate, uptime_seconds: error_rate });
      for (const id of ids) {
        const expected = error_rate === 1 ? 'degraded' : 'online';
        expect(await registry.status(id, gateway)).toBe(expected);
        expect(await other.status(id, gateway)).toBe(expected);
      }
    }
    for (const id of ids) expect(await other.events(id)).toHaveLength(5);
    await waitFor(() => heard.length >= 40, { what: 'the live events of the replica that leads' });
    expect(new Set(heard.map(({ workspaceId, after, event }) => `${workspaceId} ${after} ${event}`)).size).toBe(heard.length);
    await other.scope.close();
  });

  it('I4: show a write of the other at once', async ({ registry, postgresUrl, natsUrl, log, bus: _ }) => {
    const other = await startRegistry({ postgresUrl, natsUrl, log });
    const id = await registry.create();
    await registry.register(id);
    expect(await other.status(id)).toBe('online');
    expect((await other.register(id)).status).toBe(401);
    await other.call('DELETE', `/workspaces/${id}`);
    expect(await registry.status(id)).toBe('removed');
    await other.scope.close();
  });

  it('I4: answer a write only when the directories of others show it', async ({ registry, bus, log }) => {
    const directory = await Directory.open(bus, {
      service: 'gateway',
      instance: 'gateway-1',
      log,
      clock: systemClock,
      signal: new AbortController().signal,
    });
    const gateway = aGateway(bus);
    const id = await registry.create();
    expect(directory.get(id)).toMatchObject({ status: 'provisioning', tokens: [] });
    const { body } = await registry.register(id);
    const hash = createHash('sha256').update(body.auth_token).digest('hex');
    expect(directory.workspaceOfToken(hash)).toMatchObject({ workspaceId: id });
    expect(directory.get(id)).toMatchObject({ status: 'online', url: 'http://localhost:8001', version: 3 });
    beat(gateway, id, { monthly_spend: 5 });
    await registry.status(id, gateway);
    await registry.call('PATCH', `/workspaces/${id}`, { body: { name: 'b' } });
    expect(directory.get(id)).toMatchObject({ name: 'b' });
    await registry.call('DELETE', `/workspaces/${id}`);
    expect(directory.workspaceOfToken(hash)).toBeUndefined();
    const late = await Directory.open(bus, {
      service: 'sweeper',
      instance: 'sweeper-1',
      log,
      clock: systemClock,
      signal: new AbortController().signal,
    });
    const { monthlySpend: _, lastBeatAt: __, statusSince: ___, ...entry } = late.get(id) ?? {};
    expect(directory.get(id)).toMatchObject(entry);
    await Promise.all([directory.stop(), late.stop()]);
  });
});
