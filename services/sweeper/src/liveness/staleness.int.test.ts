/** Remote agents that go stale (spec 1 §2.5), and periods that no wall clock can shorten (limits F16). */
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { it, LEASE_MS, type Running, type World } from '../testing/world.ts';

const AT = 'https://agent.example';
const STALE_MS = 1_000;
const ENV = { REMOTE_LIVENESS_STALE_AFTER: `${STALE_MS / 1_000}` };
const stale = (world: World) =>
  world.around.rows<{ about: string }>("select distinct about from finding_list where kind = 'liveness.remote-stale'");
const lost = (world: World) =>
  world.around.rows<{ about: string }>("select distinct about from finding_list where kind = 'liveness.lost'");

async function after(world: World, ms: number, ...sweepers: Running[]): Promise<void> {
  world.around.clock.advance(ms);
  await world.looked('remote-staleness', ...sweepers);
}

describe('a remote agent', () => {
  it('is stale when it was not heard for its time, beaten or not; one of ours is not', async ({ world }) => {
    const { registry } = world.around;
    const beating = await registry.create({ external: true, at: AT });
    const [silent, unheard] = [
      await registry.create({ external: true, at: AT }),
      await registry.create({ external: true, at: AT }),
    ];
    await registry.create({ at: AT });
    await registry.create({ external: true, status: 'awaiting_agent' });
    world.around.beat(silent);
    const sweeper = await world.sweeper(ENV);
    await after(world, STALE_MS - 100, sweeper);
    expect(await stale(world)).toEqual([]);
    world.around.beat(beating);
    await registry.say(beating, { type: 'workspace.changed', data: { name: 'heard' } });
    await after(world, 200, sweeper);
    expect((await stale(world)).map(({ about }) => about).toSorted()).toEqual([silent, unheard].toSorted());
    expect(await world.around.toldTimes('liveness.remote-stale', 2)).toMatchObject([
      { data: { staleAfterSeconds: 1, lastHeardAt: expect.any(String) } },
      { data: { staleAfterSeconds: 1 } },
    ]);
  });

  it('I8: is not within its time of our own start', async ({ world }) => {
    const workspaceId = await world.around.registry.create({ external: true, at: AT });
    world.around.clock.advance(100 * STALE_MS);
    const sweeper = await world.sweeper(ENV);
    await after(world, STALE_MS - 100, sweeper);
    expect(await stale(world)).toEqual([]);
    await after(world, STALE_MS, sweeper);
    expect(await stale(world)).toEqual([{ about: workspaceId }]);
  });

  it.for(['', '0', '-1', '1.5', 'soon'])('is given the default where %j is what is set', async (setting, { world }) => {
    await world.around.registry.create({ external: true, at: AT });
    const sweeper = await world.sweeper({ REMOTE_LIVENESS_STALE_AFTER: setting });
    expect(sweeper.loops.snapshot()['remote-staleness']?.intervalMs).toBe(15_000);
  });
});

describe('our own clock', () => {
  it.for([-3_600_000, 3_600_000])('set by %d ms makes nobody lost, and hides nobody', async (by, { world }) => {
    const { registry, clock } = world.around;
    const silent = await registry.create({ at: AT });
    const sweeper = await world.sweeper();
    await world.looked('liveness-monitor', sweeper);
    clock.set(new Date(clock.now().getTime() + by));
    await world.looked('liveness-monitor', sweeper);
    expect(await lost(world)).toEqual([]);
    clock.advance(LEASE_MS + 50);
    // Ticks are told by the wall clock, so those of before it was set back say nothing.
    const found = await waitFor(async () => ((await lost(world)).length > 0 ? await lost(world) : false), { what: 'the report' });
    expect(found).toEqual([{ about: silent }]);
  });
});
