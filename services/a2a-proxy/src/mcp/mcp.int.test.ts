/** The MCP endpoint on a real listener, as clients of old meet it: bodies to the byte (spec 2 §7.11). */
import { randomUUID } from 'node:crypto';
import type { Identity, WorkspaceId } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { admin, anonymous, type Call, it, type Running, type World } from '../testing/world.ts';
import { listedTools } from './tool.ts';

const BEARER = { authorization: 'Bearer a-token' };

const post = (world: World, proxy: Running, id: string, body: string, more: Call = {}) =>
  world.send(proxy, `/workspaces/${id}/mcp`, 'POST', { identity: admin, body, ...more, headers: { ...BEARER, ...more.headers } });
const rpc = (method: string, params?: unknown, id: unknown = 1) =>
  JSON.stringify({ jsonrpc: '2.0', id, method, ...(params !== undefined && { params }) });

/** The text of a tool's result, or its error. */
async function tool(world: World, proxy: Running, self: string, name: string, args: object = {}) {
  const answer = await post(world, proxy, self, rpc('tools/call', { name, arguments: args }));
  expect(answer.status).toBe(200);
  const { result, error, ...rest } = answer.json;
  expect(rest).toEqual({ jsonrpc: '2.0', id: 1 });
  if (error) return error as { code: number; message: string };
  expect(result).toEqual({ content: [{ type: 'text', text: expect.any(String) }] });
  return result.content[0].text as string;
}
const failed = (message: string) => ({ code: -32000, message });

/** A workspace that is there, below another. */
const below = async (world: World, parentId: string | null, name: string, at?: string) => {
  const id = await world.registry.create({ parentId, name, ...(at !== undefined && { at }) });
  await world.known();
  return id;
};

describe('the endpoint', () => {
  it('answers to the byte', async ({ world }) => {
    const proxy = await world.proxy();
    const id = await world.registry.create();
    const said = async (body: string) => {
      const answer = await post(world, proxy, id, body);
      return [answer.status, answer.headers['content-type'], answer.text];
    };
    const ok = (text: string) => [200, 'application/json; charset=utf-8', text];
    expect(await said(rpc('initialize', { protocolVersion: '2024-11-05' }))).toEqual(
      ok(
        '{"jsonrpc":"2.0","id":1,"result":{"protocolVersion":"2024-11-05","capabilities":{"tools":{"listChanged":false}},"serverInfo":{"name":"molecule-a2a","version":"1.0.0"}}}',
      ),
    );
    expect(await said('{"jsonrpc":"2.0","method":"notifications/initialized"}')).toEqual(ok('{"jsonrpc":"2.0","id":null}'));
    expect(await said(rpc('notifications/initialized', {}, 'a'))).toEqual(ok('{"jsonrpc":"2.0","id":"a"}'));
    expect(await said(rpc('ping', undefined, 'p'))).toEqual(ok('{"jsonrpc":"2.0","id":"p","result":{}}'));
    expect(await said(rpc('tools/sing'))).toEqual(
      ok('{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"method not found: tools/sing"}}'),
    );
    expect(await said('{"id": 9007199254740993, "method": ""}')).toEqual(
      ok('{"jsonrpc":"2.0","id":9007199254740993,"error":{"code":-32601,"message":"method not found: "}}'),
    );
    expect(await said(rpc('tools/list'))).toEqual(
      ok(JSON.stringify({ jsonrpc: '2.0', id: 1, result: { tools: listedTools({ toUser: false }) } })),
    );
  });

  it('lists its tools in order, each with what it takes', async ({ world }) => {
    const proxy = await world.proxy({ MOLECULE_MCP_ALLOW_SEND_MESSAGE: 'true' });
    const id = await world.registry.create();
    const { tools } = (await post(world, proxy, id, rpc('tools/list'))).json.result;
    const text = { type: 'string', description: expect.any(String) };
    const shown = (name: string, properties: object, required?: string[]) => ({
      name,
      description: expect.any(String),
      inputSchema: { type: 'object', properties, ...(required && { required }) },
    });
    const task = { workspace_id: text, task: text };
    expect(tools).toEqual([
      shown('delegate_task', task, ['workspace_id', 'task']),
      shown('delegate_task_async', task, ['workspace_id', 'task']),
      shown('check_task_status', { workspace_id: text, task_id: text }, ['workspace_id', 'task_id']),
      shown('list_peers', {}),
      shown('get_workspace_info', {}),
      shown('send_message_to_user', { message: text }, ['message']),
      shown('commit_memory', { content: text, scope: { ...text, enum: ['LOCAL', 'TEAM'] } }, ['content']),
      shown('recall_memory', { query: text, scope: { ...text, enum: ['LOCAL', 'TEAM', ''] } }),
    ]);
  });

  it.for([
    ['', 'the body is not valid JSON'],
    ['{', 'the body is not valid JSON'],
    ['[]', 'one request at a time, a batch is none'],
    [`[${rpc('ping')}]`, 'one request at a time, a batch is none'],
    ['null', 'a request is a JSON object'],
    ['"ping"', 'a request is a JSON object'],
    ['{"method":1}', 'method is a text'],
    ['{"method":"a\\u0000"}', 'the body is not valid JSON'],
    [`{"method":"ping","params":${'['.repeat(50_000)}${']'.repeat(50_000)}}`, 'the body is not valid JSON'],
    [JSON.stringify({ method: 'x'.repeat(1024 * 1024) }), 'the body could not be read: too-large'],
  ] as const)('cannot read %#', async ([body, why], { world }) => {
    const proxy = await world.proxy();
    const answer = await post(world, proxy, randomUUID(), body);
    expect([answer.status, answer.text]).toEqual([
      400,
      `{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error: ${why}"}}`,
    ]);
  });

  it('wants a bearer before anything else, and then the right one', async ({ world }) => {
    const proxy = await world.proxy();
    const id = await world.registry.create();
    const ask = async (identity: Identity, headers: Record<string, string>, path = 'mcp', method: 'GET' | 'POST' = 'POST') => {
      const body = method === 'POST' ? { body: 'no json' } : {};
      const answer = await world.send(proxy, `/workspaces/${id}/${path}`, method, { identity, headers, ...body });
      return [answer.status, answer.text, answer.headers['x-ratelimit-limit']];
    };
    const missing = [401, '{"error":"missing bearer token"}', undefined];
    expect(await ask(admin, {})).toEqual(missing);
    expect(await ask(admin, { authorization: 'Basic YTpi' })).toEqual(missing);
    expect(await ask(admin, { authorization: 'Bearer ' })).toEqual(missing);
    expect(await ask(admin, {}, 'mcp/stream', 'GET')).toEqual(missing);
    const invalid = [401, '{"error":"invalid workspace auth token"}', '120'];
    expect(await ask({ kind: 'unknown-token' }, BEARER)).toEqual(invalid);
    expect(await ask({ kind: 'workspace', workspaceId: randomUUID(), tokenId: randomUUID() }, BEARER)).toEqual(invalid);
    expect(await ask({ kind: 'unknown-token' }, BEARER, 'mcp/stream', 'GET')).toEqual(invalid);
    expect(await ask(anonymous, { authorization: 'bearer x' })).toEqual([401, '{"error":"missing workspace auth token"}', '120']);
    const own: Identity = { kind: 'workspace', workspaceId: id, tokenId: randomUUID() };
    expect((await ask(own, BEARER))[0]).toBe(400);
    // The standard's stream and sessions are not here; its clients know what that means.
    const get = await world.send(proxy, `/workspaces/${id}/mcp`, 'GET', { identity: own });
    expect([get.status, get.headers['allow'], get.text]).toEqual([405, 'POST', '{"error":"method not allowed"}']);
  });

  it('counts what a bearer asks for on both routes, and keeps others apart', async ({ world }) => {
    const proxy = await world.proxy();
    const id = await world.registry.create();
    const ask = (token: string) => post(world, proxy, id, rpc('ping'), { headers: { authorization: token } });
    const first = await ask('Bearer one');
    expect(first.headers).toMatchObject({
      'x-ratelimit-limit': '120',
      'x-ratelimit-remaining': '119',
      'x-ratelimit-reset': expect.stringMatching(/^(60|59)$/),
    });
    for (let n = 1; n < 120; n++) expect((await ask('bEARER one')).status).toBe(200);
    const over = await ask('Bearer one');
    const seconds = Number(over.headers['retry-after']);
    expect([over.status, over.text]).toEqual([429, `{"error":"MCP rate limit exceeded","retry_after":${seconds}}`]);
    expect(over.headers).toMatchObject({
      'x-ratelimit-limit': '120',
      'x-ratelimit-remaining': '0',
      'x-ratelimit-reset': `${seconds}`,
    });
    expect(seconds).toBeGreaterThan(0);
    const stream = await world.send(proxy, `/workspaces/${id}/mcp/stream`, 'GET', {
      identity: admin,
      headers: { authorization: 'Bearer one' },
    });
    expect(stream.status).toBe(429);
    expect((await ask('Bearer two')).status).toBe(200);
  });

  it('tells clients of old where to send', async ({ world }) => {
    const proxy = await world.proxy();
    const id = await world.registry.create();
    const leaving = new AbortController();
    const response = await fetch(`${proxy.url}/workspaces/${id.toUpperCase()}/mcp/stream`, {
      headers: { ...world.signed(admin), ...BEARER },
      signal: leaving.signal,
    });
    expect(response.status).toBe(200);
    const { headers } = response;
    expect(['content-type', 'cache-control', 'x-accel-buffering'].map((name) => headers.get(name))).toEqual([
      'text/event-stream',
      'no-cache',
      'no',
    ]);
    const { value } = (await response.body?.getReader().read()) ?? {};
    expect(Buffer.from(value ?? []).toString()).toBe(`event: endpoint\ndata: /workspaces/${id}/mcp\n\n`);
    leaving.abort();
  });
});

describe('a stream', () => {
  it('ends with the token that opened it, with its org token, or with its workspace', async ({ world }) => {
    const proxy = await world.proxy();
    const listen = async (id: string, identity: Identity) => {
      const response = await fetch(`${proxy.url}/workspaces/${id}/mcp/stream`, {
        headers: { ...world.signed(identity), ...BEARER },
      });
      expect(response.status).toBe(200);
      const heard = { over: false };
      void response.text().then(() => {
        heard.over = true;
      });
      return heard;
    };
    const id = await world.registry.create();
    const [tokenId, orgTokenId] = [await world.registry.issueToken(id), await world.registry.issueOrgToken()];
    await world.known();
    const org: Identity = { kind: 'org', tokenId: orgTokenId, prefix: 'p', orgId: '' };
    const streams = [
      await listen(id, { kind: 'workspace', workspaceId: id, tokenId }),
      await listen(id, org),
      await listen(id, admin),
    ];
    const over = (...expected: boolean[]) => waitFor(() => streams.every((heard, at) => heard.over === expected[at]));
    await over(false, false, false);
    await world.registry.revokeTokens(id);
    await over(true, false, false);
    await world.registry.revokeOrgToken(orgTokenId);
    await over(true, true, false);
    await world.registry.say(id, { type: 'workspace.removed', data: { from: 'provisioning' } });
    await over(true, true, true);
  });
});

describe('calling a tool', () => {
  it('needs a name that there is, and parameters of the right kind', async ({ world }) => {
    const proxy = await world.proxy();
    const id = await world.registry.create();
    const error = async (params: unknown) => (await post(world, proxy, id, rpc('tools/call', params))).json.error;
    const invalid = (why: string) => ({ code: -32602, message: `invalid params: ${why}` });
    for (const params of [undefined, null, [], 'x', 1]) expect(await error(params)).toEqual(invalid('an object is needed'));
    expect(await error({ name: 1 })).toEqual(invalid('name is a text'));
    expect(await error({ name: 'list_peers', arguments: [] })).toEqual(invalid('arguments are an object'));
    expect(await error({})).toEqual(failed('unknown tool: '));
    for (const name of ['fly', '__proto__', 'constructor'])
      expect(await error({ name })).toEqual(failed(`unknown tool: ${name}`));
    // `arguments` may be absent.
    const answer = await post(world, proxy, id, rpc('tools/call', { name: 'list_peers' }));
    expect(answer.json.result.content[0].text).toBe('No peers found.');
  });

  it.for([
    ['delegate_task', {}, 'workspace_id is required'],
    ['delegate_task', { workspace_id: 5, task: 't' }, 'workspace_id is required'],
    ['delegate_task', { workspace_id: 'x' }, 'task is required'],
    ['delegate_task_async', { task: 't' }, 'workspace_id is required'],
    ['delegate_task_async', { workspace_id: 'x', task: '' }, 'task is required'],
    ['check_task_status', { task_id: 't' }, 'workspace_id is required'],
    ['check_task_status', { workspace_id: 'x' }, 'task_id is required'],
    ['commit_memory', {}, 'content is required'],
    ['commit_memory', { content: 'c', scope: 'GLOBAL' }, 'GLOBAL scope is not permitted via the MCP bridge — use LOCAL or TEAM'],
    ['commit_memory', { content: 'c', scope: 'team' }, 'scope must be LOCAL or TEAM'],
    ['commit_memory', { content: 'c'.repeat(50_000) }, 'content is too long: at most 48 KiB'],
    ['recall_memory', { scope: 'GLOBAL' }, 'GLOBAL scope is not permitted via the MCP bridge — use LOCAL, TEAM, or empty'],
    ['recall_memory', { scope: 'OWN' }, 'scope must be LOCAL or TEAM'],
    [
      'send_message_to_user',
      { message: 'hi' },
      'send_message_to_user is not enabled on this MCP bridge (set MOLECULE_MCP_ALLOW_SEND_MESSAGE=true)',
    ],
  ] as const)('%s of %j: %s', async ([name, args, text], { world }) => {
    const proxy = await world.proxy({ MOLECULE_MCP_ALLOW_SEND_MESSAGE: 'TRUE' });
    // Nobody is there to ask: what is wrong is said before anything is looked up.
    expect(await tool(world, proxy, randomUUID(), name, args)).toEqual(failed(text));
  });

  it.for(['list_peers', 'get_workspace_info', 'recall_memory'])('%s of a workspace that is gone', async (name, { world }) => {
    const proxy = await world.proxy();
    const id = await world.workspace(await world.agent());
    await world.registry.say(id, { type: 'workspace.removed', data: { from: 'online' } });
    await waitFor(async () => (await world.call(proxy, id)).status === 503);
    expect(await tool(world, proxy, id, name)).toEqual(failed('workspace not found'));
    expect(await tool(world, proxy, 'no-id', name)).toEqual(failed('workspace not found'));
  });
});

describe('delegate_task', () => {
  it('goes the way of every call, and answers what the agent says', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const parent = await world.workspace(agent);
    const child = await below(world, parent, 'child', agent.url);
    agent.behaveNext({ kind: 'status', status: 200, body: '{"result": {"artifacts": [{"parts": [{"text": "done"}]}]}}' });
    expect(await tool(world, proxy, child, 'delegate_task', { workspace_id: parent.toUpperCase(), task: 'do it' })).toBe('done');
    const { body } = agent.received[0] ?? { body: '' };
    expect(JSON.parse(body)).toMatchObject({
      jsonrpc: '2.0',
      method: 'message/send',
      params: { message: { role: 'user', messageId: expect.any(String), parts: [{ type: 'text', text: 'do it' }] } },
    });
    const [row] = await world.rows(proxy, parent, 1);
    expect(row).toMatchObject({ source_id: child, method: 'message/send', status: 'ok' });
    agent.behaveNext({ kind: 'status', status: 200, body: '{"error":{"code":1,"message":"no"}}' });
    expect(await tool(world, proxy, child, 'delegate_task', { workspace_id: parent, task: 'x' })).toBe('[error] no');
  });

  it('fails with a reason', async ({ world }) => {
    const proxy = await world.proxy({ MOLECULE_ENV: 'production' });
    const agent = await world.agent();
    const me = await world.workspace(agent);
    const homeless = await below(world, me, 'homeless');
    const cousin = await below(world, homeless, 'cousin');
    const stranger = await below(world, await below(world, null, 'other root'), 'stranger');
    const poor = await world.registry.create({ parentId: me, at: agent.url, budgetLimit: 0 });
    const inside = await world.registry.create({ parentId: me, at: 'http://169.254.169.254/' });
    await world.known();
    const delegated = (workspace_id: string, self: string = me) =>
      tool(world, proxy, self, 'delegate_task', { workspace_id, task: 't' });
    expect(await delegated(stranger)).toEqual(failed(`workspace ${me} is not authorised to communicate with ${stranger}`));
    expect(await delegated('no-id')).toEqual(failed(`workspace ${me} is not authorised to communicate with no-id`));
    const unknown = randomUUID();
    expect(await delegated(unknown)).toEqual(failed(`workspace ${me} is not authorised to communicate with ${unknown}`));
    expect(await delegated(me, unknown)).toEqual(failed(`workspace ${unknown} is not authorised to communicate with ${me}`));
    expect(await delegated(homeless)).toEqual(failed(`workspace ${homeless} has no URL (status: provisioning)`));
    expect(await delegated(cousin)).toEqual(failed(`workspace ${cousin} has no URL (status: provisioning)`));
    expect(await delegated(poor)).toEqual(failed('A2A call failed: workspace budget limit exceeded'));
    expect(await delegated(inside)).toEqual(failed('invalid workspace URL: workspace URL is not publicly routable'));
    expect(agent.received).toEqual([]);
  });

  it('tells of a place in the mailbox of a busy agent, and nobody sends it twice', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const me = await world.workspace(agent);
    const busy = await below(world, me, 'busy', agent.url);
    agent.behaveNext({ kind: 'reset' });
    const text = await tool(world, proxy, me, 'delegate_task', { workspace_id: busy, task: 'later' });
    const queued = /^Queued: workspace (\S+) is busy\. .* \(1 waiting\) .* task_id (\S+)\.$/.exec(text as string) ?? [];
    expect(queued[1]).toBe(busy);
    const checked = async () =>
      JSON.parse((await tool(world, proxy, me, 'check_task_status', { workspace_id: busy, task_id: queued[2] })) as string);
    expect(await checked()).toEqual({ status: 'queued', target_id: busy, task_id: queued[2] });
    agent.behave({ kind: 'status', status: 200, body: '{"result":"later"}' });
    world.beat(busy, { active_tasks: 0 });
    await agent.waitForMessages(2);
    expect((await world.settled(proxy, 1)).accepted).toBe(1);
    expect(await checked()).toEqual({ status: 'completed', target_id: busy, task_id: queued[2], result: { result: 'later' } });
    expect(await tool(world, proxy, busy, 'check_task_status', { workspace_id: busy, task_id: queued[2] })).toContain(
      'not_found',
    );
  });
});

describe('delegate_task_async and check_task_status', () => {
  const check = (world: World, proxy: Running, self: string, workspace_id: string, task_id: string) =>
    tool(world, proxy, self, 'check_task_status', { workspace_id, task_id });
  const begun = async (world: World, proxy: Running, self: string, workspace_id: string) => {
    const text = (await tool(world, proxy, self, 'delegate_task_async', { workspace_id, task: 'dig' })) as string;
    const { task_id } = JSON.parse(text);
    expect(text).toBe(`{"task_id":"${task_id}","status":"dispatched","target_id":"${workspace_id}"}`);
    return task_id as string;
  };

  it('say what becomes of a task, to whoever gave it', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const me = await world.workspace(agent);
    const child = await below(world, me, 'child', agent.url);
    agent.behave({ kind: 'hang' });
    const task = await begun(world, proxy, me, child);
    await agent.waitForCalls(1);
    expect(agent.received[0]).toMatchObject({ text: 'dig', messageId: task });
    expect(JSON.parse((await check(world, proxy, me, child, task)) as string)).toEqual({
      status: 'dispatched',
      target_id: child,
      task_id: task,
    });
    agent.behave({ kind: 'status', status: 200, body: '{"result":{"a":1}}' });
    agent.release();
    await world.rows(proxy, child, 1);
    expect(await check(world, proxy, me, child, task)).toMatch(
      new RegExp(`^\\{\\n  "status": "completed",\\n  "target_id": "${child}",\\n  "task_id": "${task}",\\n  "result": \\{`),
    );
    const nothing = `{"task_id":"${task}","status":"not_found","note":"task not tracked or not yet dispatched"}`;
    expect(await check(world, proxy, child, child, task)).toBe(nothing);
    expect(await check(world, proxy, me, me, task)).toBe(nothing);
    expect(await check(world, proxy, me, 'no-id', task)).toBe(nothing);
    expect(await check(world, proxy, me, child, 'x')).toContain('"status":"not_found"');
    // It is no delegation.
    expect((await world.activity(proxy, me, '?type=delegation')).length).toBe(0);
  });

  it('tell a task that waits from one that failed', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const me = await world.workspace(agent);
    const busy = await below(world, me, 'busy', agent.url);
    const dead = await below(world, me, 'dead', 'http://127.0.0.1:1/');
    agent.behave({ kind: 'reset' });
    const waits = await begun(world, proxy, me, busy);
    await waitFor(async () => JSON.parse((await check(world, proxy, me, busy, waits)) as string).status === 'queued');
    const fails = await begun(world, proxy, me, dead);
    await world.rows(proxy, dead, 1);
    expect(JSON.parse((await check(world, proxy, me, dead, fails)) as string)).toEqual({
      status: 'failed',
      target_id: dead,
      task_id: fails,
      error: 'connection refused',
    });
  });

  it('know a task that ended with its process, and tell nobody else', async ({ world }) => {
    const proxy = await world.proxy();
    const me = await world.registry.create();
    const target = await below(world, me, 'target');
    const task = randomUUID();
    const of = { messageId: task, workspaceId: target, callerId: me, source: 'workspace', method: 'message/send' };
    await world.database.query(
      `insert into events (id, stream, version, type, schema, nth, data, meta, recorded_at)
       values ($1, $2, 1, 'a2a.unreached', 1, 1, $3, $4, now())`,
      [
        randomUUID(),
        `message.${task}`,
        { ...of, httpStatus: 502, error: 'interrupted' },
        { workspaceId: target, commandId: 'c' },
      ],
    );
    expect(JSON.parse((await check(world, proxy, me, target, task)) as string)).toEqual({
      status: 'failed',
      target_id: target,
      task_id: task,
      error: 'interrupted',
    });
    expect(await check(world, proxy, target, target, task)).toContain('not_found');
  });

  it('know what was delegated otherwise', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const me = await world.workspace(agent);
    const child = await below(world, me, 'child', agent.url);
    const order = JSON.stringify({ target_id: child, task: 'dig' });
    const { delegation_id } = (await world.send(proxy, `/workspaces/${me}/delegate`, 'POST', { identity: admin, body: order }))
      .json;
    const done = await waitFor(async () => {
      const checked = JSON.parse((await check(world, proxy, me, child, delegation_id)) as string);
      return checked.status === 'completed' && checked;
    });
    expect(done).toEqual({
      status: 'completed',
      target_id: child,
      task_id: delegation_id,
      result: { text: 'dig', delegation_id },
    });
  });

  it('know delegations by the newest row, with the reply of the result', async ({ world }) => {
    const proxy = await world.proxy();
    const me = await world.registry.create();
    const target = await below(world, me, 'target');
    const row = (method: string, state: string, request: object | null, response: object | null, at: string) =>
      world.database.query(
        `insert into activity (id, workspace_id, activity_type, source_kind, source_id, target_id, method, summary, request_body,
           response_body, duration_ms, status, error_detail, created_at, body_bytes)
         values ($1, $2, 'delegation', 'self', $2, $3, $4, '', $5, $6, 0, $7, $8, $9, 0)`,
        [randomUUID(), me, target, method, request, response, state, state === 'failed' ? 'no way' : null, at],
      );
    await row('delegate', 'failed', { task: 't', delegation_id: 'd' }, null, '2026-01-01T00:00:00Z');
    expect(await check(world, proxy, me, target, 'd')).toBe(
      `{\n  "status": "failed",\n  "target_id": "${target}",\n  "task_id": "d",\n  "error": "no way"\n}`,
    );
    await row('delegate', 'completed', { task: 't', delegation_id: 'd' }, null, '2026-01-02T00:00:00Z');
    await row('delegate_result', 'completed', null, { text: 'dug', delegation_id: 'd' }, '2026-01-02T00:00:01Z');
    expect(JSON.parse((await check(world, proxy, me, target, 'd')) as string)).toEqual({
      status: 'completed',
      target_id: target,
      task_id: 'd',
      result: { text: 'dug', delegation_id: 'd' },
    });
    expect(await check(world, proxy, me, me, 'd')).toContain('not_found');
  });
});

describe('who is there', () => {
  it('is listed: siblings, children, parent; nobody who is gone', async ({ world }) => {
    const proxy = await world.proxy();
    const parent = await world.registry.create({ name: 'parent', tier: 3 });
    const me = await below(world, parent, 'me');
    const brother = await below(world, parent, 'brother');
    const gone = await below(world, parent, 'gone');
    const child = await below(world, me, 'a child');
    await world.registry.say(gone, { type: 'workspace.removed', data: { from: 'online' } });
    world.registry.roles.set(child, 'cook').set(me, 'boss');
    const shown = (id: WorkspaceId, name: string, role: string, tier: number) => ({
      id,
      name,
      role,
      status: 'provisioning',
      tier,
    });
    const tier = world.registry.entries.get(me)?.tier ?? 0;
    const expected = [shown(brother, 'brother', '', tier), shown(child, 'a child', 'cook', tier), shown(parent, 'parent', '', 3)];
    await waitFor(async () => !((await tool(world, proxy, me, 'list_peers')) as string).includes('gone'));
    expect(await tool(world, proxy, me, 'list_peers')).toBe(JSON.stringify(expected, null, 2));
    expect(await tool(world, proxy, me, 'get_workspace_info')).toBe(
      JSON.stringify({ ...shown(me, 'me', 'boss', tier), parent_id: parent }, null, 2),
    );
    expect(await tool(world, proxy, parent, 'get_workspace_info')).toBe(JSON.stringify(shown(parent, 'parent', '', 3), null, 2));
  });
});

describe('memories', () => {
  it('are kept and found', async ({ world }) => {
    const proxy = await world.proxy();
    const me = await world.registry.create();
    const commit = async (args: object) => (await tool(world, proxy, me, 'commit_memory', args)) as string;
    expect(await tool(world, proxy, me, 'recall_memory')).toBe('No memories found.');
    const local = await commit({ content: 'likes tea' });
    const team = await commit({ content: 'we like Tea', scope: 'TEAM' });
    const [first, second] = [JSON.parse(local).id, JSON.parse(team).id];
    expect([local, team]).toEqual([`{"id":"${first}","scope":"LOCAL"}`, `{"id":"${second}","scope":"TEAM"}`]);
    const recalled = async (args: object) => JSON.parse((await tool(world, proxy, me, 'recall_memory', args)) as string);
    const shown = (id: string, content: string, scope: string) => ({ id, content, scope, created_at: expect.any(String) });
    expect(await recalled({ query: 'TEA' })).toEqual([shown(second, 'we like Tea', 'TEAM'), shown(first, 'likes tea', 'LOCAL')]);
    expect(await recalled({ scope: 'LOCAL' })).toEqual([shown(first, 'likes tea', 'LOCAL')]);
    expect(await tool(world, proxy, me, 'recall_memory', { query: 'coffee' })).toBe('No memories found.');
  });

  it('cannot be kept while nobody answers, and that is said', async ({ world }) => {
    const proxy = await world.proxy();
    const me = await world.registry.create();
    await world.known();
    expect(await tool(world, proxy, me, 'get_workspace_info')).toContain(me);
    await world.registry.stop();
    expect(await tool(world, proxy, me, 'commit_memory', { content: 'c' })).toEqual(
      failed('platform datastore unavailable — retry shortly'),
    );
  });
});

describe('send_message_to_user', () => {
  it('shows the message and keeps it', async ({ world }) => {
    const proxy = await world.proxy({ MOLECULE_MCP_ALLOW_SEND_MESSAGE: 'true' });
    const id = await world.registry.create({ name: 'ada' });
    expect(await tool(world, proxy, id, 'send_message_to_user', { message: '' })).toEqual(failed('message is required'));
    expect(await tool(world, proxy, id, 'send_message_to_user', { message: 'hello' })).toBe('Message sent.');
    await waitFor(() => world.said(id, 'AGENT_MESSAGE').length === 1, { what: 'the event' });
    expect(world.said(id, 'AGENT_MESSAGE')[0]?.payload).toEqual({ message: 'hello', workspace_id: id, name: 'ada' });
    expect(await world.activity(proxy, id)).toMatchObject([{ method: 'notify', response_body: { result: 'hello' } }]);
    expect(await tool(world, proxy, randomUUID(), 'send_message_to_user', { message: 'x' })).toEqual(
      failed('workspace not found'),
    );
  });
});
