/** What the gateway tells of all services, and asks of them. */
import { park, RequestServer } from '@molecule/bus';
import { ask, type LedgerService, type RebuildReport, Refusal, SERVICES } from '@molecule/contracts';
import { describe, expect } from 'vitest';
import { ownersOf } from './owners.ts';
import { call, it } from './testing/world.ts';

const tick = '2026-11-22T12:00:00.000Z';

const report = (service: LedgerService): RebuildReport => ({ service, facts: 3, projections: [] });

describe('what all services say of themselves', () => {
  it('is one list, with those that are silent', async ({ world, bus, log }) => {
    const scheduler = new RequestServer(bus, 'scheduler', log);
    scheduler.serve(ask.health.scheduler, () => ({
      service: 'scheduler' as const,
      instance: 'scheduler-1',
      ready: true,
      checks: { database: { ok: true, detail: 'PostgreSQL 18' } },
      loops: { scheduler: { lastTickAt: tick, intervalMs: 10_000 }, directory: { lastTickAt: tick, intervalMs: 2_000 } },
    }));
    const gateway = await world.gateway();
    const all = JSON.parse((await call(gateway, '/admin/health')).text);
    expect(all.map(({ service }: { service: string }) => service)).toEqual(SERVICES);
    expect(all[0]).toMatchObject({ service: 'gateway', ready: true, checks: { bus: { ok: true }, directory: { ok: true } } });
    expect(all[3]).toMatchObject({ service: 'scheduler', instance: 'scheduler-1', ready: true });
    expect(all[5]).toMatchObject({ service: 'sweeper', ready: false, checks: { answer: { ok: false } } });

    const { subsystems } = JSON.parse((await call(gateway, '/admin/liveness')).text);
    expect(subsystems.scheduler).toEqual({ last_tick_at: tick, seconds_ago: expect.any(Number) });
    expect(Object.keys(subsystems).toSorted()).toEqual(['gateway.directory', 'scheduler', 'scheduler.directory']);
    await scheduler.drain();
  });
});

describe('rebuilding', () => {
  it('asks those that are wanted, and names those that could not', async ({ world, bus, log }) => {
    const asked: [string, boolean][] = [];
    const registry = new RequestServer(bus, 'registry', log);
    registry.serve(ask.rebuild.registry, ({ check }) => {
      asked.push(['registry', check]);
      return report('registry');
    });
    const sweeper = new RequestServer(bus, 'sweeper', log);
    sweeper.serve(ask.rebuild.sweeper, () => {
      throw new Refusal('unavailable', 'not now');
    });
    const gateway = await world.gateway();
    const rebuild = async (query: string) => JSON.parse((await call(gateway, `/admin/rebuild${query}`, { method: 'POST' })).text);

    expect(await rebuild('?service=registry')).toEqual({ check: false, reports: [report('registry')], failed: [] });
    const all = await rebuild('?check=1');
    expect(all.reports).toEqual([report('registry')]);
    expect(all.failed.map(({ service }: { service: string }) => service)).toEqual([
      'a2a-proxy',
      'scheduler',
      'provisioner',
      'sweeper',
    ]);
    expect(all.failed.at(-1)).toEqual({ service: 'sweeper', error: 'not now' });
    expect(asked).toEqual([
      ['registry', false],
      ['registry', true],
    ]);
    expect(await call(gateway, '/admin/rebuild?service=gateway', { method: 'POST' })).toMatchObject({ status: 400 });
    expect((await call(gateway, '/admin/rebuild')).status).toBe(404);
    await Promise.all([registry.drain(), sweeper.drain()]);
  });
});

describe('what was set aside', () => {
  it('is shown without what it says, the newest first, and given again by hand', async ({ world, bus }) => {
    const gateway = await world.gateway();
    const list = async () => JSON.parse((await call(gateway, '/admin/parked')).text).parked;
    expect(await list()).toEqual([]);
    const origin = { stream: 'FACTS', sequence: 7, subject: 'container.exited.w', body: '{"a":"secret"}' };
    await park(bus, { consumer: 'registry', error: 'TypeError: no', origin });
    await park(bus, { consumer: 'sweeper', error: 'later', origin });
    expect(await list()).toEqual([
      expect.objectContaining({ seq: 2, consumer: 'sweeper' }),
      {
        seq: 1,
        consumer: 'registry',
        type: 'container.exited',
        error: 'TypeError: no',
        origin: { stream: 'FACTS', sequence: 7, subject: 'container.exited.w' },
        at: expect.any(String),
      },
    ]);
    const redrive = (seq: string) => call(gateway, `/admin/parked/redrive?seq=${seq}`, { method: 'POST' });
    expect(await redrive('1')).toMatchObject({ status: 200, text: '{"redriven":1}' });
    expect(await redrive('1')).toMatchObject({ status: 404 });
    expect(await redrive('x')).toMatchObject({ status: 400 });
    expect(await list()).toEqual([expect.objectContaining({ seq: 2 })]);
    const again = await bus.jsm.streams.getMessage('FACTS', { seq: 1 });
    expect(again?.header.get('Molecule-Only-For')).toBe('registry');
  });
});

describe('its own routes', () => {
  it('are declared with their class, and are its own by the table of owners', async ({ world }) => {
    const { service } = await world.gateway();
    const routes = service.http.routes();
    expect(ownersOf(routes.map((route) => ({ service: 'gateway' as const, ...route })))).toEqual([]);
    expect(Object.fromEntries(routes.map(({ method, path, authClass }) => [`${method} ${path}`, authClass]))).toEqual({
      'POST /registry/heartbeat': 'registryToken',
      'GET /workspaces/:id/events/stream': 'workspace',
      'GET /health': 'none',
      'GET /metrics': 'none',
      'GET /admin/liveness': 'admin',
      'GET /admin/health': 'admin',
      'POST /admin/rebuild': 'admin',
      'GET /admin/parked': 'admin',
      'POST /admin/parked/redrive': 'admin',
      'GET /ws': 'socket',
      'GET /openapi.json': 'none',
      'GET /asyncapi.json': 'none',
      'GET /docs': 'none',
    });
  });

  it('say that a socket needs an upgrade', async ({ world }) =>
    expect(await call(await world.gateway(), '/ws')).toMatchObject({ status: 400, text: 'Bad Request' }));
});
