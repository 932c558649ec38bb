/** Who comes when, and who does not come any more: priorities, fairness, repeats, expiry, what is stale; and what is told of waiting. */
import { randomUUID } from 'node:crypto';
import { manualClock, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { admin, anonymous, type Call, it, message, type Running, scheduler, type World } from '../testing/world.ts';

const queue = async (world: World, proxy: Pick<Running, 'url'>, id: string, text: string, call: Call = {}): Promise<string> => {
  const answer = await world.call(proxy, id, { body: message(text, text), ...call });
  expect(answer.status).toBe(202);
  return answer.json.queue_id;
};
const seen = async (world: World, proxy: Running, id: string, queueId: string) =>
  (await world.send(proxy, `/workspaces/${id}/a2a/queue/${queueId}`, 'GET', { identity: admin })).json;

describe('the order of a mailbox', () => {
  it('is by priority, then by arrival; only services of ours may ask for another than a task’s', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    const prior = (priority: string): Call => ({ identity: scheduler, headers: { 'x-molecule-priority': priority } });
    const info = await queue(world, proxy, id, 'info', prior('10'));
    await queue(world, proxy, id, 'task 1', { headers: { 'x-molecule-priority': '100' } });
    await queue(world, proxy, id, 'critical 1', prior('100'));
    await queue(world, proxy, id, 'task 2', prior('50'));
    const last = await queue(world, proxy, id, 'critical 2', prior('100'));
    expect(await world.call(proxy, id, prior('99'))).toMatchObject({ status: 400, text: '{"error":"invalid priority"}' });
    expect(await seen(world, proxy, id, info)).toMatchObject({ priority: 10, position: 5 });
    expect(await seen(world, proxy, id, last)).toMatchObject({ priority: 100, position: 2 });

    agent.behave({ kind: 'echo' });
    world.beat(id);
    await agent.waitForMessages(10);
    expect(agent.messageIds.slice(5)).toEqual(['critical 1', 'critical 2', 'task 1', 'task 2', 'info']);
  });

  it('lets nobody wait for those who have much: mailboxes take turns', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const full = await Promise.all(Array.from({ length: 17 }, () => world.registry.create({ at: agent.url })));
    const small = await Promise.all(Array.from({ length: 10 }, () => world.registry.create({ at: agent.url })));
    await world.known();
    for (let n = 0; n < 20; n++) await Promise.all(full.map((id) => queue(world, proxy, id, `full ${n} ${id}`)));
    await Promise.all(small.map((id) => queue(world, proxy, id, `small ${id}`)));
    const before = agent.received.length;
    agent.behave({ kind: 'echo' });
    for (const id of [...full, ...small]) world.beat(id);
    await agent.waitForMessages(before + 350);
    const order = agent.messageIds.slice(before).map((id) => id?.startsWith('small'));
    expect(order.lastIndexOf(true)).toBeLessThan(175);
    expect(await world.settled(proxy, 350)).toMatchObject({ completed: 350, balanced: true });
  });
});

describe('F18: the same message again', () => {
  it('waits once and is sent once: five at a time, minutes later, and after a restart', async ({ world }) => {
    const clock = manualClock(new Date());
    const proxy = await world.proxy({}, clock);
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    const send = (to: Running) => world.call(to, id, { body: message('same', 'same') });
    const answers = await Promise.all(Array.from({ length: 5 }, () => send(proxy)));
    const [first] = answers;
    clock.advance(3 * 60_000);
    answers.push(await send(proxy));
    await proxy.close();
    const again = await world.proxy();
    await world.known();
    answers.push(await send(again));
    const queueId: string = first?.json.queue_id;
    for (const { status, json, headers } of answers) {
      expect([status, json.queue_id]).toEqual([202, queueId]);
      expect(headers['location']).toBe(first?.headers['location']);
    }
    agent.behave({ kind: 'echo' });
    world.beat(id);
    await waitFor(async () => (await world.facts(queueId)).at(-1) === 'a2a.completed');
    expect(await world.settled(again, 7)).toMatchObject({ completed: 1, failed: 6, balanced: true });
    const { rows } = await world.database.query('select message_id, status from mailbox');
    expect(rows).toEqual([{ message_id: queueId, status: 'completed' }]);
    // The seven calls themselves, and what the log says was sent from the mailbox: busy again, perhaps, but nothing twice.
    const dispatches = (await world.facts(queueId)).filter((type) => type === 'a2a.dispatched');
    expect(agent.messageIds).toEqual(Array(answers.length + dispatches.length).fill('same'));
  });
});

describe('what expires', () => {
  it('is dropped, and never dispatched', async ({ world }) => {
    const proxy = await world.proxy({ A2A_MAILBOX_TTL_SECONDS: '3600' });
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    const [old, fresh] = [await queue(world, proxy, id, 'old'), await queue(world, proxy, id, 'fresh')];
    const { enqueued_at, expires_at } = await seen(world, proxy, id, old);
    expect(Math.abs(Date.parse(expires_at) - Date.parse(enqueued_at) - 3_600_000)).toBeLessThan(60_000);
    await world.database.query(`update mailbox set expires_at = now() - interval '1 ms' where message_id = $1`, [old]);

    agent.behave({ kind: 'echo' });
    world.beat(id);
    await waitFor(async () => (await world.facts(fresh)).at(-1) === 'a2a.completed');
    await waitFor(async () => (await world.facts(old)).at(-1) === 'a2a.dropped', { timeoutMs: 10_000 });
    expect(await seen(world, proxy, id, old)).toMatchObject({ state: 'dropped', last_error: 'expired', attempts: 0 });
    expect(agent.messageIds).toEqual(['old', 'fresh', 'fresh']);
    expect(await world.settled(proxy, 2)).toMatchObject({ completed: 1, dropped: 1, balanced: true });
    // Its key is free.
    agent.behave({ kind: 'reset' });
    expect(await queue(world, proxy, id, 'old')).not.toBe(old);
  });

  it('does not expire where no time is set', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    expect(await seen(world, proxy, id, await queue(world, proxy, id, 'm'))).toMatchObject({ expires_at: null });
  });
});

describe('POST /admin/a2a-queue/drop-stale', () => {
  it('drops what has waited for longer, in one mailbox or in all', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const [one, other] = [await world.workspace(agent), await world.workspace(agent)];
    const drop = (query = '', call: Call = { identity: admin }) =>
      world.send(proxy, `/admin/a2a-queue/drop-stale${query}`, 'POST', call);
    const aged = async (id: string, minutes: number): Promise<string> => {
      const queueId = await queue(world, proxy, id, randomUUID());
      const older = `update mailbox set enqueued_at = now() - $2 * interval '1 minute' where message_id = $1`;
      await world.database.query(older, [queueId, minutes]);
      return queueId;
    };
    const items = [await aged(one, 61), await aged(one, 59), await aged(one, 11), await aged(other, 90), await aged(other, 0)];
    const states = async () => {
      const { rows } = await world.database.query('select message_id, status from mailbox');
      return items.map((item) => rows.find(({ message_id }) => message_id === item)?.status);
    };
    expect(await drop(`?workspace_id=${randomUUID()}`)).toMatchObject({ status: 200, text: '{"dropped":0}' });
    expect((await drop(`?workspace_id=${one}&max_age_minutes=`)).text).toBe('{"dropped":1}');
    expect(await states()).toEqual(['dropped', 'queued', 'queued', 'queued', 'queued']);
    expect((await drop('?max_age_minutes=10&workspace_id=')).text).toBe('{"dropped":3}');
    expect(await states()).toEqual(['dropped', 'dropped', 'dropped', 'dropped', 'queued']);
    expect((await drop('?max_age_minutes=99999999999999999999')).text).toBe('{"dropped":0}');
    for (const wrong of ['0', '-1', '1.5', 'x', '1e3'])
      expect(await drop(`?max_age_minutes=${wrong}`)).toMatchObject({
        status: 400,
        text: '{"error":"max_age_minutes must be a positive integer"}',
      });
    expect(await drop('?workspace_id=x')).toMatchObject({ status: 500, text: '{"error":"failed to drop stale items"}' });
    expect(await drop('', { identity: anonymous })).toMatchObject({ status: 401, text: '{"error":"admin auth required"}' });
    expect((await world.facts(items[0] ?? '')).at(-1)).toBe('a2a.dropped');
    expect(await world.audit(proxy)).toMatchObject({ dropped: 4, open: 1, balanced: true });
  });
});

describe('what is told of waiting', () => {
  it('is its time, the attempts, and the trace that the request was part of', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const traced = await queue(world, proxy, id, 'traced', { headers: { traceparent } });
    const untraced = await queue(world, proxy, id, 'untraced', { headers: { traceparent: `${traceparent}-more` } });
    agent.behaveNext({ kind: 'reset' }, { kind: 'echo' }, { kind: 'status', status: 500 }, { kind: 'echo' });
    for (let tries = 3; tries <= 6; tries++) {
      world.beat(id);
      await agent.waitForMessages(tries);
      await waitFor(async () => (await world.figure(proxy, 'a2a_mailbox_deliveries')) === 0);
    }
    expect(await world.settled(proxy, 2)).toMatchObject({ completed: 2 });

    const { rows } = await world.database.query(
      `select distinct stream, meta ->> 'traceparent' as traceparent from events where stream = any($1)`,
      [[`message.${traced}`, `message.${untraced}`]],
    );
    expect(new Map(rows.map((row) => [row.stream, row.traceparent]))).toEqual(
      new Map([
        [`message.${traced}`, traceparent],
        [`message.${untraced}`, null],
      ]),
    );
    expect(rows).toHaveLength(2);
    const attempts = (outcome: string) => world.figure(proxy, `a2a_mailbox_attempts_total{outcome="${outcome}"}`);
    expect([await attempts('delivered'), await attempts('busy'), await attempts('error')]).toEqual([2, 1, 1]);
    expect(await world.figure(proxy, 'a2a_mailbox_wait_seconds_count')).toBe(2);
    expect(await world.figure(proxy, 'a2a_mailbox_wait_seconds_sum')).toBeGreaterThan(0);
  });
});
