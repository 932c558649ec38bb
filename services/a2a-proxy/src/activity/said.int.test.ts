import { randomUUID } from 'node:crypto';
import { purged, removed, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { admin, anonymous, it, message, type Running, type World } from '../testing/world.ts';

const post = (world: World, proxy: Running, path: string, body: unknown, identity = admin) =>
  world.send(proxy, path, 'POST', { identity, body: typeof body === 'string' ? body : JSON.stringify(body) });
const get = async (world: World, proxy: Running, path: string) =>
  (await world.send(proxy, path, 'GET', { identity: admin })).json;

describe('POST /workspaces/:id/activity', () => {
  it('keeps what an agent logs, and tells of it', async ({ world }) => {
    const proxy = await world.proxy();
    const id = await world.registry.create();
    const target = randomUUID();
    const logged = {
      activity_type: 'a2a_send',
      method: 'message/send',
      summary: 'asked',
      target_id: target,
      source_id: id,
      status: 'timeout',
      error_detail: 'late',
      duration_ms: 12,
      metadata: { a: [1] },
      response_body: 'text',
    };
    const answer = await post(world, proxy, `/workspaces/${id}/activity`, logged);
    expect([answer.status, answer.text]).toEqual([200, '{"status":"logged"}']);
    const [row] = await world.activity(proxy, id);
    expect(row).toEqual({
      id: expect.any(String),
      workspace_id: id,
      activity_type: 'a2a_send',
      source_id: id,
      target_id: target,
      method: 'message/send',
      summary: 'asked',
      duration_ms: 12,
      status: 'timeout',
      error_detail: 'late',
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/),
      request_body: { a: [1] },
      response_body: 'text',
    });
    await waitFor(() => world.said(id, 'ACTIVITY_LOGGED').length === 1, { what: 'the event' });
    expect(world.said(id, 'ACTIVITY_LOGGED')[0]?.payload).toEqual({
      activity_type: 'a2a_send',
      method: 'message/send',
      summary: 'asked',
      status: 'timeout',
      source_id: id,
      target_id: target,
      duration_ms: 12,
    });
  });

  it('refuses what is none, in order', async ({ world }) => {
    const proxy = await world.proxy();
    const id = await world.registry.create();
    const invalidType =
      'invalid activity_type, must be one of: a2a_send, a2a_receive, task_update, agent_log, skill_promotion, memory_write, error';
    const missing = '{"error":"invalid request body","details":"ActivityType is required"}';
    const cases: [unknown, number, string][] = [
      ['{', 400, '{"error":"invalid request body"}'],
      ['', 400, '{"error":"invalid request body"}'],
      [{ activity_type: 7 }, 400, '{"error":"invalid request body"}'],
      [{ activity_type: 'error', duration_ms: 'long' }, 400, '{"error":"invalid request body"}'],
      [{}, 400, missing],
      [{ activity_type: '' }, 400, missing],
      [{ activity_type: 'delegation', source_id: randomUUID() }, 400, JSON.stringify({ error: invalidType })],
      [{ activity_type: 'error', source_id: randomUUID() }, 403, '{"error":"source_id must match authenticated workspace"}'],
    ];
    for (const [body, status, text] of cases) {
      const answer = await post(world, proxy, `/workspaces/${id}/activity`, body);
      expect([body, answer.status, answer.text]).toEqual([body, status, text]);
    }
    expect((await post(world, proxy, `/workspaces/${id}/activity`, {}, anonymous)).status).toBe(401);
    expect(await world.activity(proxy, id)).toEqual([]);
  });

  it('answers for what cannot be kept as for what was', async ({ world }) => {
    const proxy = await world.proxy();
    const id = await world.registry.create();
    for (const [path, body] of [
      [randomUUID(), { activity_type: 'error' }],
      ['no-id', { activity_type: 'error' }],
      [id, { activity_type: 'error', target_id: 'somebody' }],
    ] as const) {
      const answer = await post(world, proxy, `/workspaces/${path}/activity`, body);
      expect([answer.status, answer.text]).toEqual([200, '{"status":"logged"}']);
    }
    expect((await world.database.query('select from activity')).rowCount).toBe(0);
  });
});

describe('POST /workspaces/:id/notify', () => {
  it('shows a message with its files, and keeps what rebuilds both', async ({ world }) => {
    const proxy = await world.proxy();
    const id = await world.registry.create({ name: 'Ann' });
    const files = [
      { uri: 'workspace:/workspace/a b.txt', name: 'a b.txt', mimeType: 'text/plain', size: 3, type: 'ignored' },
      { uri: 'workspace:/x', name: 'x', size: 0 },
    ];
    const message = `${'ü'.repeat(40)}!`;
    const answer = await post(world, proxy, `/workspaces/${id}/notify`, { message, attachments: files });
    expect([answer.status, answer.text]).toEqual([200, '{"status":"sent"}']);
    const shown = [
      { uri: files[0]?.uri, name: 'a b.txt', mimeType: 'text/plain', size: 3 },
      { uri: 'workspace:/x', name: 'x' },
    ];
    await waitFor(() => world.said(id, 'AGENT_MESSAGE').length === 1, { what: 'the message' });
    expect(world.said(id, 'AGENT_MESSAGE')[0]?.payload).toEqual({
      message,
      workspace_id: id,
      name: 'Ann',
      attachments: shown,
    });
    const [row] = await world.activity(proxy, id, '?type=a2a_receive&source=canvas&limit=50');
    expect(row).toMatchObject({
      method: 'notify',
      summary: `Agent message: ${'ü'.repeat(40)}…`,
      source_id: null,
      target_id: null,
      duration_ms: null,
      status: 'ok',
      response_body: { result: message, parts: shown.map((file) => ({ kind: 'file', file })) },
    });
    expect(row).not.toHaveProperty('request_body');

    await post(world, proxy, `/workspaces/${id}/notify`, { message: 'bare', attachments: [] });
    const [bare] = await world.activity(proxy, id);
    expect(bare?.response_body).toEqual({ result: 'bare' });
    await waitFor(() => world.said(id, 'AGENT_MESSAGE').length === 2, { what: 'the second message' });
    expect(world.said(id, 'AGENT_MESSAGE')[1]?.payload).toEqual({ message: 'bare', workspace_id: id, name: 'Ann' });
    expect(world.said(id, 'ACTIVITY_LOGGED')).toEqual([]);
  });

  it('refuses the whole of what is wrong', async ({ world }) => {
    const proxy = await world.proxy();
    const id = await world.registry.create();
    const required = '{"error":"message is required"}';
    const cases: [string, unknown, number, string][] = [
      [id, '{', 400, required],
      [id, {}, 400, required],
      [id, { message: '' }, 400, required],
      [id, { message: 7 }, 400, required],
      [id, { message: 'm', attachments: 'a' }, 400, required],
      [
        id,
        { message: 'm', attachments: [{ uri: 'u', name: 'n' }, { uri: 'u' }] },
        400,
        '{"error":"attachment[1]: uri and name are required"}',
      ],
      [randomUUID(), { message: 'm' }, 404, '{"error":"workspace not found"}'],
      ['no-id', { message: 'm' }, 404, '{"error":"workspace not found"}'],
    ];
    for (const [path, body, status, text] of cases) {
      const answer = await post(world, proxy, `/workspaces/${path}/notify`, body);
      expect([body, answer.status, answer.text]).toEqual([body, status, text]);
    }
    await world.registry.say(id, { type: 'workspace.removed', data: { from: 'online' } });
    await waitFor(async () => (await post(world, proxy, `/workspaces/${id}/notify`, { message: 'm' })).status === 404, {
      what: 'the removal to be known',
    });
    expect(world.said(id, 'AGENT_MESSAGE').length).toBeLessThanOrEqual(1);
  });
});

describe('GET /workspaces/:id/session-search', () => {
  it('finds in texts, labels, methods, states and bodies, in any case, newest first, memories among them', async ({ world }) => {
    const proxy = await world.proxy();
    const [id, other] = [await world.registry.create(), await world.registry.create()];
    const logged = [
      { activity_type: 'agent_log', summary: 'Built the ROCKET' },
      { activity_type: 'task_update', method: 'tasks/rocket', status: 'done' },
      { activity_type: 'error', summary: '100% sure', request_body: { about: 'rocket fuel' } },
    ];
    for (const body of logged) await post(world, proxy, `/workspaces/${id}/activity`, body);
    await post(world, proxy, `/workspaces/${other}/activity`, { activity_type: 'agent_log', summary: 'rocket of another' });
    world.registry.memories.push({
      id: 'm1',
      workspaceId: id,
      content: 'rockets fly',
      scope: 'LOCAL',
      createdAt: '2020-01-01T00:00:00.000Z',
    });
    const search = (query: string) => get(world, proxy, `/workspaces/${id}/session-search${query}`);
    const found = await search('?q=%20rocket%20');
    expect(found).toEqual([
      {
        kind: 'activity',
        id: expect.any(String),
        workspace_id: id,
        label: 'error',
        content: '100% sure',
        method: '',
        status: 'ok',
        created_at: expect.any(String),
        request_body: { about: 'rocket fuel' },
      },
      expect.objectContaining({ label: 'task_update', method: 'tasks/rocket', status: 'done', content: '' }),
      expect.objectContaining({ label: 'agent_log', content: 'Built the ROCKET' }),
      {
        kind: 'memory',
        id: 'm1',
        workspace_id: id,
        label: 'LOCAL',
        content: 'rockets fly',
        method: '',
        status: '',
        created_at: '2020-01-01T00:00:00.000Z',
      },
    ]);
    expect(await search('')).toHaveLength(4);
    expect(await search('?limit=2')).toEqual(found.slice(0, 2));
    expect(await search('?limit=x&q=0%25')).toEqual([found[0]]);
    expect(await search('?q=_ocket')).toEqual([]);
    expect(await search('?q=TASK_')).toEqual([found[1]]);
    expect(await get(world, proxy, '/workspaces/no-id/session-search')).toEqual({ error: 'session search failed' });
  });
});

describe('GET /workspaces/:id/metrics', () => {
  it('adds up what replies of today say that they took, whatever their status', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent);
    const today = new Date().toISOString().slice(0, 10);
    const metrics = () => get(world, proxy, `/workspaces/${id}/metrics`);
    expect(await metrics()).toEqual({
      input_tokens: 0,
      output_tokens: 0,
      total_calls: 0,
      estimated_cost_usd: '0.000000',
      period_start: `${today}T00:00:00Z`,
      period_end: expect.stringMatching(/T00:00:00Z$/),
    });
    const usage = (input: unknown, output: unknown) => ({ usage: { input_tokens: input, output_tokens: output } });
    const bodies = [
      { status: 200, body: { result: usage(100, 10) } },
      { status: 500, body: usage(1, 1) },
      { status: 200, body: { result: usage('many', 1) } },
      { status: 200, body: { result: usage(0, 0) } },
    ];
    for (const { status, body } of bodies) {
      agent.behave({ kind: 'status', status, body: JSON.stringify(body) });
      await world.call(proxy, id, { body: message('m') });
    }
    const counted = { input_tokens: 101, output_tokens: 11, total_calls: 2, estimated_cost_usd: '0.000468' };
    await waitFor(async () => (await metrics()).total_calls === 2, { what: 'two calls to be counted' });
    expect(await metrics()).toMatchObject(counted);
  });

  it('says what is not there', async ({ world }) => {
    const proxy = await world.proxy();
    const unknown = await world.send(proxy, `/workspaces/${randomUUID()}/metrics`, 'GET', { identity: admin });
    expect([unknown.status, unknown.text]).toEqual([404, '{"error":"workspace not found"}']);
    const forgotten = await world.registry.create();
    await world.registry.say(forgotten, removed, purged);
    await world.known();
    const gone = await world.send(proxy, `/workspaces/${forgotten}/metrics`, 'GET', { identity: admin });
    expect(gone).toMatchObject({ status: 404, text: '{"error":"workspace not found"}' });
    const none = await world.send(proxy, '/workspaces/no-id/metrics', 'GET', { identity: admin });
    expect([none.status, none.text]).toEqual([500, '{"error":"failed to verify workspace"}']);
  });
});

describe('what was used', () => {
  it('is counted once, although the answer of the database was lost', async ({ world }) => {
    await world.proxy();
    const { addUsage } = await import('../usage/store.ts');
    const { UsageSum } = await import('../usage/usage.ts');
    const sum = new UsageSum();
    const id = randomUUID();
    sum.add(id, { inputTokens: 1, outputTokens: 2 }, new Date());
    const portion = randomUUID();
    for (let time = 0; time < 3; time++) await addUsage(world.database, portion, sum);
    await addUsage(world.database, randomUUID(), sum);
    const { rows } = await world.database.query('select input_tokens, output_tokens, call_count from token_usage');
    expect(rows).toEqual([{ input_tokens: '2', output_tokens: '4', call_count: '2' }]);
  });
});
