/** Who is silent is reported once, and nobody because of us (I8). */
import { ask } from '@molecule/bus';
import { ask as asks, type WorkspaceFact } from '@molecule/contracts';
import { registered, removed, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { it, LEASE_MS, type Running, type World } from '../testing/world.ts';

const AT = 'http://127.0.0.1:9';
const NEARLY = LEASE_MS - 50;
const reported = ({ around }: World) =>
  around.rows<{ about: string }>("select distinct about from finding_list where kind = 'liveness.lost'");
const goes = (to: 'offline' | 'paused'): WorkspaceFact => ({
  type: 'workspace.status',
  data: { from: 'online', to, reason: to === 'paused' ? 'pause' : 'liveness-lost', clearsUrl: true, event: null },
});

const failedToStart: WorkspaceFact = {
  type: 'workspace.status',
  data: { from: 'provisioning', to: 'failed', reason: 'provision-failed', clearsUrl: false, event: null },
};

/** Time passes, and they look. */
async function after(world: World, ms: number, ...sweepers: Running[]): Promise<void> {
  world.around.clock.advance(ms);
  await world.looked('liveness-monitor', ...sweepers);
}

describe('a workspace that is silent', () => {
  it('is reported once, after a whole lease, and again after it was heard', async ({ world }) => {
    const workspaceId = await world.around.registry.create({ at: AT });
    const sweeper = await world.sweeper();
    const seen = world.around.clock.now().toISOString();
    await after(world, NEARLY, sweeper);
    expect(await reported(world)).toEqual([]);
    await after(world, LEASE_MS, sweeper);
    expect(await world.around.toldTimes('liveness.lost', 1)).toMatchObject([
      { data: { workspaceId, lastHeardAt: expect.any(String), leaseSeconds: LEASE_MS / 1000 } },
    ]);
    expect(Date.parse(world.around.told('liveness.lost')[0]?.data.lastHeardAt ?? '')).toBeLessThanOrEqual(Date.parse(seen));
    await world.around.registry.say(workspaceId, goes('offline'));
    for (let leases = 0; leases < 3; leases++) await after(world, LEASE_MS, sweeper);
    expect(await world.log()).toEqual(['liveness.lost']);

    await world.around.registry.say(workspaceId, registered(AT));
    await waitFor(async () => {
      await after(world, LEASE_MS, sweeper);
      return (await world.log()).length === 2;
    });
  });

  it('is reported with all others that are, as soon as that can be stored', async ({ world }) => {
    const ids = [];
    for (let n = 0; n < 3; n++) ids.push(await world.around.registry.create({ at: AT }));
    const sweeper = await world.sweeper();
    await world.looked('liveness-monitor', sweeper);
    const refusals = async () => (await world.around.rows<{ count: string }>('select last_value as count from refused'))[0];
    await world.around.rows('create sequence refused minvalue 0 start 0');
    await world.around.rows(`create function refuse() returns trigger language plpgsql as $$
      begin perform nextval('sweeper.refused'); raise exception 'not now'; end $$`);
    await world.around.rows('create trigger refuse before insert on events for each row execute function refuse()');
    world.around.clock.advance(2 * LEASE_MS);
    await waitFor(async () => Number((await refusals())?.count) > 0, { what: 'a report that is not stored' });
    await world.around.rows('drop trigger refuse on events');
    const told = await world.around.toldTimes('liveness.lost', 3);
    expect(told.map(({ data }) => data.workspaceId).toSorted()).toEqual(ids.toSorted());
  });

  it('is not silent as long as it beats', async ({ world }) => {
    const [beating, silent] = [await world.around.registry.create({ at: AT }), await world.around.registry.create({ at: AT })];
    const sweeper = await world.sweeper();
    for (let beats = 0; beats < 6; beats++) {
      world.around.beat(beating);
      await world.around.registry.say(beating, { type: 'workspace.changed', data: { name: `beat ${beats}` } });
      await after(world, LEASE_MS / 3, sweeper);
    }
    expect(await reported(world)).toEqual([{ about: silent }]);
  });

  it('is not reported within a lease of our own start', async ({ world }) => {
    const workspaceId = await world.around.registry.create({ at: AT });
    world.around.clock.advance(100 * LEASE_MS);
    const sweeper = await world.sweeper();
    await after(world, NEARLY, sweeper);
    expect(await reported(world)).toEqual([]);
    await after(world, LEASE_MS, sweeper);
    expect(await reported(world)).toEqual([{ about: workspaceId }]);
  });

  it.for(['does not answer', 'takes no beats'])(
    'is not reported while the gateway %s, nor within a lease of its return',
    async (how, { world }) => {
      const workspaceId = await world.around.registry.create({ at: AT });
      const sweeper = await world.sweeper();
      await world.looked('liveness-monitor', sweeper);
      if (how === 'takes no beats') world.gateway.ready = false;
      else await world.gateway.stop();
      for (let leases = 0; leases < 3; leases++) await after(world, LEASE_MS, sweeper);
      world.gateway.ready = true;
      world.gateway.start();
      await after(world, NEARLY, sweeper);
      expect(await reported(world)).toEqual([]);
      await after(world, LEASE_MS, sweeper);
      expect(await reported(world)).toEqual([{ about: workspaceId }]);
    },
  );

  it('is nobody who need not beat: not yet, not now, not any more, or from elsewhere and never heard', async ({ world }) => {
    const { registry } = world.around;
    await registry.create();
    const [resting, gone] = [await registry.create({ at: AT }), await registry.create({ at: AT })];
    await registry.say(resting, goes('paused'));
    await registry.say(gone, removed);
    await registry.create({ external: true, at: AT });
    const heard = await registry.create({ external: true, at: AT });
    const late = await registry.create();
    world.around.beat(heard);
    const sweeper = await world.sweeper();
    await after(world, NEARLY, sweeper);
    await registry.say(late, registered(AT)); // its lease begins now
    await after(world, NEARLY, sweeper);
    expect(await reported(world)).toEqual([{ about: heard }]);
    await after(world, LEASE_MS, sweeper);
    expect((await reported(world)).map(({ about }) => about).toSorted()).toEqual([heard, late].toSorted());
  });

  it('I11: whose start failed is lost only if it beat after that', async ({ world }) => {
    const { registry } = world.around;
    const [lived, stillborn] = [await registry.create({ at: AT }), await registry.create()];
    world.around.beat(lived);
    const sweepers = [await world.sweeper()];
    for (const workspaceId of [lived, stillborn]) await registry.say(workspaceId, failedToStart);
    sweepers.push(await world.sweeper());
    for (let leases = 0; leases < 4; leases++) await after(world, LEASE_MS, ...sweepers);
    expect(await reported(world)).toEqual([]);

    world.around.beat(stillborn);
    await waitFor(async () => {
      await after(world, LEASE_MS, ...sweepers);
      return (await reported(world)).length > 0;
    });
    expect(await reported(world)).toEqual([{ about: stillborn }]);
  });

  it('is reported once by two replicas, and the findings are what the log says', async ({ world, bus }) => {
    const workspaceId = await world.around.registry.create({ at: AT });
    const sweepers = [await world.sweeper(), await world.sweeper()] as const;
    await after(world, NEARLY, ...sweepers);
    await after(world, LEASE_MS, ...sweepers);
    expect(await world.log()).toEqual(['liveness.lost']);
    await world.around.toldTimes('liveness.lost', 1);

    const answer = await world.findings(sweepers[1]);
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual([
      {
        id: world.around.told('liveness.lost')[0]?.id,
        kind: 'liveness.lost',
        about: workspaceId,
        evidence: world.around.told('liveness.lost')[0]?.data,
        found_at: expect.stringMatching(/Z$/),
      },
    ]);
    expect(await world.findings(sweepers[0], { kind: 'anonymous' })).toMatchObject({
      status: 401,
      text: '{"error":"admin auth required"}',
    });
    const { projections } = await ask(bus, asks.rebuild.sweeper, { check: true });
    expect(projections).toMatchObject([{ table: 'finding_list', rows: 1, missing: 0, unexpected: 0 }]);
  });
});
