/** Processes that die, hang or stop in the middle (I1, limits F2): what they held is taken over, and their late word changes nothing. */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, connect as dial, type Socket } from 'node:net';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { it, message, scheduler } from './testing/world.ts';

/** What takes two seconds on an idle machine. */
const PATIENTLY = { timeoutMs: 30_000 };

describe('a proxy that is killed', () => {
  it('in the middle of calls and deliveries leaves nothing open: calls end as interrupted, messages are delivered', async ({
    world,
  }) => {
    // A long lease, so that only its death makes it count as dead; and alone, so that nobody else delivers what is to be cut off.
    const doomed = await world.process({ A2A_WORKER_LEASE_SECONDS: '4' });
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.registry.create({ at: agent.url });
    await waitFor(async () => (await world.call(doomed, id, { body: 'x' })).status === 400, PATIENTLY);

    const queued = await world.call(doomed, id, { body: message('waits', 'waits') });
    expect(queued.status).toBe(202);
    agent.behave({ kind: 'hang' });
    world.beat(id);
    await agent.waitForCalls(1, PATIENTLY.timeoutMs);
    const direct = world.call(doomed, id, { body: message('direct', 'direct') }).catch((error: unknown) => error);
    await agent.waitForCalls(2, PATIENTLY.timeoutMs);
    agent.behave({ kind: 'echo' });
    const survivor = await world.proxy();
    // Both are written down as begun, by the one that is about to die.
    await waitFor(async () => (await world.audit(survivor)).open === 2, { ...PATIENTLY, what: 'both to be written down' });
    doomed.child.kill('SIGKILL');
    await once(doomed.child, 'exit');
    expect(await direct).toBeInstanceOf(Error);

    const audit = await world.settled(survivor, 2, PATIENTLY.timeoutMs);
    expect(audit).toMatchObject({ balanced: true, completed: 1, byOutcome: { 'a2a.completed': 1, 'a2a.unreached': 1 } });
    expect(agent.messageIds.filter((messageId) => messageId === 'waits')).toHaveLength(3); // busy, cut off, delivered
    expect(agent.messageIds.filter((messageId) => messageId === 'direct')).toHaveLength(1);
    const facts = await world.facts(queued.json.queue_id);
    expect(facts.slice(-4)).toEqual(['a2a.dispatched', 'a2a.requeued', 'a2a.dispatched', 'a2a.completed']);
    await waitFor(async () => (await world.database.query('select 1 from workers')).rows.length === 1, PATIENTLY);
  }, 60_000);

  it('and started again goes on by itself', async ({ world }) => {
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.registry.create({ at: agent.url });
    const first = await world.process();
    await waitFor(async () => (await world.call(first, id, { body: 'x' })).status === 400);
    for (const text of ['a', 'b', 'c']) expect((await world.call(first, id, { body: message(text, text) })).status).toBe(202);
    first.child.kill('SIGKILL');
    await once(first.child, 'exit');
    agent.behave({ kind: 'echo' });
    const second = await world.proxy();
    await agent.waitForMessages(6);
    expect(agent.messageIds.slice(3)).toEqual(['a', 'b', 'c']);
    expect(await world.settled(second, 3)).toMatchObject({ completed: 3, balanced: true });
  });
});

describe('a proxy that hangs', () => {
  it('beyond its lease is taken over from, and what it says when it wakes is refused', async ({ world }) => {
    const slow = await world.process();
    const survivor = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'hang' } });
    const id = await world.workspace(agent);
    await waitFor(async () => (await world.call(slow, id, { body: 'x' })).status === 400);
    const direct = world.call(slow, id, { body: message('direct', 'direct') });
    await agent.waitForCalls(1);
    await waitFor(async () => (await world.audit(survivor)).open === 1);
    slow.child.kill('SIGSTOP');
    await waitFor(async () => (await world.audit(survivor)).failed === 1, { timeoutMs: 10_000, what: 'the call to be ended' });
    slow.child.kill('SIGCONT');
    agent.release();
    // The sender gets its answer all the same; the log keeps what it said first.
    expect((await direct).status).toBe(200);
    await world.rows(survivor, id);
    expect(await world.audit(survivor)).toMatchObject({ balanced: true, accepted: 1, failed: 1, open: 0 });
  });
});

describe('a delivery whose proxy has lost its lease', () => {
  it('is cut off before another replica makes it', async ({ world, postgresUrl }) => {
    const line = await lineTo(postgresUrl);
    world.onClose(() => line.close());
    const lost = await world.proxy({ DATABASE_URL: line.url, A2A_WORKER_LEASE_SECONDS: '3' });
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    const queued = await world.call(lost, id, { body: message('waits', 'waits') });
    agent.behave({ kind: 'hang' });
    world.beat(id);
    await agent.waitForCalls(1);
    const survivor = await world.proxy();
    agent.behave({ kind: 'echo' });
    line.cut();
    expect(await world.settled(survivor, 1, PATIENTLY.timeoutMs)).toMatchObject({ completed: 1, balanced: true });
    expect(agent.received.map(({ outcome }) => outcome).slice(1)).toEqual(['caller-left', 'answered']);
    expect(agent.mostAtOnce).toBe(1);
    expect((await world.facts(queued.json.queue_id)).slice(-3)).toEqual(['a2a.requeued', 'a2a.dispatched', 'a2a.completed']);
    line.mend();
  }, 60_000);

  it('is delivered anew by the same proxy, if there is no other', async ({ world, postgresUrl }) => {
    const line = await lineTo(postgresUrl);
    world.onClose(() => line.close());
    const proxy = await world.proxy({ DATABASE_URL: line.url });
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    await world.call(proxy, id, { body: message('waits', 'waits') });
    agent.behave({ kind: 'hang' });
    world.beat(id);
    await agent.waitForCalls(1);
    line.cut();
    await agent.waitForCalls(0);
    agent.behave({ kind: 'echo' });
    line.mend();
    expect(await world.settled(proxy, 1, PATIENTLY.timeoutMs)).toMatchObject({ completed: 1, balanced: true });
  }, 60_000);

  it('is cut off when the process wakes that was stopped', async ({ world }) => {
    const slow = await world.process({ A2A_WORKER_LEASE_SECONDS: '3' });
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.registry.create({ at: agent.url });
    await waitFor(async () => (await world.call(slow, id, { body: 'x' })).status === 400, PATIENTLY);
    await world.call(slow, id, { body: message('waits', 'waits') });
    agent.behave({ kind: 'hang' });
    world.beat(id);
    await agent.waitForCalls(1);
    slow.child.kill('SIGSTOP');
    agent.behave({ kind: 'echo' });
    const survivor = await world.proxy();
    expect(await world.settled(survivor, 1, PATIENTLY.timeoutMs)).toMatchObject({ completed: 1 });
    slow.child.kill('SIGCONT');
    await agent.waitForCalls(0);
    expect(agent.received.map(({ outcome }) => outcome).slice(1)).toEqual(['caller-left', 'answered']);
    expect(await world.audit(survivor)).toMatchObject({ balanced: true, completed: 1 });
  }, 60_000);
});

describe('a proxy that is told to stop', () => {
  it('lets running calls finish, and takes no new ones', async ({ world }) => {
    const proxy = await world.proxy({ A2A_DRAIN_SECONDS: '5' });
    const agent = await world.agent({ behaviour: { kind: 'hang' } });
    const id = await world.workspace(agent);
    const running = world.call(proxy, id);
    await agent.waitForCalls(1);
    const closing = proxy.close();
    agent.release();
    expect((await running).status).toBe(200);
    await closing;
    const { rows } = await world.database.query('select type from events');
    expect(rows.at(-1)).toEqual({ type: 'a2a.answered' });
  });

  it('ends what does not finish in time, and hands over what waits', async ({ world }) => {
    const proxy = await world.proxy({ A2A_DRAIN_SECONDS: '0.3' });
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent, { maxConcurrentTasks: 2 });
    const queued = await world.call(proxy, id, { body: message('waits', 'waits') });
    agent.behave({ kind: 'hang' });
    const running = world.call(proxy, id);
    await agent.waitForCalls(1);
    world.beat(id);
    await agent.waitForCalls(2);
    await proxy.close();
    expect(await running).toMatchObject({ status: 502, text: '{"error":"interrupted"}' });
    expect((await world.facts(queued.json.queue_id)).at(-1)).toBe('a2a.requeued');
    agent.behave({ kind: 'echo' });
    const next = await world.proxy();
    expect(await world.settled(next, 2)).toMatchObject({ completed: 1, failed: 1, balanced: true });
  });
});

describe('a message id given by a service of ours', () => {
  const once_ = (messageId: string) => ({ identity: scheduler, headers: { 'x-molecule-message-id': messageId } });

  it('is dispatched once, however often it is asked for, by any replica', async ({ world }) => {
    const proxies = [await world.proxy(), await world.proxy()] as const;
    const agent = await world.agent({ behaviour: { kind: 'hang' } });
    const id = await world.workspace(agent);
    const messageId = randomUUID();
    const first = world.call(proxies[0], id, once_(messageId));
    await agent.waitForCalls(1);
    expect(await world.facts(messageId)).toEqual(['a2a.dispatched']);
    for (const proxy of proxies)
      expect(await world.call(proxy, id, once_(messageId))).toMatchObject({ status: 409, text: '{"error":"in progress"}' });
    agent.release();
    expect((await first).status).toBe(200);
    await waitFor(async () => (await world.facts(messageId)).length === 2);
    for (const proxy of proxies)
      expect(await world.call(proxy, id, once_(messageId))).toMatchObject({ status: 200, json: { recorded: true, status: 200 } });
    expect(agent.received).toHaveLength(1);
    expect(await world.rows(proxies[0], id)).toMatchObject([{ id: messageId, source_id: null }]);
  });

  it('tells what became of it', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent);
    agent.behaveNext({ kind: 'status', status: 409, body: '{"error":"no"}' }, { kind: 'reset' });
    const [refused, busy, dead] = [randomUUID(), randomUUID(), randomUUID()];
    expect((await world.call(proxy, id, once_(refused))).status).toBe(409);
    await waitFor(async () => (await world.facts(refused)).length === 2);
    expect(await world.call(proxy, id, once_(refused))).toMatchObject({ status: 502, json: { error: 'HTTP 409', status: 409 } });

    expect((await world.call(proxy, id, once_(busy))).json).toMatchObject({ queued: true, queue_id: busy });
    expect(await world.call(proxy, id, once_(busy))).toMatchObject({ status: 202, json: { queue_id: busy } });

    await world.database.query(
      `insert into events (id, stream, version, type, schema, nth, data, meta, recorded_at)
       values ($1, $2, 1, 'a2a.dispatched', 1, 1, $3, $4, now())`,
      [
        randomUUID(),
        `message.${dead}`,
        {
          messageId: dead,
          workspaceId: id,
          callerId: null,
          source: 'schedule',
          method: '',
          attempt: 1,
          via: 'direct',
          worker: 'dead',
        },
        { workspaceId: id, commandId: 'begin' },
      ],
    );
    expect(await world.call(proxy, id, once_(dead))).toMatchObject({ status: 502, text: '{"error":"interrupted"}' });
    expect(await world.call(proxy, id, once_('not-an-id'))).toMatchObject({ status: 400 });
    // Nobody else may give one.
    const mine = randomUUID();
    await world.call(proxy, id, { headers: { 'x-molecule-message-id': mine } });
    await world.rows(proxy, id, 3);
    expect(await world.facts(mine)).toEqual([]);
  });
});

/** A way to the database that can be cut, for one proxy alone. */
async function lineTo(databaseUrl: string) {
  const to = new URL(databaseUrl);
  const ends = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    if (isCut) return void near.destroy();
    const far = dial(Number(to.port), to.hostname);
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      ends.add(one);
      one.pipe(other);
      one
        .on('error', () => undefined)
        .on('close', () => {
          ends.delete(one);
          other.destroy();
        });
    }
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const url = new URL(databaseUrl);
  url.hostname = '127.0.0.1';
  url.port = `${address.port}`;
  const cut = () => {
    isCut = true;
    for (const end of ends) end.destroy();
  };
  return {
    url: url.href,
    cut,
    mend: () => {
      isCut = false;
    },
    close: async () => {
      cut();
      server.close();
    },
  };
}
