/** The mailbox, told from outside (spec 2 §2): nothing is lost, nothing is doubled, the order holds. */
import { freePort, purged, registered, removed, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { it, message, type Running, type World } from '../testing/world.ts';

const queue = async (world: World, proxy: Pick<Running, 'url'>, id: string, text: string, headers = {}): Promise<string> => {
  const answer = await world.call(proxy, id, { body: message(text, text), headers });
  expect(answer.status).toBe(202);
  return answer.json.queue_id;
};

describe('a message that waits', () => {
  it('is delivered as soon as the running call has been answered, in order, each once', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent, { name: 'borealis' });
    agent.behaveNext({ kind: 'hang' });
    const running = world.call(proxy, id, { body: message('running', 'running') });
    await agent.waitForCalls(1);
    const first = await queue(world, proxy, id, 'first');
    await queue(world, proxy, id, 'second');
    agent.behave({ kind: 'echo' });
    agent.release();
    expect((await running).status).toBe(200);
    await agent.waitForMessages(5);
    expect(agent.messageIds).toEqual(['running', 'first', 'second', 'first', 'second']);
    expect(agent.mostAtOnce).toBe(2);
    expect(await world.settled(proxy, 3)).toMatchObject({ accepted: 3, completed: 3, balanced: true });
    expect((await world.facts(first)).slice(-3)).toEqual(['a2a.queued', 'a2a.dispatched', 'a2a.completed']);

    // The canvas sees the reply of what it sent, though it came late.
    const rows = await world.rows(proxy, id, 5);
    expect(rows.map((row) => row.status).sort()).toEqual(['error', 'error', 'ok', 'ok', 'ok']);
    await waitFor(() => world.said(id, 'A2A_RESPONSE').length === 3);
  });

  it('is delivered when a beat reports room; of other callers without a row', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    const peer = await world.workspace(agent);
    await queue(world, proxy, id, 'from a peer', { 'x-workspace-id': peer });
    agent.behave({ kind: 'echo' });
    world.beat(id, { active_tasks: 1 });
    world.beat(id, { active_tasks: 0 });
    await agent.waitForMessages(2);
    expect(await world.settled(proxy, 1)).toMatchObject({ completed: 1 });
    expect(await world.rows(proxy, id)).toHaveLength(1);
    expect(world.said(id, 'A2A_RESPONSE')).toHaveLength(0);
  });

  it('is delivered when the agent registers anew', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    await queue(world, proxy, id, 'm');
    agent.behave({ kind: 'echo' });
    await world.registry.say(id, registered(agent.url));
    await agent.waitForMessages(2);
    expect(await world.settled(proxy, 1)).toMatchObject({ completed: 1 });
  });

  it('stays first when the agent is busy again, and nobody asks again at once', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    const first = await queue(world, proxy, id, 'first');
    await queue(world, proxy, id, 'second');
    for (let round = 1; round <= 7; round++) {
      world.beat(id);
      await agent.waitForMessages(2 + round);
      await waitFor(async () => (await world.facts(first)).filter((type) => type === 'a2a.requeued').length === round);
    }
    const { rows } = await world.database.query('select status, attempts from mailbox order by sequence');
    expect(rows).toEqual([
      { status: 'queued', attempts: 0 },
      { status: 'queued', attempts: 0 },
    ]);
    agent.behave({ kind: 'echo' });
    world.beat(id);
    await agent.waitForMessages(11);
    expect(agent.messageIds.slice(2)).toEqual([...Array(8).fill('first'), 'second']);
    expect(await world.settled(proxy, 2)).toMatchObject({ completed: 2, balanced: true });
  });

  it('is tried again by itself after a growing pause, when no beat comes', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    await queue(world, proxy, id, 'm');
    world.beat(id);
    await agent.waitForMessages(2);
    agent.behave({ kind: 'echo' });
    await agent.waitForMessages(3);
    const [, second, third] = agent.received;
    expect((third?.at ?? 0) - (second?.at ?? 0)).toBeGreaterThan(900);
    expect(await world.settled(proxy, 1)).toMatchObject({ completed: 1 });
  });

  it('fails after five attempts, and the next one has its turn', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    const poison = await queue(world, proxy, id, 'poison');
    await queue(world, proxy, id, 'fine');
    agent.behave({ kind: 'status', status: 500, body: '{"error":{"code":7}}' });
    for (let attempt = 1; attempt <= 5; attempt++) {
      world.beat(id);
      await agent.waitForMessages(2 + attempt);
      await waitFor(async () => (await world.facts(poison)).at(-1) !== 'a2a.dispatched');
    }
    expect((await world.facts(poison)).at(-1)).toBe('a2a.failed');
    const { rows } = await world.database.query('select last_error, attempts, status from mailbox order by sequence limit 1');
    expect(rows[0]).toEqual({ last_error: 'Internal Server Error', attempts: 5, status: 'failed' });
    agent.behave({ kind: 'echo' });
    world.beat(id);
    await agent.waitForMessages(8);
    expect(agent.messageIds.at(-1)).toBe('fine');
    expect(await world.settled(proxy, 2)).toMatchObject({ completed: 1, failed: 1, balanced: true });
  });

  it('may be several at once, if the agent takes several', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent, { maxConcurrentTasks: 3 });
    for (const text of ['a', 'b', 'c', 'd']) await queue(world, proxy, id, text);
    agent.behave({ kind: 'hang' });
    world.beat(id);
    await agent.waitForCalls(3);
    expect(agent.messageIds.slice(4)).toEqual(['a', 'b', 'c']);
    agent.behave({ kind: 'echo' });
    agent.release();
    await agent.waitForMessages(8);
    expect(await world.settled(proxy, 4)).toMatchObject({ completed: 4 });
    expect(agent.mostAtOnce).toBe(3);
  });

  it('frees its key when it has ended', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    const first = await queue(world, proxy, id, 'again');
    expect(await queue(world, proxy, id, 'again')).toBe(first);
    agent.behave({ kind: 'echo' });
    world.beat(id);
    await waitFor(async () => (await world.facts(first)).at(-1) === 'a2a.completed');
    agent.behave({ kind: 'reset' });
    expect(await queue(world, proxy, id, 'again')).not.toBe(first);
    const together = await Promise.all(Array.from({ length: 10 }, () => queue(world, proxy, id, 'together')));
    expect(new Set(together).size).toBe(1);
    await waitFor(async () => (await world.audit(proxy)).open === 2, { what: 'the ends of those that came second' });
    expect(await world.audit(proxy)).toMatchObject({ balanced: true });
  });

  it('takes keys that no index and no log could hold', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    for (const odd of ['x'.repeat(100_000), 'a\u0000b', '\ud800', "'; drop table mailbox; --"]) {
      const first = await queue(world, proxy, id, odd);
      expect(await queue(world, proxy, id, odd)).toBe(first);
    }
    await waitFor(async () => (await world.audit(proxy)).open === 4, { what: 'the ends of those that came second' });
    expect(await world.audit(proxy)).toMatchObject({ balanced: true });
  });

  it('is dropped when its workspace is removed', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    for (const text of ['a', 'b', 'c']) await queue(world, proxy, id, text);
    await world.registry.say(id, removed);
    expect(await world.settled(proxy, 3)).toMatchObject({ dropped: 3, balanced: true });
  });

  it('is gone with its body and all activity when its workspace is purged, and nothing of others is', async ({ world }) => {
    const proxy = await world.proxy();
    const [busy, free] = [await world.agent({ behaviour: { kind: 'reset' } }), await world.agent()];
    const [id, other] = [await world.workspace(busy), await world.workspace(free)];
    await queue(world, proxy, id, 'a');
    await world.call(proxy, other, { headers: { 'x-workspace-id': id } });
    await world.call(proxy, other, { headers: { 'x-workspace-id': other } });
    await world.rows(proxy, other, 2);
    const kept = async () => {
      const { rows } = await world.database.query(`
        select workspace_id from activity union all select workspace_id from messages union all select workspace_id from a2a_outbound`);
      return [...new Set(rows.map((row) => row.workspace_id))].toSorted();
    };
    await waitFor(async () => (await kept()).join() === [id, other].toSorted().join(), { what: 'rows of both' });
    await world.registry.say(id, removed, purged);
    await waitFor(async () => (await kept()).join() === other, { what: 'the rows of the purged one to go' });
    expect(await world.settled(proxy, 3)).toMatchObject({ dropped: 1, balanced: true });
  });

  it('leaves nothing in memory when its workspace is removed, in no replica', async ({ world }) => {
    const ports = [await freePort(), await freePort()];
    const proxies = await Promise.all(ports.map((port) => world.proxy({ OPS_PORT: `${port}` })));
    const waiting = async () => {
      const pages = await Promise.all(ports.map(async (port) => (await fetch(`http://127.0.0.1:${port}/metrics`)).text()));
      return pages.map((page) => /^a2a_mailboxes_waiting(?:\{.*\})? (\d+)$/m.exec(page)?.[1]).join(' ');
    };
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    await queue(world, proxies[0] as Running, id, 'a');
    await waitFor(async () => (await waiting()) === '1 1');
    await world.registry.say(id, removed);
    await waitFor(async () => (await waiting()) === '0 0', { what: 'the mailbox to be forgotten' });
    expect(await world.settled(proxies[0] as Running, 1)).toMatchObject({ dropped: 1, balanced: true });
    expect(await waiting()).toBe('0 0');
  });
});

describe('the read model', () => {
  it('is the same when it is rebuilt', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    const gone = await world.workspace(agent);
    for (const text of ['a', 'b', 'c']) await queue(world, proxy, id, text);
    await queue(world, proxy, gone, 'dropped');
    await world.registry.say(gone, removed);
    agent.behaveNext({ kind: 'echo' }, { kind: 'reset' }, { kind: 'status', status: 500 });
    for (let beat = 0; beat < 4; beat++) {
      const before = agent.received.length;
      world.beat(id);
      await agent.waitForMessages(before + 1);
    }
    await waitFor(async () => (await world.audit(proxy)).dropped === 1);
    const report = await proxy.service.rebuild?.(true);
    expect(report?.projections.find(({ table }) => table === 'mailbox')).toMatchObject({ rows: 4, missing: 0, unexpected: 0 });
  });
});

describe('several replicas', () => {
  it('deliver each message once, one at a time, in order', async ({ world }) => {
    const proxies = [await world.proxy(), await world.proxy(), await world.proxy()] as const;
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    const texts = Array.from({ length: 30 }, (_, n) => `m-${String(n).padStart(2, '0')}`);
    for (const [n, text] of texts.entries()) await queue(world, proxies[n % 3] as Running, id, text);
    const reset = agent.received.length;
    agent.behave({ kind: 'slow', ms: 2 });
    world.beat(id);
    await agent.waitForMessages(reset + texts.length);
    expect(await world.settled(proxies[0], texts.length)).toMatchObject({ completed: 30, balanced: true });
    expect(agent.messageIds.slice(reset)).toEqual(texts);
    expect(agent.mostAtOnce).toBe(1);
  });
});
