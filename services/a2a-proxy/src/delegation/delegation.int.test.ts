/** Delegations over HTTP (spec 2 §3): what is answered, what is shown, and what becomes of them. */
import { randomUUID } from 'node:crypto';
import { purged, removed, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { admin, it, message, type Running, type World } from '../testing/world.ts';

type Proxy = Pick<Running, 'url'>;
const post = (world: World, proxy: Proxy, path: string, body: unknown) =>
  world.send(proxy, path, 'POST', { identity: admin, body: typeof body === 'string' ? body : JSON.stringify(body) });
const delegate = (world: World, proxy: Proxy, from: string, body: unknown) =>
  post(world, proxy, `/workspaces/${from}/delegate`, body);
const listed = async (world: World, proxy: Proxy, id: string) =>
  (await world.send(proxy, `/workspaces/${id}/delegations`, 'GET', { identity: admin })).json;
/** The list, once its newest entry has that status. */
const until = (world: World, proxy: Proxy, id: string, status: string) =>
  waitFor(
    async () => {
      const entries = await listed(world, proxy, id);
      return entries[0]?.status === status ? entries : false;
    },
    { what: `a delegation that is ${status}`, timeoutMs: 20_000 },
  );
const factsOf = async (world: World, trackingId: string) => {
  const { rows } = await world.database.query<{ type: string; data: Record<string, unknown> }>(
    'select type, data from events where stream = $1 order by version',
    [`delegation.${trackingId}`],
  );
  return rows;
};
const typesOf = async (world: World, trackingId: string) => (await factsOf(world, trackingId)).map(({ type }) => type);
const STAMP = expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);

/** Two workspaces that may talk to each other. */
const pair = async (world: World, behaviour: 'echo' | 'reset' = 'echo') => {
  const proxy = await world.proxy();
  const agent = await world.agent({ behaviour: { kind: behaviour } });
  const [from, to] = [await world.workspace(agent), await world.workspace(agent)];
  return { proxy, agent, from, to };
};

describe('POST /workspaces/:id/delegate', () => {
  it('has the task done, and keeps a row of the request and one of the result', async ({ world }) => {
    const { proxy, agent, from, to } = await pair(world);
    const task = `do it ${'é'.repeat(200)}`;
    const accepted = await delegate(world, proxy, from, { target_id: to, task });
    const id = accepted.json.delegation_id;
    expect([accepted.status, accepted.text]).toEqual([202, `{"delegation_id":"${id}","status":"delegated","target_id":"${to}"}`]);
    await until(world, proxy, from, 'completed');
    expect(JSON.parse(agent.received[0]?.body ?? '')).toEqual({
      jsonrpc: '2.0',
      id: expect.any(String),
      method: 'message/send',
      params: {
        message: {
          role: 'user',
          messageId: id,
          parts: [{ type: 'text', text: task }],
          metadata: { delegation_id: id },
        },
      },
    });
    const rows = await world.activity(proxy, from, '?type=delegation&source=agent');
    const reply = expect.any(String);
    const base = { workspace_id: from, activity_type: 'delegation', source_id: from, target_id: to, duration_ms: null };
    expect(rows).toEqual([
      {
        ...base,
        id: expect.any(String),
        method: 'delegate_result',
        summary: expect.stringMatching(/^Delegation completed \(.*\.\.\.\)$/),
        status: 'completed',
        error_detail: null,
        created_at: STAMP,
        response_body: { text: reply, delegation_id: id },
      },
      {
        ...base,
        id,
        method: 'delegate',
        summary: `Delegating to ${to}`,
        status: 'completed',
        error_detail: null,
        created_at: STAMP,
        request_body: { task, delegation_id: id },
      },
    ]);
    const [sent, dispatched, completed, ...rest] = await factsOf(world, id);
    expect(rest).toEqual([]);
    const about = { trackingId: id, delegationId: id, workspaceId: from, targetId: to };
    // 100 bytes end within a character.
    expect(sent).toEqual({
      type: 'delegation.sent',
      data: { ...about, by: 'platform', taskPreview: `do it ${'é'.repeat(47)}...` },
    });
    expect(dispatched?.type).toBe('delegation.dispatched');
    expect(completed).toMatchObject({ type: 'delegation.completed', data: { ...about, via: 'direct' } });
    // The call itself is an ordinary row of the target.
    expect(await world.rows(proxy, to)).toMatchObject([{ source_id: from, method: 'message/send', status: 'ok' }]);
    expect(world.said(from, 'ACTIVITY_LOGGED')).toEqual([]);
  });

  it('says what is wrong', async ({ world }) => {
    const { proxy, from, to } = await pair(world);
    const refusals: [unknown, string][] = [
      ['no json', '{"error":"invalid delegation request"}'],
      [{ target_id: to }, '{"error":"invalid delegation request"}'],
      [{ target_id: '', task: 't' }, '{"error":"invalid delegation request"}'],
      [{ target_id: to, task: 7 }, '{"error":"invalid delegation request"}'],
      [{ target_id: 'x', task: 't' }, '{"error":"target_id must be a valid UUID"}'],
      [{ target_id: from.toUpperCase(), task: 't' }, '{"error":"self-delegation not permitted"}'],
    ];
    for (const [body, text] of refusals) {
      const answer = await delegate(world, proxy, from, body);
      expect([answer.status, answer.text]).toEqual([400, text]);
    }
    expect(await listed(world, proxy, from)).toEqual([]);
    const refused = await world.send(proxy, `/workspaces/${from}/delegate`, 'POST', {
      identity: { kind: 'unknown-token' },
      body: JSON.stringify({ target_id: to, task: 't' }),
    });
    expect([refused.status, refused.text]).toEqual([401, '{"error":"invalid workspace auth token"}']);
  });

  it('fails as the call does: without a result id, and with the error on the request', async ({ world }) => {
    const { proxy, from } = await pair(world);
    const nobody = randomUUID();
    const { json } = await delegate(world, proxy, from, { target_id: nobody, task: 't' });
    const error = 'access denied: workspaces cannot communicate per hierarchy rules';
    const base = { type: 'delegation', source_id: from, target_id: nobody, status: 'failed', created_at: STAMP, error };
    expect(await until(world, proxy, from, 'failed')).toEqual([
      { ...base, id: expect.any(String), summary: 'Delegation failed' },
      { ...base, id: json.delegation_id, summary: `Delegating to ${nobody}`, delegation_id: json.delegation_id },
    ]);
    expect((await factsOf(world, json.delegation_id)).at(-1)).toMatchObject({
      type: 'delegation.failed',
      data: { error, via: 'direct' },
    });
  });

  it('with a key begins once, and again only if it failed', async ({ world }) => {
    const { proxy, agent, from, to } = await pair(world);
    const asked = { target_id: to, task: 't', idempotency_key: 'k' };
    const together = await Promise.all(Array.from({ length: 8 }, () => delegate(world, proxy, from, asked)));
    const won = together.filter(({ status }) => status === 202);
    expect(won).toHaveLength(1);
    const id = won[0]?.json.delegation_id;
    for (const { status, json } of together)
      if (status !== 202)
        expect([status, json]).toEqual([
          200,
          {
            delegation_id: id,
            status: expect.stringMatching(/pending|dispatched|completed/),
            target_id: to,
            idempotent_hit: true,
          },
        ]);
    await until(world, proxy, from, 'completed');
    const hit = await delegate(world, proxy, from, { ...asked, task: 'another' });
    expect([hit.status, hit.text]).toEqual([
      200,
      `{"delegation_id":"${id}","status":"completed","target_id":"${to}","idempotent_hit":true}`,
    ]);
    expect(agent.received).toHaveLength(1);
    // The key of one workspace is none of another's.
    expect((await delegate(world, proxy, to, { ...asked, target_id: from })).status).toBe(202);

    const nobody = { ...asked, target_id: randomUUID(), idempotency_key: 'fails' };
    const first = await delegate(world, proxy, from, nobody);
    await until(world, proxy, from, 'failed');
    const again = await delegate(world, proxy, from, nobody);
    expect(again.status).toBe(202);
    expect(again.json.delegation_id).not.toBe(first.json.delegation_id);
    const entries = await until(world, proxy, from, 'failed');
    const ids = entries.map((entry: { id: string }) => entry.id);
    expect(ids).toContain(again.json.delegation_id);
    expect(ids).not.toContain(first.json.delegation_id);
  });

  it('is made also where nothing can be kept of it', async ({ world }) => {
    const { proxy, to } = await pair(world);
    for (const from of [randomUUID(), 'nobody']) {
      const answer = await delegate(world, proxy, from, { target_id: to, task: 't' });
      expect([answer.status, answer.text]).toEqual([
        202,
        `{"delegation_id":"${answer.json.delegation_id}","status":"delegated","target_id":"${to}","warning":"delegation dispatched but status tracking unavailable"}`,
      ]);
    }
    expect(await listed(world, proxy, randomUUID())).toEqual([]);
    const { rows } = await world.database.query("select 1 from events where type like 'delegation.%'");
    expect(rows).toEqual([]);
  });

  it('lets no more run at once than may, and no more wait than may', async ({ world }) => {
    const proxy = await world.proxy({ A2A_DELEGATIONS_AT_ONCE: '2', A2A_DELEGATIONS_LIMIT: '3' });
    const agent = await world.agent({ behaviour: { kind: 'hang' } });
    const [from, to] = [await world.workspace(agent), await world.workspace(agent)];
    const ask = (task: string) => delegate(world, proxy, from, { target_id: to, task });
    for (const task of ['1', '2']) expect((await ask(task)).status).toBe(202);
    await agent.waitForCalls(2);
    for (const task of ['3', '4', '5']) expect((await ask(task)).status).toBe(202);
    const full = await ask('6');
    expect([full.status, full.headers['retry-after'], full.text]).toEqual([
      429,
      '30',
      '{"error":"too many delegations of this workspace wait to be begun — retry later","retry_after":30}',
    ]);
    agent.behave({ kind: 'echo' });
    agent.release();
    await agent.waitForMessages(5);
    await waitFor(
      async () =>
        (await listed(world, proxy, from)).filter((row: { status: string }) => row.status === 'completed').length === 10,
    );
    expect(await world.figure(proxy, 'a2a_delegations_total{outcome="completed"}')).toBe(5);
    expect(agent.mostAtOnce).toBe(2);
  });

  it('is not begun any more once the delegating workspace is removed', async ({ world }) => {
    const proxy = await world.proxy({ A2A_DELEGATIONS_AT_ONCE: '1' });
    const agent = await world.agent({ behaviour: { kind: 'hang' } });
    const [from, to] = [await world.workspace(agent), await world.workspace(agent)];
    await delegate(world, proxy, from, { target_id: to, task: 'in flight' });
    await agent.waitForCalls(1);
    const { json: late } = await delegate(world, proxy, from, { target_id: to, task: 'late' });
    await world.registry.say(from, removed);
    const error = 'access denied: workspaces cannot communicate per hierarchy rules';
    agent.behave({ kind: 'echo' });
    // Nor does it call anybody itself: nobody knows a token of it any more.
    await waitFor(async () => (await world.call(proxy, to, { headers: { 'x-workspace-id': from } })).json.error === error);
    const sentByThen = agent.received.filter(({ text }) => text === 'late');
    agent.release();
    await waitFor(async () => (await factsOf(world, late.delegation_id)).at(-1)?.data['error'] === error);
    expect(sentByThen).toEqual([]);
    expect(agent.received.filter(({ text }) => text === 'late')).toEqual([]);
  });
});

describe('a delegation to a busy agent', () => {
  it('is queued, and completed when the message is', async ({ world }) => {
    const { proxy, agent, from, to } = await pair(world, 'reset');
    const { json } = await delegate(world, proxy, from, { target_id: to, task: 'later', idempotency_key: 'k' });
    const id = json.delegation_id;
    const base = { type: 'delegation', source_id: from, target_id: to, delegation_id: id, created_at: STAMP };
    expect(await until(world, proxy, from, 'queued')).toEqual([
      {
        ...base,
        id: expect.any(String),
        summary: 'Delegation queued — target at capacity',
        status: 'queued',
        response_preview: `{"delegation_id":"${id}","queued":true}`,
      },
      { ...base, id, summary: `Delegating to ${to}`, status: 'queued' },
    ]);
    agent.behave({ kind: 'echo' });
    world.beat(to);
    const entries = await until(world, proxy, from, 'completed');
    expect(entries).toMatchObject([
      { status: 'completed', delegation_id: id },
      { status: 'completed', id },
    ]);
    expect(await typesOf(world, id)).toEqual([
      'delegation.sent',
      'delegation.dispatched',
      'delegation.queued',
      'delegation.completed',
    ]);
    expect((await factsOf(world, id)).at(-1)?.data).toMatchObject({ via: 'queue_drain' });
    expect((await delegate(world, proxy, from, { target_id: to, task: 'later', idempotency_key: 'k' })).json).toEqual({
      delegation_id: id,
      status: 'completed',
      target_id: to,
      idempotent_hit: true,
    });
  });

  it('fails when the mailbox gives up, and when the message is dropped', async ({ world }) => {
    const { proxy, agent, from, to } = await pair(world, 'reset');
    const { json: poison } = await delegate(world, proxy, from, { target_id: to, task: 'poison' });
    await until(world, proxy, from, 'queued');
    agent.behave({ kind: 'status', status: 500, body: '{"error":"cannot"}' });
    for (let attempt = 1; attempt <= 5; attempt++) {
      world.beat(to);
      await agent.waitForMessages(1 + attempt);
      await waitFor(
        async () => (await world.database.query("select 1 from mailbox where status = 'dispatched'")).rows.length === 0,
      );
    }
    expect(await until(world, proxy, from, 'failed')).toMatchObject([
      { error: 'cannot' },
      { id: poison.delegation_id, error: 'cannot' },
    ]);
    agent.behave({ kind: 'reset' });
    const { json: dropped } = await delegate(world, proxy, from, { target_id: to, task: 'dropped' });
    await until(world, proxy, from, 'queued');
    await world.registry.say(to, removed);
    expect((await until(world, proxy, from, 'failed')).slice(0, 2)).toMatchObject([
      { error: 'dropped from the mailbox: workspace-removed' },
      { id: dropped.delegation_id },
    ]);
    for (const { delegation_id } of [poison, dropped])
      expect((await factsOf(world, delegation_id)).at(-1)).toMatchObject({
        type: 'delegation.failed',
        data: { via: 'queue_drain' },
      });
  });

  it('is completed also when the message ends before anybody wrote down that it waits', async ({ world }) => {
    const { proxy, agent, from, to } = await pair(world, 'reset');
    const { json } = await delegate(world, proxy, from, { target_id: to, task: 'quick' });
    await until(world, proxy, from, 'queued');
    const id = json.delegation_id;
    // As if the process had stopped between the two: what the delegation says of the wait is gone, and its message ends.
    await world.database.query("delete from events where stream = $1 and type = 'delegation.queued'", [`delegation.${id}`]);
    await world.database.query("update delegations set status = 'dispatched' where tracking_id = $1", [id]);
    await proxy.close();
    const next = await world.proxy();
    agent.behave({ kind: 'echo' });
    world.beat(to);
    expect(await until(world, next, from, 'completed')).toMatchObject([{ delegation_id: id, status: 'completed' }, { id }]);
    expect((await factsOf(world, id)).at(-1)).toMatchObject({ type: 'delegation.completed', data: { via: 'queue_drain' } });
  });
});

describe('a delegation that an agent carries out itself', () => {
  it('is recorded, and ends as the agent says', async ({ world }) => {
    const { proxy, from, to } = await pair(world);
    const recorded = await post(world, proxy, `/workspaces/${from}/delegations/record`, {
      target_id: to,
      task: 'mine',
      delegation_id: 'task-1',
    });
    expect([recorded.status, recorded.text]).toEqual([202, '{"delegation_id":"task-1","status":"recorded"}']);
    const base = { type: 'delegation', source_id: from, created_at: STAMP, id: expect.any(String), delegation_id: 'task-1' };
    const request = { ...base, target_id: to, summary: `Delegating to ${to}` };
    expect(await listed(world, proxy, from)).toEqual([{ ...request, status: 'dispatched' }]);
    const update = (body: unknown, id = 'task-1') => post(world, proxy, `/workspaces/${from}/delegations/${id}/update`, body);
    const answer = await update({ status: 'completed', response_preview: 'done', error: 'but slowly' });
    expect([answer.status, answer.text]).toEqual([200, '{"status":"completed","delegation_id":"task-1"}']);
    const both = [
      { ...base, target_id: '', summary: 'Delegation completed (done)', status: 'completed', response_preview: 'done' },
      { ...request, status: 'completed', error: 'but slowly' },
    ];
    expect(await listed(world, proxy, from)).toEqual(both);
    // It has ended: what is told later changes nothing.
    expect((await update({ status: 'failed', error: 'no' })).status).toBe(200);
    expect(await listed(world, proxy, from)).toEqual(both);

    await post(world, proxy, `/workspaces/${from}/delegations/record`, { target_id: to, task: 't', delegation_id: 'task-2' });
    const failed = await update({ status: 'failed', error: 'no luck' }, 'task-2');
    expect([failed.status, failed.text]).toEqual([200, '{"status":"failed","delegation_id":"task-2"}']);
    expect((await listed(world, proxy, from))[0]).toEqual({
      ...request,
      delegation_id: 'task-2',
      status: 'failed',
      error: 'no luck',
    });
    const { rows } = await world.database.query(
      "select data -> 'via' as via, type from events where type ~ 'delegation.(completed|failed)' order by position",
    );
    expect(rows).toEqual([
      { via: 'agent', type: 'delegation.completed' },
      { via: 'agent', type: 'delegation.failed' },
    ]);
  });

  it('is heard of although nobody told of its beginning, once', async ({ world }) => {
    const { proxy, from } = await pair(world);
    for (let time = 0; time < 2; time++) {
      const answer = await post(world, proxy, `/workspaces/${from}/delegations/unheard%20of/update`, {
        status: 'completed',
        response_preview: 'r',
      });
      expect([answer.status, answer.text]).toEqual([200, '{"status":"completed","delegation_id":"unheard of"}']);
    }
    expect(await listed(world, proxy, from)).toMatchObject([
      { status: 'completed', response_preview: 'r', delegation_id: 'unheard of' },
    ]);
    const unknown = randomUUID();
    const answer = await post(world, proxy, `/workspaces/${unknown}/delegations/x/update`, { status: 'failed' });
    expect([answer.status, answer.text]).toEqual([200, '{"status":"failed","delegation_id":"x"}']);
    expect(await listed(world, proxy, unknown)).toEqual([]);
  });

  it('says what is wrong', async ({ world }) => {
    const { proxy, from, to } = await pair(world);
    const record = { target_id: to, task: 't', delegation_id: 'd' };
    const refusals: [string, unknown, number, string][] = [
      ['record', {}, 400, 'invalid request body'],
      ['record', { ...record, delegation_id: '' }, 400, 'invalid request body'],
      ['record', { ...record, target_id: 'x' }, 400, 'target_id must be a valid UUID'],
      ['d/update', 'no json', 400, 'invalid request body'],
      ['d/update', {}, 400, 'invalid request body'],
      ['d/update', { status: 'queued' }, 400, "status must be 'completed' or 'failed'"],
      ['d/update', { status: 'failed', error: 7 }, 400, 'invalid request body'],
    ];
    for (const [path, body, status, error] of refusals) {
      const answer = await post(world, proxy, `/workspaces/${from}/delegations/${path}`, body);
      expect([answer.status, answer.text]).toEqual([status, JSON.stringify({ error })]);
    }
    for (const id of [randomUUID(), 'nobody']) {
      const answer = await post(world, proxy, `/workspaces/${id}/delegations/record`, record);
      expect([answer.status, answer.text]).toEqual([500, '{"error":"failed to record delegation"}']);
    }
    const nobody = await world.send(proxy, '/workspaces/nobody/delegations', 'GET', { identity: admin });
    expect([nobody.status, nobody.text]).toEqual([500, '{"error":"query failed"}']);
  });

  it('is completed by its message that waited, in either order', async ({ world }) => {
    const { proxy, agent, from, to } = await pair(world, 'reset');
    const send = (id: string) =>
      world.call(proxy, to, {
        headers: { 'x-workspace-id': from },
        body: message('t', id).replace('"role":"user"', `"role":"user","metadata":{"delegation_id":"${id}"}`),
      });
    const record = (id: string) =>
      post(world, proxy, `/workspaces/${from}/delegations/record`, { target_id: to, task: 't', delegation_id: id });
    await record('told before');
    expect((await send('told before')).status).toBe(202);
    expect((await send('told after')).status).toBe(202);
    agent.behave({ kind: 'echo' });
    world.beat(to);
    const before = await until(world, proxy, from, 'completed');
    expect(before).toMatchObject([{ delegation_id: 'told before', target_id: to }, { delegation_id: 'told before' }]);
    await waitFor(async () => (await world.database.query('select 1 from delegation_waits where not handled')).rows.length === 0);
    await record('told after');
    await waitFor(async () => (await listed(world, proxy, from))[0]?.status === 'completed', { timeoutMs: 10_000 });
    expect((await listed(world, proxy, from)).map((row: { delegation_id: string }) => row.delegation_id)).toEqual([
      'told after',
      'told after',
      'told before',
      'told before',
    ]);
    // What no index can hold is no id of a delegation: its message waits like any other.
    const long = Array.from({ length: 1_000 }, (_, n) => String.fromCodePoint(0x4e00 + ((n * 7_919) % 20_000))).join('');
    expect((await record(long)).status).toBe(400);
    agent.behave({ kind: 'reset' });
    expect((await send(long)).status).toBe(202);
    agent.behave({ kind: 'echo' });
    world.beat(to);
    await waitFor(
      async () => (await world.database.query("select 1 from mailbox where status <> 'completed'")).rows.length === 0,
    );
    // Nobody else's message ends it.
    await record('of another');
    agent.behave({ kind: 'reset' });
    const other = await world.workspace(agent);
    await world.call(proxy, to, {
      headers: { 'x-workspace-id': other },
      body: message('t', 'o').replace('"role":"user"', '"role":"user","metadata":{"delegation_id":"of another"}'),
    });
    agent.behave({ kind: 'echo' });
    world.beat(to);
    await waitFor(async () => (await world.database.query('select 1 from delegation_waits where not handled')).rows.length === 0);
    expect((await listed(world, proxy, from))[0]).toMatchObject({ delegation_id: 'of another', status: 'dispatched' });
  });
});

describe('what is kept', () => {
  it('is the same when it is rebuilt, and gone with its workspace', async ({ world }) => {
    const { proxy, agent, from, to } = await pair(world);
    await delegate(world, proxy, from, { target_id: to, task: 'a', idempotency_key: 'k' });
    await until(world, proxy, from, 'completed');
    agent.behave({ kind: 'reset' });
    await delegate(world, proxy, from, { target_id: to, task: 'b' });
    await until(world, proxy, from, 'queued');
    await post(world, proxy, `/workspaces/${from}/delegations/odd/update`, { status: 'failed', error: 'e' });
    const report = await proxy.service.rebuild?.(true);
    expect(report?.projections.find(({ table }) => table === 'delegations')).toMatchObject({
      rows: 3,
      missing: 0,
      unexpected: 0,
    });
    await world.registry.say(from, removed, purged);
    const kept = async () => {
      const { rows } = await world.database.query(
        `select workspace_id from activity where activity_type = 'delegation'
         union all select workspace_id from delegation_tasks union all select workspace_id from delegation_waits`,
      );
      return rows;
    };
    await waitFor(async () => (await kept()).length === 0, { what: 'the rows to go' });
    // What ends after that leaves no row either.
    agent.behave({ kind: 'echo' });
    world.beat(to);
    await agent.waitForMessages(3);
    await world.settled(proxy, 2);
    expect(await kept()).toEqual([]);
  });
});
