/** Following what is queued, told from outside: whoever sent it and whoever it is for see where it is; nobody else sees that it is. */
import { randomUUID } from 'node:crypto';
import type { Identity } from '@molecule/contracts';
import { purged, removed, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { admin, type Call, it, message, type Running, type World } from '../testing/world.ts';

const ISO = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
const NOT_FOUND = { status: 404, text: '{"error":"queued request not found"}' };

/** A workspace whose agent is busy, and a way to queue something there. */
async function busyWorkspace(world: World, proxy: Running) {
  const agent = await world.agent({ behaviour: { kind: 'reset' } });
  const id = await world.workspace(agent);
  const queue = async (text: string, call: Call = {}): Promise<string> => {
    const answer = await world.call(proxy, id, { body: message(text, text), ...call });
    expect(answer.status).toBe(202);
    return answer.json.queue_id;
  };
  const path = (queueId = '') => `/workspaces/${id}/a2a/queue${queueId && `/${queueId}`}`;
  const get = (queueId: string, call: Call = { identity: admin }, query = '') =>
    world.send(proxy, `${path(queueId)}${query}`, 'GET', call);
  const cancel = (queueId: string, call: Call = { identity: admin }) => world.send(proxy, path(queueId), 'DELETE', call);
  const ended = (queueId: string) =>
    waitFor(async () => (await world.facts(queueId)).some((type) => /completed|failed|dropped/.test(type)));
  return { agent, id, queue, path, get, cancel, ended };
}

describe('a queued request', () => {
  it('says where it can be followed, and is followed there until the agent has answered', async ({ world }) => {
    const proxy = await world.proxy();
    const { agent, id, path, get, ended } = await busyWorkspace(world, proxy);
    const queued = await world.call(proxy, id, { body: message('one', 'one') });
    const { queue_id: first } = queued.json;
    expect(queued.text).toBe(
      `{"queued":true,"queue_id":"${first}","queue_depth":1,"message":"workspace agent busy — request queued, will dispatch when capacity available"}`,
    );
    expect(queued.headers['location']).toBe(path(first));
    const { queue_id: second } = (await world.call(proxy, id, { body: message('two', 'two') })).json;

    const waiting = {
      queue_id: second,
      workspace_id: id,
      caller_id: null,
      source: 'canvas',
      state: 'queued',
      position: 2,
      priority: 50,
      method: 'message/send',
      attempts: 0,
      enqueued_at: ISO,
      dispatched_at: null,
      completed_at: null,
      expires_at: null,
      last_error: null,
      result: null,
      result_bytes: null,
    };
    expect((await get(second)).json).toEqual(waiting);

    agent.behave({ kind: 'hang' });
    world.beat(id);
    await agent.waitForCalls(1);
    expect((await get(first)).json).toEqual({
      ...waiting,
      queue_id: first,
      state: 'dispatched',
      position: null,
      attempts: 1,
      dispatched_at: ISO,
    });
    expect((await get(second)).json).toEqual({ ...waiting, position: 1 });

    agent.behave({ kind: 'echo' });
    agent.release();
    await ended(second);
    const done = await get(second);
    expect(done.json).toMatchObject({ state: 'completed', position: null, attempts: 1, completed_at: ISO });
    expect(done.json.result).toMatchObject({ jsonrpc: '2.0', id: 1 });
    expect(done.json.result_bytes).toBe(Buffer.byteLength(JSON.stringify(done.json.result)));
  });

  it('shows an answer as the agent wrote it, a text that is no JSON, and of a large one how large it was', async ({ world }) => {
    const proxy = await world.proxy();
    const { agent, id, queue, get, ended } = await busyWorkspace(world, proxy);
    const json = '{"result":12345678901234567890,"result":"\\u0000"}';
    const large = JSON.stringify('x'.repeat(1024 * 1024));
    const answers = [
      [json, `"result":${json},"result_bytes":${json.length}}`],
      ['plain\0 text', '"result":"plain text","result_bytes":11}'],
      [large, `"result":null,"result_bytes":${large.length}}`],
    ] as const;
    for (const [body, shown] of answers) {
      agent.behave({ kind: 'reset' });
      const queueId = await queue(randomUUID());
      agent.behave({ kind: 'status', status: 200, body });
      world.beat(id);
      await ended(queueId);
      const { text } = await get(queueId);
      expect(text.slice(text.indexOf('"result":'))).toBe(shown);
    }
  });

  it('tells why it failed', async ({ world }) => {
    const proxy = await world.proxy();
    const { agent, id, queue, get } = await busyWorkspace(world, proxy);
    const queueId = await queue('poison');
    agent.behave({ kind: 'status', status: 500, body: '{"error":"out of tokens"}' });
    for (let attempt = 1; attempt <= 5; attempt++) {
      world.beat(id);
      await agent.waitForMessages(1 + attempt);
      await waitFor(async () => (await world.facts(queueId)).at(-1) !== 'a2a.dispatched');
      if (attempt === 2)
        expect((await get(queueId)).json).toMatchObject({
          state: 'queued',
          position: 1,
          attempts: 2,
          last_error: 'out of tokens',
        });
    }
    expect((await get(queueId)).json).toMatchObject({
      state: 'failed',
      attempts: 5,
      completed_at: ISO,
      last_error: 'out of tokens',
      result: null,
    });
  });

  it('is seen by its sender, its target and operators; to anybody else it is not there', async ({ world }) => {
    const proxy = await world.proxy();
    const { agent, id, queue, get, cancel, path } = await busyWorkspace(world, proxy);
    const [sender, other] = [await world.workspace(agent), await world.workspace(agent)];
    for (const workspaceId of [id, sender, other]) await world.registry.issueToken(workspaceId);
    const as = (workspaceId: string): Identity => ({ kind: 'workspace', workspaceId, tokenId: randomUUID() });
    await waitFor(async () => (await get(randomUUID(), { headers: { 'x-workspace-id': other } })).status === 401);

    const queueId = await queue('m', { identity: as(sender), headers: { 'x-workspace-id': sender } });
    const name = (workspaceId: string) => ({ headers: { 'x-workspace-id': workspaceId } });
    const readers: Call[] = [
      { identity: admin },
      { identity: as(id) },
      { identity: as(id), ...name(id) },
      { identity: as(sender), ...name(sender) },
      { identity: as(sender) },
    ];
    for (const reader of readers) expect((await get(queueId, reader)).json.queue_id).toBe(queueId);

    for (const stranger of [{ identity: as(other), ...name(other) }, { identity: as(other) }]) {
      expect(await get(queueId, stranger)).toMatchObject(NOT_FOUND);
      expect(await cancel(queueId, stranger)).toMatchObject(NOT_FOUND);
    }
    const nobodys: [Call, number, string][] = [
      [{}, 401, 'missing workspace auth token'],
      [{ identity: { kind: 'unknown-token' } }, 401, 'invalid workspace auth token'],
      [name(sender), 401, 'missing caller auth token'],
      [{ identity: as(other), ...name(sender) }, 401, 'invalid caller auth token'],
      [name('system:x'), 403, 'invalid caller ID'],
    ];
    for (const [call, status, error] of nobodys)
      for (const ask of [get, cancel]) expect(await ask(queueId, call)).toMatchObject({ status, json: { error } });

    // Neither below another workspace, nor by an id that is none.
    for (const wrong of [randomUUID(), 'no-id', `${queueId}x`]) expect(await get(wrong)).toMatchObject(NOT_FOUND);
    const elsewhere = path(queueId).replace(id, other);
    expect(await world.send(proxy, elsewhere, 'GET', { identity: as(other) })).toMatchObject(NOT_FOUND);
    expect(await world.send(proxy, elsewhere, 'GET', { identity: as(sender) })).toMatchObject(NOT_FOUND);
    expect((await get(queueId, { identity: as(sender) })).json.state).toBe('queued');
  });

  it('is not there for who names a sender that was removed: it has no token that could be asked for', async ({ world }) => {
    const proxy = await world.proxy();
    const { agent, queue, get, cancel } = await busyWorkspace(world, proxy);
    const sender = await world.workspace(agent);
    const named = { headers: { 'x-workspace-id': sender } };
    const queueId = await queue('m', named);
    expect((await get(queueId, named)).json.caller_id).toBe(sender);

    await world.registry.say(sender, removed);
    await waitFor(async () => (await get(queueId, named)).status === 404, { what: 'the door to close' });
    expect(await get(queueId, named)).toMatchObject(NOT_FOUND);
    expect(await cancel(queueId, named)).toMatchObject(NOT_FOUND);
    expect((await get(queueId)).json.state).toBe('queued');
  });

  it('is gone when its workspace is purged', async ({ world }) => {
    const proxy = await world.proxy();
    const { id, queue, get, path } = await busyWorkspace(world, proxy);
    const queueId = await queue('m');
    await world.registry.say(id, removed, purged);
    await waitFor(async () => (await get(queueId)).status === 404, { what: 'the request to go' });
    expect(await get(queueId)).toMatchObject(NOT_FOUND);
    expect((await world.send(proxy, `${path()}?state=dropped`, 'GET', { identity: admin })).json).toEqual([]);
  });
});

describe('whoever follows a queued request', () => {
  it('may wait until it has ended, whichever replica ends it, and needs not ask again', async ({ world }) => {
    const [proxy, other] = [await world.proxy(), await world.proxy()];
    const { agent, id, queue, get, path } = await busyWorkspace(world, proxy);
    const queueId = await queue('m');
    const following = [
      get(queueId, { identity: admin }, '?wait=60'),
      get(queueId, { identity: admin, headers: { prefer: 'respond-async, wait=60' } }),
      world.send(other, `${path(queueId)}?wait=60`, 'GET', { identity: admin }),
    ];
    agent.behave({ kind: 'echo' });
    world.beat(id);
    for (const answer of await Promise.all(following)) expect(answer.json).toMatchObject({ state: 'completed', attempts: 1 });
    expect((await get(queueId, { identity: admin }, '?wait=60')).json.state).toBe('completed');
  });

  it('is answered with where it is when their time is over, and when the proxy stops', async ({ world }) => {
    const proxy = await world.proxy();
    const { queue, get } = await busyWorkspace(world, proxy);
    const queueId = await queue('m');
    for (const wait of ['0', '0.05'])
      expect((await get(queueId, { identity: admin }, `?wait=${wait}`)).json.state).toBe('queued');
    expect(await get(queueId, { identity: admin }, '?wait=soon')).toMatchObject({
      status: 400,
      text: '{"error":"wait must be a number of seconds"}',
    });
    const following = get(queueId, { identity: admin }, '?wait=60');
    await waitFor(async () => (await world.figure(proxy, 'a2a_mailbox_followers')) === 1);
    await proxy.close();
    expect((await following).json.state).toBe('queued');
  });
});

describe('cancelling', () => {
  it('ends what waits, once, and leaves the rest in order', async ({ world }) => {
    const proxy = await world.proxy();
    const { agent, id, queue, get, cancel } = await busyWorkspace(world, proxy);
    const peer = await world.workspace(agent);
    const asPeer = { headers: { 'x-workspace-id': peer } };
    const [first, second, third] = [await queue('first', asPeer), await queue('second', asPeer), await queue('third')];
    for (let time = 0; time < 2; time++)
      expect(await cancel(first, asPeer)).toMatchObject({
        status: 200,
        text: `{"status":"cancelled","queue_id":"${first}"}`,
      });
    expect(await cancel(third, asPeer)).toMatchObject(NOT_FOUND);
    expect((await get(first)).json).toMatchObject({
      state: 'dropped',
      last_error: 'cancelled',
      completed_at: ISO,
      position: null,
    });
    expect((await get(second)).json.position).toBe(1);
    // Its key is free: the same message may be sent again.
    const again = await queue('first', asPeer);
    expect(again).not.toBe(first);

    agent.behave({ kind: 'echo' });
    world.beat(id);
    await agent.waitForMessages(7);
    expect(agent.messageIds.slice(4)).toEqual(['second', 'third', 'first']);
    expect(await world.settled(proxy, 4)).toMatchObject({ completed: 3, dropped: 1, balanced: true });
    expect((await world.facts(first)).filter((type) => type === 'a2a.dropped')).toHaveLength(1);
  });

  it('is refused for what is being dispatched, and for what has ended', async ({ world }) => {
    const proxy = await world.proxy();
    const { agent, id, queue, cancel, ended } = await busyWorkspace(world, proxy);
    const queueId = await queue('m');
    agent.behave({ kind: 'hang' });
    world.beat(id);
    await agent.waitForCalls(1);
    expect(await cancel(queueId)).toMatchObject({
      status: 409,
      text: '{"error":"queued request is being dispatched","state":"dispatched"}',
    });
    agent.behave({ kind: 'echo' });
    agent.release();
    await ended(queueId);
    expect(await cancel(queueId)).toMatchObject({
      status: 409,
      text: '{"error":"queued request has already ended","state":"ended"}',
    });
    expect(await world.settled(proxy, 1)).toMatchObject({ completed: 1, balanced: true });
  });
});

describe('the list', () => {
  it('shows what is being dispatched, then what is next; and what has ended, the last first', async ({ world }) => {
    const proxy = await world.proxy();
    const { agent, id, queue, path, cancel } = await busyWorkspace(world, proxy);
    const list = async (query = '', call: Call = { identity: admin }) => world.send(proxy, `${path()}${query}`, 'GET', call);
    const listed = async (query = '') =>
      (await list(query)).json.map(({ queue_id, state, position }: Record<string, unknown>) => [queue_id, state, position]);
    expect((await list()).text).toBe('[]');
    const [a, b, c, d] = [await queue('a'), await queue('b'), await queue('c'), await queue('d')];
    agent.behave({ kind: 'hang' });
    world.beat(id);
    await agent.waitForCalls(1);
    for (const queueId of [c, b]) await cancel(queueId);
    const [first, next] = [
      [a, 'dispatched', null],
      [d, 'queued', 1],
    ];
    expect(await listed()).toEqual([first, next]);
    expect(await listed('?limit=1')).toEqual([first]);
    expect(await listed('?state=queued')).toEqual([next]);
    expect(await listed('?state=dispatched')).toEqual([first]);
    expect(await listed('?state=dropped')).toEqual([
      [b, 'dropped', null],
      [c, 'dropped', null],
    ]);
    expect(await list('?state=gone')).toMatchObject({
      status: 400,
      text: `{"error":"state must be 'queued', 'dispatched', 'completed', 'failed' or 'dropped'"}`,
    });
    expect(await list('', {})).toMatchObject({ status: 401, text: '{"error":"missing workspace auth token"}' });
    agent.release();
  });
});

describe('an operator', () => {
  it('sees which mailboxes hold something, and cancels what waits in any', async ({ world }) => {
    const proxy = await world.proxy();
    const { agent, id, queue } = await busyWorkspace(world, proxy);
    const other = await world.workspace(agent, { name: 'borealis' });
    const ask = (method: 'GET' | 'DELETE', path = '', identity: Identity = admin) =>
      world.send(proxy, `/admin/a2a-queue${path}`, method, { identity });
    expect((await ask('GET')).text).toBe('[]');
    const item = (await world.call(proxy, other)).json.queue_id;
    for (const text of ['a', 'b']) await queue(text);
    const [full, small] = (await ask('GET')).json;
    expect(full).toEqual({ workspace_id: id, name: expect.any(String), queued: 2, dispatched: 0, oldest_enqueued_at: ISO });
    expect(small).toEqual({ workspace_id: other, name: 'borealis', queued: 1, dispatched: 0, oldest_enqueued_at: ISO });
    expect((await ask('GET', '?limit=1')).json).toEqual([full]);

    for (let time = 0; time < 2; time++)
      expect(await ask('DELETE', `/${item}`)).toMatchObject({
        status: 200,
        text: `{"status":"cancelled","queue_id":"${item}","workspace_id":"${other}"}`,
      });
    for (const nothing of [randomUUID(), 'no-id']) expect(await ask('DELETE', `/${nothing}`)).toMatchObject(NOT_FOUND);
    expect((await ask('GET')).json).toEqual([full]);
    for (const method of ['GET', 'DELETE'] as const)
      expect(await ask(method, method === 'GET' ? '' : `/${item}`, { kind: 'anonymous' })).toMatchObject({ status: 401 });
  });
});
