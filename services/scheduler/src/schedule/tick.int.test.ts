/** What is due runs once, whoever lives or dies meanwhile (spec 2 §6.4–6.6, I7). */
import { ask } from '@molecule/bus';
import { ask as asks } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { EVERY_MINUTE, it, MINUTE_MS, type World } from '../testing/world.ts';
import { messageIdOf } from './fire.ts';

const messageIds = ({ proxy }: World) => proxy.received.map(({ headers }) => headers['x-molecule-message-id']);
const isLater = (after: string, before: string | undefined) =>
  expect(Date.parse(after)).toBeGreaterThan(Date.parse(before ?? ''));

describe('a schedule that is due', () => {
  it('is sent once with two replicas, as the canvas would, and says what came of it', async ({ world, bus }) => {
    const [first] = [await world.scheduler(), await world.scheduler()];
    const workspaces = await Promise.all(Array.from({ length: 5 }, () => world.around.registry.create()));
    for (const id of workspaces) await world.schedule(first, id, { name: 'nightly' });
    const before = await world.list(first, workspaces[0] ?? '');
    world.aMinuteLater();
    for (const id of workspaces) {
      const after = await world.ran(first, id, 1);
      expect(after).toMatchObject({ run_count: 1, last_status: 'ok', last_error: '', last_run_at: expect.any(String) });
      isLater(after.next_run_at, before[0]?.next_run_at);
    }
    expect(await world.log()).toEqual({ 'schedule.created': 5, 'schedule.due': 5, 'schedule.fired': 5 });
    expect(new Set(messageIds(world)).size).toBe(5);
    expect(world.proxy.received.map(({ path }) => path).toSorted()).toEqual(
      workspaces.map((id) => `/workspaces/${id}/a2a`).toSorted(),
    );
    const [received] = world.proxy.received;
    expect(received).toMatchObject({ method: 'message/send', text: 'stand up', messageId: expect.stringMatching(/^cron-/) });
    expect(world.askedBy(received)).toEqual({ kind: 'service', service: 'scheduler', as: '' });
    await world.around.toldTimes('schedule.fired', 5);
    expect(world.around.told('schedule.due')).toEqual([]); // which worker runs what is nobody's business

    const { projections } = await ask(bus, asks.rebuild.scheduler, { check: true });
    expect(projections.map(({ table, rows, missing, unexpected }) => [table, rows, missing, unexpected])).toEqual([
      ['schedule_list', 5, 0, 0],
    ]);
  });

  it('is seen to be looked after while a run takes its time', { timeout: 20_000 }, async ({ world }) => {
    const running = await world.scheduler();
    const workspaceId = await world.around.registry.create();
    await world.schedule(running, workspaceId);
    world.proxy.behave({ kind: 'hang' });
    world.aMinuteLater();
    await world.proxy.waitForCalls(1);
    world.around.clock.advance(1);
    const now = world.around.clock.now().toISOString();
    const pulse = async () => (await running.service.health()).loops['scheduler'];
    await waitFor(async () => (await pulse())?.lastTickAt === now, { timeoutMs: 10_000, what: 'the loop to move' });
    expect(await pulse()).toMatchObject({ ticked: true, intervalMs: 5_000 });
    world.proxy.release();
    await world.ran(running, workspaceId, 1);
  });

  it('is taken over from a dead worker under the same message id, and the dead one says no more', async ({ world }) => {
    const dead = await world.scheduler();
    const workspaceId = await world.around.registry.create();
    const scheduleId = await world.schedule(dead, workspaceId);
    const [{ next_run_at: dueAt } = { next_run_at: '' }] = await world.list(dead, workspaceId);
    world.proxy.behave({ kind: 'hang' });
    world.aMinuteLater();
    await world.proxy.waitForCalls(1);
    await world.around.rows("update workers set alive_until = now() - interval '1 second' where worker = $1", [dead.worker]);
    const heir = await world.scheduler();
    await world.proxy.waitForCalls(2);
    expect(new Set(messageIds(world))).toEqual(new Set([messageIdOf(scheduleId, new Date(dueAt))]));
    world.proxy.release();
    expect(await world.ran(heir, workspaceId, 1)).toMatchObject({ run_count: 1, last_status: 'ok' });
    await dead.close(); // whatever it still had to say, it has tried to
    expect(await world.log()).toEqual({ 'schedule.created': 1, 'schedule.due': 2, 'schedule.fired': 1 });
    expect(await world.list(heir, workspaceId)).toMatchObject([{ run_count: 1 }]);
  });

  it('is handed over at once by a worker that stops in order', async ({ world }) => {
    const stopping = await world.scheduler();
    const workspaceId = await world.around.registry.create();
    await world.schedule(stopping, workspaceId);
    world.proxy.behave({ kind: 'hang' });
    world.aMinuteLater();
    await world.proxy.waitForCalls(1);
    await stopping.close();
    world.proxy.behave({ kind: 'echo' });
    const next = await world.scheduler();
    expect(await world.ran(next, workspaceId, 1)).toMatchObject({ last_status: 'ok' });
    expect(new Set(messageIds(world)).size).toBe(1);
    expect((await world.log())['schedule.fired']).toBe(1);
  });

  it('only moves on when its runtime fires by itself', async ({ world }) => {
    const scheduler = await world.scheduler();
    const workspaceId = await world.around.registry.create();
    await world.schedule(scheduler, workspaceId);
    const beats = world.around.beat(workspaceId, { runtime_metadata: { capabilities: { scheduler: true } } });
    const [before] = await world.list(scheduler, workspaceId, { beats });
    world.aMinuteLater();
    const after = await waitFor(async () => {
      const [one] = await world.list(scheduler, workspaceId);
      return one?.next_run_at !== before?.next_run_at && one;
    });
    isLater(after.next_run_at, before?.next_run_at);
    expect(after).toMatchObject({ run_count: 0, last_run_at: null, last_status: '', last_error: '' });
    expect(await world.log()).toEqual({ 'schedule.created': 1, 'schedule.skipped': 1 });
    expect(world.proxy.received).toEqual([]);
  });

  it('keeps its time when its cron no longer parses, and holds up no other', async ({ world }) => {
    const scheduler = await world.scheduler();
    const [broken, good] = [await world.around.registry.create(), await world.around.registry.create()];
    const id = await world.schedule(scheduler, broken);
    await world.schedule(scheduler, good);
    await world.around.rows("update schedule_list set cron_expr = 'at dawn' where schedule_id = $1", [id]);
    const [before] = await world.list(scheduler, broken);
    world.aMinuteLater();
    await world.ran(scheduler, good, 1);
    world.aMinuteLater();
    await world.ran(scheduler, good, 2);
    expect(await world.list(scheduler, broken)).toMatchObject([
      { run_count: 0, enabled: true, next_run_at: before?.next_run_at },
    ]);
    expect(world.proxy.received).toHaveLength(2);
  });

  it('runs beside nine others at most, and the rest wait in line', async ({ world }) => {
    const scheduler = await world.scheduler();
    const workspaces = await Promise.all(Array.from({ length: 12 }, () => world.around.registry.create()));
    for (const id of workspaces) await world.schedule(scheduler, id);
    const gate = world.proxy.gate();
    world.aMinuteLater();
    await world.proxy.waitForCalls(10);
    gate.open();
    for (const id of workspaces) await world.ran(scheduler, id, 1);
    expect(world.proxy.mostAtOnce).toBe(10);
    expect((await world.log())['schedule.fired']).toBe(12);
  });
});

describe('a busy agent', () => {
  const DEFER = { everyMs: 10, times: 3 };

  it('is waited for, and then skipped', async ({ world }) => {
    const scheduler = await world.scheduler({ defer: DEFER });
    const workspaceId = await world.around.registry.create({ maxConcurrentTasks: 2 });
    await world.schedule(scheduler, workspaceId);
    const beats = world.around.beat(workspaceId, { active_tasks: 2 });
    const [before] = await world.list(scheduler, workspaceId, { beats });
    world.aMinuteLater();
    const after = await world.ran(scheduler, workspaceId, 1);
    expect(after).toMatchObject({
      run_count: 1,
      last_status: 'skipped',
      last_error: 'skipped: workspace busy (active_tasks=2)',
      last_run_at: expect.any(String),
    });
    isLater(after.next_run_at, before?.next_run_at);
    expect(await world.around.toldTimes('schedule.skipped', 1)).toMatchObject([{ data: { reason: 'busy', activeTasks: 2 } }]);
    expect(world.proxy.received).toEqual([]);
  });

  it('gets its message as soon as there is room, and holds up nobody until then', async ({ world }) => {
    const scheduler = await world.scheduler({ defer: { ...DEFER, times: 1_000 } });
    const [busy, free] = [await world.around.registry.create(), await world.around.registry.create()];
    await world.schedule(scheduler, busy, { cron_expr: '*/30 * * * *' });
    await world.schedule(scheduler, free);
    await world.list(scheduler, busy, { beats: world.around.beat(busy, { active_tasks: 1 }) });
    world.around.clock.advance(30 * MINUTE_MS);
    await world.ran(scheduler, free, 1);
    await waitFor(async () => (await world.log())['schedule.due'] === 2);
    expect(await world.list(scheduler, busy)).toMatchObject([{ run_count: 0 }]);
    world.around.beat(busy, { active_tasks: 0 });
    expect(await world.ran(scheduler, busy, 1)).toMatchObject({ last_status: 'ok' });
  });
});

describe('what came of a run', () => {
  it('is what the proxy answered', async ({ world, bus }) => {
    const scheduler = await world.scheduler();
    const workspaceId = await world.around.registry.create();
    await world.schedule(scheduler, workspaceId, { cron_expr: EVERY_MINUTE });
    const empty = { kind: 'status', status: 200, body: '' } as const;
    const EMPTY_THRICE = 'empty response 3 consecutive times — agent may be phantom-producing';
    let runs = 0;
    for (const [behaviour, last_status, last_error] of [
      [{ kind: 'accepted' }, 'ok', ''],
      [
        { kind: 'status', status: 502, body: '{"error":"failed to reach workspace agent"}' },
        'error',
        'failed to reach workspace agent',
      ],
      [{ kind: 'status', status: 429, body: 'slow down' }, 'error', 'HTTP 429'],
      [{ kind: 'echo' }, 'ok', ''],
      [empty, 'ok', ''],
      [{ kind: 'status', status: 500, body: 'null' }, 'error', 'HTTP 500'],
      [empty, 'ok', ''],
      [empty, 'stale', EMPTY_THRICE],
      [{ kind: 'echo' }, 'ok', ''],
      [empty, 'ok', ''],
    ] as const) {
      world.proxy.behaveNext(behaviour);
      world.aMinuteLater();
      expect(await world.ran(scheduler, workspaceId, ++runs)).toMatchObject({ run_count: runs, last_status, last_error });
    }
    const { projections } = await ask(bus, asks.rebuild.scheduler, { check: true });
    expect(projections).toMatchObject([{ table: 'schedule_list', rows: 1, missing: 0, unexpected: 0 }]);
  });

  it('is an error when no proxy answers within the limit of a run, and not before', async ({ world }) => {
    const scheduler = await world.scheduler();
    const workspaceId = await world.around.registry.create();
    await world.schedule(scheduler, workspaceId, { cron_expr: '0 0 * * *' });
    world.proxy.behave({ kind: 'reset' });
    world.around.clock.advance(24 * 60 * MINUTE_MS);
    await world.proxy.waitForMessages(1);
    world.proxy.behave({ kind: 'status', status: 503, body: '{"error":"later","code":"platform_unavailable"}' });
    await world.proxy.waitForMessages(2);
    expect(await world.list(scheduler, workspaceId)).toMatchObject([{ run_count: 0 }]);
    world.around.clock.advance(5 * MINUTE_MS + 1);
    expect(await world.ran(scheduler, workspaceId, 1)).toMatchObject({
      last_status: 'error',
      last_error: 'no answer within the limit of a scheduled run',
    });
    expect(new Set(messageIds(world)).size).toBe(1);
  });
});
