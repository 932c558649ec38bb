/** I9, I10 (limits F16): a gateway whose clock is off makes nobody lost and hides no death; a report that changed nothing comes again. */
import { BeatPublisher } from '@molecule/bus';
import { HeartbeatBody } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { it, LEASE_MS, type World } from '../testing/world.ts';

const AT = 'http://127.0.0.1:9';
const HOUR = 3_600_000;

const gatewayThatIsOff = (world: World, bus: ConstructorParameters<typeof BeatPublisher>[0], ms: number) => {
  const clock = { ...world.around.clock, now: () => new Date(world.around.clock.now().getTime() + ms) };
  const beats = new BeatPublisher(bus, { gateway: `gateway-${ms}`, clock });
  return (workspaceId: string) => beats.publish(HeartbeatBody.parse({ workspace_id: workspaceId }));
};

describe('a gateway', () => {
  it.for([-HOUR, HOUR])('whose clock is %d ms off counts as any other', async (off, { world, bus }) => {
    const { registry, clock } = world.around;
    const [beating, dead] = [await registry.create({ at: AT }), await registry.create({ at: AT })];
    const sweeper = await world.sweeper();
    const beat = gatewayThatIsOff(world, bus, off);
    beat(dead);
    for (let times = 0; times < 9; times++) {
      beat(beating);
      // Behind the beat: it has been heard when this has.
      await bus.nats.flush();
      await world.looked('liveness-monitor', sweeper);
      clock.advance(LEASE_MS / 3);
    }
    beat(beating);
    await bus.nats.flush();
    await world.looked('liveness-monitor', sweeper);
    const found = await world.around.rows<{ about: string }>('select distinct about from finding_list');
    expect(found).toEqual([{ about: dead }]);
  });
});

it('I10: who is still shown as there is reported again after another lease, as silent since the same time', async ({ world }) => {
  await world.around.registry.create({ at: AT });
  const sweeper = await world.sweeper();
  await waitFor(async () => {
    world.around.clock.advance(LEASE_MS);
    await world.looked('liveness-monitor', sweeper);
    return (await world.log()).length >= 2;
  });
  const [first, second] = await world.around.toldTimes('liveness.lost', 2);
  expect(second?.data).toEqual(first?.data);
});
