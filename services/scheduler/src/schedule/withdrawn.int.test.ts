/** T4: a schedule that is deleted or disabled while its occurrence waits for room. */
import { ask } from '@molecule/bus';
import { ask as asks } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { it, type World } from '../testing/world.ts';

const DEFER = { everyMs: 10, times: 3_000 };
const prompts = ({ proxy }: World) => proxy.received.map(({ text }) => text);

describe('what waits for room', () => {
  it('is not sent once its schedule was deleted', async ({ world }) => {
    const scheduler = await world.scheduler({ defer: DEFER });
    const workspaceId = await world.around.registry.create();
    const doomed = await world.schedule(scheduler, workspaceId, { name: 'doomed', prompt: 'never' });
    await world.schedule(scheduler, workspaceId, { name: 'other', prompt: 'always' });
    await world.list(scheduler, workspaceId, { beats: world.around.beat(workspaceId, { active_tasks: 1 }) });
    world.aMinuteLater();
    await waitFor(async () => (await world.log())['schedule.due'] === 2);
    const answer = await world.send(scheduler, 'DELETE', `/workspaces/${workspaceId}/schedules/${doomed}`);
    expect(answer.status).toBe(200);
    world.around.beat(workspaceId, { active_tasks: 0 });
    await world.ran(scheduler, workspaceId, 1);
    world.aMinuteLater();
    await world.ran(scheduler, workspaceId, 2);
    expect(prompts(world)).toEqual(['always', 'always']);
    expect(await world.log()).toMatchObject({ 'schedule.deleted': 1, 'schedule.due': 3, 'schedule.fired': 2 });
  });

  it('is skipped once its schedule was disabled', async ({ world, bus }) => {
    const scheduler = await world.scheduler({ defer: DEFER });
    const workspaceId = await world.around.registry.create();
    await world.schedule(scheduler, workspaceId);
    await world.list(scheduler, workspaceId, { beats: world.around.beat(workspaceId, { active_tasks: 1 }) });
    world.aMinuteLater();
    await waitFor(async () => (await world.log())['schedule.due'] === 1);
    expect(await ask(bus, asks.scheduler.disableFor, { workspaceIds: [workspaceId] })).toEqual({ disabled: 1 });
    world.around.beat(workspaceId, { active_tasks: 0 });
    const ended = async () => {
      const log = await world.log();
      return log['schedule.skipped'] === 1 || log['schedule.fired'] === 1;
    };
    await waitFor(ended, { what: 'the occurrence to end' });
    expect(prompts(world)).toEqual([]);
    const [told] = await world.around.toldTimes('schedule.skipped', 1);
    expect(told?.data).toMatchObject({ reason: 'disabled', activeTasks: 0 });
    expect(await world.list(scheduler, workspaceId)).toMatchObject([{ enabled: false, run_count: 0, last_status: '' }]);
  });
});
