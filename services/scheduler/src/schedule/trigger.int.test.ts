/** Schedules that are due because something happened (spec 2 §7.14). */
import { randomUUID } from 'node:crypto';
import { ask, type Bus } from '@molecule/bus';
import { ask as asks } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { it, type World } from '../testing/world.ts';

const trigger = (bus: Bus, nameContains: string[], commandId: string = randomUUID()) =>
  ask(bus, asks.scheduler.trigger, { nameContains, commandId });
const prompts = ({ proxy }: World) => proxy.received.map(({ text }) => text);

describe('a trigger', () => {
  it('makes due what is enabled and named so, in any case, of every workspace; and nothing else', async ({ world, bus }) => {
    const scheduler = await world.scheduler();
    const [one, other] = [await world.around.registry.create(), await world.around.registry.create()];
    await world.schedule(scheduler, one, { name: 'Hourly PICK-UP-WORK', prompt: 'pick' });
    await world.schedule(scheduler, other, { name: 'pr review', prompt: 'review' });
    await world.schedule(scheduler, other, { name: 'pick-up-workers', prompt: 'pick too' });
    await world.schedule(scheduler, other, { name: 'pick-up-work, off', prompt: 'never', enabled: false });
    await world.schedule(scheduler, other, { name: 'pick_up_work', prompt: 'never' });
    expect(await trigger(bus, ['pick-up-work'])).toEqual({ affected: 2 });
    await world.ran(scheduler, one, 1);
    await world.ran(scheduler, other, 1);
    expect(prompts(world).toSorted()).toEqual(['pick', 'pick too']);
    expect(await trigger(bus, ['security review', 'pr REVIEW'])).toEqual({ affected: 1 });
    await waitFor(() => prompts(world)[2] === 'review');
    expect(await trigger(bus, ['%'])).toEqual({ affected: 0 });
  });

  it('acts once by one command, and tells the same whoever asks again', async ({ world, bus }) => {
    const scheduler = await world.scheduler();
    const workspaceId = await world.around.registry.create();
    await world.schedule(scheduler, workspaceId, { name: 'pr review' });
    const commandId = randomUUID();
    expect(await trigger(bus, ['pr review'], commandId)).toEqual({ affected: 1 });
    await world.ran(scheduler, workspaceId, 1);
    expect(await trigger(bus, ['pr review'], commandId)).toEqual({ affected: 1 });
    expect(await world.log()).toEqual({
      'schedule.created': 1,
      'schedule.triggered': 1,
      'schedule.due': 1,
      'schedule.fired': 1,
    });
  });

  it('during a run, even within its very instant, leads to another run, not to the loss of one', async ({ world, bus }) => {
    const scheduler = await world.scheduler();
    const workspaceId = await world.around.registry.create();
    await world.schedule(scheduler, workspaceId, { name: 'pr review' });
    world.proxy.behave({ kind: 'hang' });
    expect(await trigger(bus, ['pr review'])).toEqual({ affected: 1 });
    await world.proxy.waitForCalls(1);
    expect(await trigger(bus, ['pr review'])).toEqual({ affected: 1 });
    world.proxy.behave({ kind: 'echo' });
    world.proxy.release();
    // The instant after the first is a moment later.
    world.aMinuteLater();
    const listed = await world.ran(scheduler, workspaceId, 2);
    expect(new Set(world.proxy.received.map(({ headers }) => headers['x-molecule-message-id'])).size).toBe(2);
    expect(listed.last_status).toBe('ok');
  });

  it('looks at once, however long the tick', async ({ world, bus }) => {
    const scheduler = await world.scheduler({}, { SCHEDULER_TICK_SECONDS: '3600' });
    const workspaceId = await world.around.registry.create();
    await world.schedule(scheduler, workspaceId, { name: 'pr review' });
    const [before] = await world.list(scheduler, workspaceId);
    expect(await trigger(bus, ['pr review'])).toEqual({ affected: 1 });
    // Its own next time stays what it was.
    expect(await world.ran(scheduler, workspaceId, 1)).toMatchObject({ next_run_at: before?.next_run_at });
  });
});
