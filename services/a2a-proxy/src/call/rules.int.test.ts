/** Rules of spec 2 §1 that show from outside only: each is one sentence of it. */
import { id12 } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { type Call, it, message, type Running, scheduler, type World } from '../testing/world.ts';

const MIB = 1024 * 1024;

const one = async (world: World, env: Readonly<Record<string, string>> = {}) => {
  const proxy = await world.proxy(env);
  const agent = await world.agent();
  return { proxy, agent, id: await world.workspace(agent, { name: 'borealis' }) };
};

describe('a request (§1.1, §1.2, §1.7)', () => {
  it('is read up to 1 MiB: what is beyond is cut silently, be it something or nothing', async ({ world }) => {
    const { proxy, agent, id } = await one(world);
    const fits = message('hi', 'm-1');
    const padded = fits + ' '.repeat(MIB);
    expect((await world.call(proxy, id, { body: padded })).status).toBe(200);
    expect(agent.received[0]?.body).toBe(padded.slice(0, MIB));
    const exact = message('x'.repeat(MIB - Buffer.byteLength(message(''))));
    expect(Buffer.byteLength(exact)).toBe(MIB);
    expect((await world.call(proxy, id, { body: exact })).status).toBe(200);
    const over = await world.call(proxy, id, { body: message('x'.repeat(MIB)) });
    expect(over).toMatchObject({ status: 400, text: '{"error":"invalid JSON"}' });
  });

  it('is sent as often as it comes: a message id only counts in the mailbox', async ({ world }) => {
    const { proxy, agent, id } = await one(world);
    for (let n = 0; n < 2; n++) expect((await world.call(proxy, id, { body: message('hi', 'm-1') })).status).toBe(200);
    expect(agent.messageIds).toEqual(['m-1', 'm-1']);
  });

  it('waits for no other: there is no gate before the agent, whatever it says it can take', async ({ world }) => {
    const { proxy, agent, id } = await one(world);
    world.beat(id, { active_tasks: 1 });
    const gate = agent.gate();
    const calls = Array.from({ length: 20 }, () => world.call(proxy, id));
    await agent.waitForCalls(20);
    gate.open();
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual(Array(20).fill(200));
  });

  it('is one of the canvas, whatever other headers say', async ({ world }) => {
    const { proxy, id } = await one(world);
    const headers = { 'x-source-workspace-id': id, 'x-caller-id': id, authorization: 'Bearer of nobody' };
    expect((await world.call(proxy, id, { headers })).status).toBe(200);
    expect(await world.rows(proxy, id)).toMatchObject([{ source_id: null }]);
    expect(await world.activity(proxy, id, '?source=canvas')).toHaveLength(1);
  });

  it('is answered with no header of the agent’s, and always as JSON', async ({ world }) => {
    const { proxy, agent, id } = await one(world);
    const headers = { 'content-type': 'text/html', 'set-cookie': 'a=b', 'x-agent': '1', location: '/', 'retry-after': '9' };
    for (const status of [200, 302, 503]) {
      agent.behaveNext({ kind: 'status', status, body: '<html>', headers });
      const answer = await world.call(proxy, id);
      expect(answer.status).toBe(status);
      expect(answer.headers['content-type']).toMatch(/^application\/json(; charset=utf-8)?$/);
      for (const name of ['set-cookie', 'x-agent', 'location', 'retry-after']) expect(answer.headers).not.toHaveProperty(name);
    }
  });
});

describe('a budget that is spent (§1.4)', () => {
  const callers: readonly (readonly [string, Call])[] = [
    ['the canvas', {}],
    ['a schedule', { identity: scheduler }],
    ['a webhook', { identity: { kind: 'service', service: 'registry', as: 'webhook:github' } }],
    ['a restart', { identity: { kind: 'service', service: 'registry', as: 'system:restart-context' } }],
  ];
  it.for(callers)('stops %s', async ([, call], { world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent, { budgetLimit: 500 });
    world.beat(id, { monthly_spend: 501 });
    expect(await world.call(proxy, id, call)).toMatchObject({ status: 402, text: '{"error":"workspace budget limit exceeded"}' });
    expect(agent.received).toEqual([]);
    world.beat(id, { monthly_spend: 1 });
    expect((await world.call(proxy, id)).status).toBe(200);
    expect(await world.rows(proxy, id)).toHaveLength(1); // of what was refused there is none
  });

  it('stops the workspace itself, its peers, and what waits in its mailbox', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent, { budgetLimit: 500 });
    const peer = await world.workspace(agent);
    const { queue_id: queued } = (await world.call(proxy, id, { body: message('waits', 'm-1') })).json;
    world.beat(id, { active_tasks: 1, monthly_spend: 500 });
    for (const caller of [id, peer])
      expect((await world.call(proxy, id, { headers: { 'x-workspace-id': caller } })).status).toBe(402);
    world.beat(id);
    const error = 'workspace budget limit exceeded';
    await waitFor(async () => (await lastError(world, queued)) === error, { what: 'the message to be held up' });
    expect(agent.received).toHaveLength(1);

    agent.behave({ kind: 'echo' });
    world.beat(id, { monthly_spend: 499 });
    expect(await world.settled(proxy, 1)).toMatchObject({ completed: 1, balanced: true });
  });
});

describe('a message in the mailbox is looked at anew (§2.3), and', () => {
  it('fails while its sender may not speak to its target', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const [id, peer] = [await world.workspace(agent), await world.workspace(agent)];
    const from = { headers: { 'x-workspace-id': peer } };
    const { queue_id: queued } = (await world.call(proxy, id, from)).json;
    const elsewhere = await world.registry.create();
    await world.registry.say(peer, { type: 'workspace.moved', data: { parentId: elsewhere } });
    await waitFor(async () => (await world.call(proxy, id, from)).status === 403);
    agent.behave({ kind: 'echo' });
    world.beat(id);
    const error = 'access denied: workspaces cannot communicate per hierarchy rules';
    await waitFor(async () => (await lastError(world, queued)) === error, { what: 'the message to be held up' });
    expect(agent.received.filter(({ outcome }) => outcome === 'answered')).toEqual([]);
  });
});

describe('a container that is gone (§1.9)', () => {
  it('comes before a busy agent, and before one that has a session of its own', async ({ world }) => {
    const { proxy, agent, id } = await one(world);
    world.provisioner.containers.set(id, 'stopped');
    agent.behave({ kind: 'reset' });
    for (const capabilities of [{}, { session: true }]) {
      world.beat(id, { active_tasks: 1, runtime_metadata: { capabilities } });
      const answer = await world.call(proxy, id);
      expect(answer).toMatchObject({
        status: 503,
        text: '{"error":"workspace agent unreachable — container restart triggered","restarting":true}',
      });
      expect(answer.headers).not.toHaveProperty('retry-after');
    }
    const rows = await world.rows(proxy, id, 2);
    expect(rows.map(({ status, error_detail }) => [status, error_detail])).toEqual(Array(2).fill(['error', 'connection reset']));
    expect(await world.settled(proxy, 2)).toMatchObject({ failed: 2, balanced: true });
  });

  it('is not believed of one that cannot be looked at', async ({ world }) => {
    const { proxy, agent, id } = await one(world);
    await world.provisioner.stop();
    agent.behave({ kind: 'reset' });
    expect((await world.call(proxy, id)).status).toBe(202);
    await agent.refuse();
    expect(await world.call(proxy, id)).toMatchObject({ status: 502, text: '{"error":"failed to reach workspace agent"}' });
  });
});

describe('a platform that runs in a container itself (§1.5)', () => {
  it('dials the container of a workspace by its name, where there are containers', async ({ world }) => {
    world.provisioner.backend = 'docker';
    const proxy = await world.proxy({ MOLECULE_IN_DOCKER: 'true' });
    const agent = await world.agent();
    const id = await world.workspace(agent);
    // Here nobody has that name: what cannot be resolved may not be dialled (§1.6).
    await waitFor(async () => (await world.call(proxy, id, { body: 'x' })).text.includes('not publicly routable'), {
      what: `ws-${id12(id)} to be dialled`,
    });
    expect(agent.connections).toBe(0);
  });

  it('dials what is stored, where there are none', async ({ world }) => {
    const { proxy, agent, id } = await one(world, { MOLECULE_IN_DOCKER: 'true' });
    expect((await world.call(proxy, id)).status).toBe(200);
    expect(agent.received).toHaveLength(1);
  });
});

describe('what a runtime declares with its beats (§1.7, §1.9)', () => {
  it('lets it wait longer than the platform’s default, until a beat says nothing of it', async ({ world }) => {
    const { proxy, agent, id } = await one(world, { A2A_IDLE_TIMEOUT_SECONDS: '1' });
    agent.behave({ kind: 'hang' });
    world.beat(id, { active_tasks: 1, runtime_metadata: { idle_timeout_seconds: 60 } });
    const started = performance.now();
    const call = world.call(proxy, id);
    await agent.waitForCalls(1);
    // Another workspace's call, under the default, is long over by the time this one is answered.
    const impatient = await world.workspace(agent);
    expect((await world.call(proxy, impatient)).status).toBe(202);
    expect((await world.call(proxy, impatient)).status).toBe(202);
    expect(performance.now() - started).toBeGreaterThan(2_000);
    agent.release();
    expect((await call).status).toBe(200);

    world.beat(id, { active_tasks: 1, runtime_metadata: {} });
    expect((await world.call(proxy, id)).status).toBe(202);
    await agent.waitForCalls(0);
  });

  it('skips the mailbox but not the record; holds over a partial beat and a restart, and ends with a beat that drops it', async ({
    world,
  }) => {
    const { proxy, agent, id } = await one(world);
    agent.behave({ kind: 'reset' });
    world.beat(id, { active_tasks: 1, runtime_metadata: { capabilities: { session: true } } });
    const isOwn = async (at: Running) => (await world.call(at, id)).json.native_session === true;
    expect(await isOwn(proxy)).toBe(true);
    world.beat(id, { active_tasks: 1 }); // a task's own small beat
    expect(await isOwn(proxy)).toBe(true);
    await proxy.close();
    const next = await world.proxy();
    await world.known();
    expect(await isOwn(next)).toBe(true);

    const rows = await world.rows(next, id, 3);
    expect(rows.map(({ status, error_detail }) => [status, error_detail])).toEqual(Array(3).fill(['error', 'connection reset']));
    await waitFor(() => world.said(id, 'ACTIVITY_LOGGED').length === 3);
    expect(await world.settled(next, 3)).toMatchObject({ accepted: 3, failed: 3, balanced: true });
    expect((await world.database.query('select count(*)::int as waiting from mailbox')).rows).toEqual([{ waiting: 0 }]);
    await agent.waitForCalls(0);
    expect(agent.received).toHaveLength(3);

    world.beat(id, { active_tasks: 1, runtime_metadata: { capabilities: {} } });
    expect((await world.call(next, id)).json.queued).toBe(true);
  });
});

async function lastError(world: World, messageId: string): Promise<string | null | undefined> {
  const { rows } = await world.database.query<{ last_error: string | null }>(
    'select last_error from mailbox where message_id = $1',
    [messageId],
  );
  return rows[0]?.last_error;
}
