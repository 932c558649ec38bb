/** The schedules of a workspace over HTTP, with the texts of spec 2 §6.3. */
import { randomUUID } from 'node:crypto';
import { ask } from '@molecule/bus';
import { ask as asks } from '@molecule/contracts';
import { purged, removed } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { EVERY_MINUTE, it } from '../testing/world.ts';

const good = { cron_expr: EVERY_MINUTE, prompt: 'stand up' };
const error = (text: string) => JSON.stringify({ error: text });
const MISSING = error('cron_expr and prompt are required');

describe('a schedule', () => {
  it('is created, listed oldest first, and deleted', async ({ world }) => {
    const scheduler = await world.scheduler();
    const workspaceId = await world.around.registry.create();
    const created = await world.create(scheduler, workspaceId, {
      name: 'nightly',
      cron_expr: '30 9 * * MON-FRI',
      timezone: 'Europe/Berlin',
      prompt: 'first\r\nsecond\r',
    });
    expect(created.status).toBe(201);
    expect(created.json).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      status: 'created',
      next_run_at: expect.stringMatching(/:30:00\.000Z$/),
    });
    const second = await world.schedule(scheduler, workspaceId, { timezone: '', enabled: false });
    const listed = await world.list(scheduler, workspaceId);
    expect(listed).toEqual([
      {
        id: created.json.id,
        workspace_id: workspaceId,
        name: 'nightly',
        cron_expr: '30 9 * * MON-FRI',
        timezone: 'Europe/Berlin',
        prompt: 'first\nsecond',
        enabled: true,
        last_run_at: null,
        next_run_at: created.json.next_run_at,
        run_count: 0,
        last_status: '',
        last_error: '',
        source: 'runtime',
        created_at: expect.any(String),
        updated_at: expect.any(String),
      },
      expect.objectContaining({ id: second, name: '', timezone: 'UTC', enabled: false, next_run_at: expect.any(String) }),
    ]);
    const path = `/workspaces/${workspaceId}/schedules/${created.json.id}`;
    expect(await world.send(scheduler, 'DELETE', path)).toMatchObject({ status: 200, text: '{"status":"deleted"}' });
    expect(await world.send(scheduler, 'DELETE', path)).toMatchObject({ status: 404, text: error('schedule not found') });
    expect((await world.list(scheduler, workspaceId)).map(({ id }) => id)).toEqual([second]);
    expect(await world.around.rows('select schedule_id from schedule_prompts')).toEqual([{ schedule_id: second }]);
  });

  it('is refused with the first mistake that it makes', async ({ world }) => {
    const scheduler = await world.scheduler();
    const workspaceId = await world.around.registry.create();
    const gone = await world.around.registry.create();
    await world.around.registry.say(gone, removed);
    const FAILED = error('failed to create schedule');
    for (const [body, status, text, id = workspaceId] of [
      ['{', 400, MISSING],
      ['', 400, MISSING],
      [{}, 400, MISSING],
      [{ ...good, prompt: '' }, 400, MISSING],
      [{ ...good, cron_expr: null }, 400, MISSING],
      [{ ...good, name: 5 }, 400, MISSING],
      [{ prompt: 'x', timezone: 'Mars/Olympus' }, 400, MISSING],
      [{ ...good, cron_expr: 'never', timezone: 'Mars/Olympus' }, 400, error('invalid timezone: Mars/Olympus')],
      [{ ...good, cron_expr: 'never' }, 400, error('invalid request body')],
      [{ ...good, cron_expr: '* * * * * *' }, 400, error('invalid request body')],
      [{ ...good, cron_expr: 'never' }, 400, error('invalid request body'), randomUUID()],
      [good, 500, FAILED, randomUUID()],
      [good, 500, FAILED, 'nobody'],
      [good, 500, FAILED, gone],
    ] as const)
      expect({ body, id, ...(await world.create(scheduler, id, body)) }).toMatchObject({ body, id, status, text });
    expect(await world.list(scheduler, workspaceId)).toEqual([]);
  });

  it('has a name that no other of its workspace has, until it is deleted', async ({ world }) => {
    const scheduler = await world.scheduler();
    const [one, other] = [await world.around.registry.create(), await world.around.registry.create()];
    const named = { ...good, name: 'nightly' };
    const id = await world.schedule(scheduler, one, named);
    expect(await world.create(scheduler, one, named)).toMatchObject({ status: 500, text: error('failed to create schedule') });
    await world.schedule(scheduler, other, named);
    expect((await world.send(scheduler, 'DELETE', `/workspaces/${one}/schedules/${id}`)).status).toBe(200);
    await world.schedule(scheduler, one, named);
    expect((await world.log())['schedule.created']).toBe(3); // what was refused left nothing
    expect(await world.around.rows('select 1 from schedule_prompts')).toHaveLength(2);
  });

  it('of another workspace does not exist', async ({ world }) => {
    const scheduler = await world.scheduler();
    const [mine, other] = [await world.around.registry.create(), await world.around.registry.create()];
    const id = await world.schedule(scheduler, other);
    for (const path of [
      `${mine}/schedules/${id}`,
      `${mine}/schedules/${randomUUID()}`,
      `${mine}/schedules/x`,
      `x/schedules/${id}`,
    ])
      expect(await world.send(scheduler, 'DELETE', `/workspaces/${path}`)).toMatchObject({
        status: 404,
        text: error('schedule not found'),
      });
    expect(await world.list(scheduler, mine)).toEqual([]);
    expect(await world.list(scheduler, randomUUID())).toEqual([]);
    expect(await world.list(scheduler, other)).toHaveLength(1);
    expect(await world.send(scheduler, 'GET', '/workspaces/x/schedules')).toMatchObject({
      status: 500,
      text: error('failed to query schedules'),
    });
  });

  it('is for who has a token of its workspace', async ({ world }) => {
    const scheduler = await world.scheduler();
    const workspaceId = await world.around.registry.create();
    const get = (as: Parameters<typeof world.send>[3]) =>
      world.send(scheduler, 'GET', `/workspaces/${workspaceId}/schedules`, as);
    expect((await get({ as: { kind: 'workspace', workspaceId, tokenId: 't' } })).status).toBe(200);
    expect(await get({ as: { kind: 'anonymous' } })).toMatchObject({
      status: 401,
      text: error('missing workspace auth token'),
    });
    expect(await get({ as: { kind: 'workspace', workspaceId: randomUUID(), tokenId: 't' } })).toMatchObject({
      status: 401,
      text: error('invalid workspace auth token'),
    });
  });

  it('is deleted, its prompt too, when its workspace is purged', async ({ world }) => {
    const scheduler = await world.scheduler();
    const [gone, other] = [await world.around.registry.create(), await world.around.registry.create()];
    for (const workspaceId of [gone, other]) await world.schedule(scheduler, workspaceId);
    await world.around.registry.say(gone, removed, purged);
    expect(await world.around.toldTimes('schedule.deleted', 1)).toMatchObject([{ data: { workspaceId: gone } }]);
    expect(await world.list(scheduler, gone)).toEqual([]);
    expect(await world.list(scheduler, other)).toMatchObject([{ enabled: true, prompt: expect.any(String) }]);
  });

  it('is disabled when its workspace is removed, by its news and by who asks', async ({ world, bus }) => {
    const scheduler = await world.scheduler();
    const [heard, asked] = [await world.around.registry.create(), await world.around.registry.create()];
    for (const workspaceId of [heard, asked]) await world.schedule(scheduler, workspaceId);
    await world.around.registry.say(heard, removed);
    expect(await world.around.toldTimes('schedule.disabled', 1)).toMatchObject([
      { data: { workspaceId: heard, reason: 'workspace-removed' } },
    ]);
    const disable = () => ask(bus, asks.scheduler.disableFor, { workspaceIds: [heard, asked] });
    expect(await disable()).toEqual({ disabled: 1 });
    expect(await disable()).toEqual({ disabled: 0 });
    world.aMinuteLater();
    world.aMinuteLater();
    const other = await world.around.registry.create();
    await world.schedule(scheduler, other);
    world.aMinuteLater();
    await world.ran(scheduler, other, 1);
    expect(world.proxy.received).toHaveLength(1);
    for (const id of [heard, asked]) expect(await world.list(scheduler, id)).toMatchObject([{ enabled: false, run_count: 0 }]);
  });
});
