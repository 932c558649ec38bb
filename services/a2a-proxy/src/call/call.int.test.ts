/** Direct calls, told from outside: real agents over real HTTP (spec 2 §1). */
import { randomUUID } from 'node:crypto';
import { purged, registered, removed, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { status } from '../testing/registry.ts';
import { anonymous, it, message } from '../testing/world.ts';

describe('an answered call', () => {
  it('passes through byte for byte, is recorded, and told to canvas', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent, { name: 'borealis' });

    const answer = await world.call(proxy, id, { body: message('hi', 'm-1'), headers: { cookie: 'secret', 'x-other': '1' } });
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('application/json');
    expect(answer.json.result.parts[0].text).toBe('hi');
    const [received] = agent.received;
    expect(received?.body).toBe(message('hi', 'm-1'));
    expect(Object.keys(received?.headers ?? {}).sort()).toEqual(['connection', 'content-length', 'content-type', 'host']);

    const [row] = await world.rows(proxy, id);
    expect(row).toMatchObject({
      workspace_id: id,
      activity_type: 'a2a_receive',
      source_id: null,
      target_id: id,
      method: 'message/send',
      summary: 'message/send → borealis',
      status: 'ok',
      error_detail: null,
      request_body: JSON.parse(message('hi', 'm-1')),
      response_body: answer.json,
    });
    expect(row).not.toHaveProperty('tool_trace');
    expect(row?.created_at).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/);

    await waitFor(() => world.said(id, 'ACTIVITY_LOGGED').length === 1);
    expect(world.said(id, 'ACTIVITY_LOGGED')[0]?.payload).toEqual({
      activity_type: 'a2a_receive',
      method: 'message/send',
      summary: 'message/send → borealis',
      status: 'ok',
      source_id: null,
      target_id: id,
      duration_ms: row?.duration_ms,
    });
    expect(world.said(id, 'A2A_RESPONSE')[0]?.payload).toMatchObject({ method: 'message/send', response_body: answer.json });
    expect(await world.settled(proxy, 1)).toMatchObject({ accepted: 1, completed: 1, balanced: true });
    expect((await world.facts(row?.id ?? '')).at(-1)).toBe('a2a.answered');
  });

  it('normalises a bare body, and answers an agent’s own 202 and odd replies as they are', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent);

    await world.call(proxy, id, { body: '{"method":"message/send","params":{"message":{"parts":[]}},"more":1}' });
    expect(JSON.parse(agent.received[0]?.body ?? '')).toEqual({
      jsonrpc: '2.0',
      id: expect.any(String),
      method: 'message/send',
      params: { message: { messageId: expect.any(String), parts: [] } },
    });

    agent.behaveNext({ kind: 'accepted' }, { kind: 'garbage' }, { kind: 'not-json' });
    expect(await world.call(proxy, id)).toMatchObject({ status: 202, text: '' });
    expect(await world.call(proxy, id)).toMatchObject({ status: 200 });
    expect(await world.call(proxy, id)).toMatchObject({ status: 200, text: expect.stringContaining('<html>') });
    const rows = await world.rows(proxy, id, 4);
    expect(rows.map((row) => row.status)).toEqual(['ok', 'ok', 'ok', 'ok']);
    expect(rows.map((row) => row.response_body).slice(0, 3)).toEqual([null, null, null]);
  });

  it.for([
    [500, '{"error":"out of tokens"}', 'out of tokens', 'error'],
    [502, '{"error":{"code":1}}', 'Bad Gateway', 'error'],
    [503, '{"error":7}', 'Service Unavailable', 'error'],
    [404, '<html>', 'Not Found', 'error'],
    [302, '', 'Found', 'ok'],
  ] as const)('of status %i and body %s says %s', async ([code, body, error, logged], { world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({
      behaviour: { kind: 'status', status: code, body, headers: { location: 'http://127.0.0.1:1/' } },
    });
    const id = await world.workspace(agent);
    const answer = await world.call(proxy, id);
    expect(answer).toMatchObject({ status: code, text: JSON.stringify({ error }) });
    expect(agent.received).toHaveLength(1);
    const [row] = await world.rows(proxy, id);
    expect(row).toMatchObject({ status: logged, error_detail: null });
    expect(world.said(id, 'A2A_RESPONSE')).toHaveLength(code < 400 ? 1 : 0);
  });

  it('is a confirmed delivery when the body breaks off after the headers', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'cut', bytes: 5 } });
    const id = await world.workspace(agent);
    expect(await world.call(proxy, id)).toMatchObject({
      status: 502,
      text: '{"error":"failed to read agent response","delivery_confirmed":true}',
    });
    expect(await world.rows(proxy, id)).toMatchObject([{ status: 'ok' }]);
    expect(await world.settled(proxy, 1)).toMatchObject({ completed: 1 });
  });

  it('goes on when the client has left, and canvas hears of it', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'hang' } });
    const id = await world.workspace(agent);
    const leaving = new AbortController();
    const call = world.call(proxy, id, { signal: leaving.signal }).catch((error: unknown) => error);
    await agent.waitForCalls(1);
    leaving.abort();
    expect(await call).toBeInstanceOf(Error);
    agent.release();
    expect(await world.rows(proxy, id)).toMatchObject([{ status: 'ok', response_body: { result: expect.anything() } }]);
    await waitFor(() => world.said(id, 'A2A_RESPONSE').length === 1);
    expect(agent.received).toMatchObject([{ outcome: 'answered' }]);
  });
});

describe('a message for a sleeping workspace', () => {
  it('has it woken, by one question for all that come meanwhile, and by another for the next', async ({ world }) => {
    const proxy = await world.proxy();
    const at = 'http://127.0.0.1:9';
    const [asleep, paused] = [await world.registry.create({ at }), await world.registry.create({ at })];
    await world.known(); // by messages: nobody sleeps yet
    await world.registry.say(asleep, status('hibernated'));
    await world.registry.say(paused, status('paused'));
    await waitFor(async () => (await world.call(proxy, paused)).json.status === 'paused');
    const { promise, resolve } = Promise.withResolvers<void>();
    world.waker.before = () => promise;
    const answers = await Promise.all(Array.from({ length: 10 }, () => world.call(proxy, asleep)));
    expect(answers.map(({ status: code }) => code)).toEqual(Array(10).fill(503)); // nobody waits for the waking
    await waitFor(() => world.waker.asked.length > 0);
    await world.call(proxy, paused);
    await world.call(proxy, asleep);
    expect(world.waker.asked).toEqual([asleep]);
    resolve();
    world.waker.before = async () => undefined;
    await waitFor(async () => {
      await world.call(proxy, asleep);
      return world.waker.asked.length > 1;
    });
    expect(new Set(world.waker.asked)).toEqual(new Set([asleep]));
  });
});

describe('a call that is not let through', () => {
  it('is told why, in the order of the specification, and leaves no row', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent);
    const child = await world.workspace(agent, { parentId: id });
    const stranger = await world.workspace(agent, { parentId: await world.registry.create() });
    const broke = await world.workspace(agent, { budgetLimit: 0 });
    const silent = await world.registry.create();
    const paused = await world.registry.create({ at: agent.url });
    await world.registry.say(paused, status('paused'));
    const asleep = await world.registry.create({ at: agent.url });
    await world.registry.say(asleep, status('hibernated'));
    const drowsy = await world.registry.create({ at: agent.url });
    await world.registry.say(drowsy, status('hibernating', false)); // its address is still known
    const gone = await world.registry.create({ at: agent.url });
    await world.registry.say(gone, removed);
    const forgotten = await world.registry.create({ at: agent.url });
    await world.registry.say(forgotten, removed, purged);
    const metadata = await world.registry.create({ at: 'http://169.254.169.254/latest' });
    await world.known();
    const tokenId = await world.registry.issueToken(child);

    const as = (header: string, more = {}) => ({ headers: { 'x-workspace-id': header }, ...more });
    await waitFor(async () => (await world.send(proxy, `/workspaces/${id}/a2a`, 'GET', as(child))).status === 401);
    const told = async (...call: Parameters<typeof world.call> extends [unknown, ...infer Rest] ? Rest : never) => {
      const { status: code, json, headers } = await world.call(proxy, ...call);
      return { status: code, ...json, ...(headers['retry-after'] && { after: headers['retry-after'] }) };
    };
    const body = 'x';
    expect(await told(id, { body })).toEqual({ status: 400, error: 'invalid JSON' });
    expect(await told(id, { body: '' })).toEqual({ status: 400, error: 'invalid JSON' });
    expect(await told(id, { body: Buffer.alloc(2_000_000, 0x20) })).toEqual({ status: 400, error: 'invalid JSON' });
    expect(await told(id, as('system:x', { body }))).toEqual({ status: 403, error: 'invalid caller ID' });
    expect(await told(id, as(child))).toEqual({ status: 401, error: 'missing caller auth token' });
    expect(await told(id, as(child, { identity: { kind: 'workspace', workspaceId: id, tokenId } }))).toEqual({
      status: 401,
      error: 'invalid caller auth token',
    });
    expect(await told(id, as(child, { identity: { kind: 'workspace', workspaceId: child, tokenId } }))).toMatchObject({
      status: 200,
    });
    const denied = { status: 403, error: 'access denied: workspaces cannot communicate per hierarchy rules' };
    expect(await told(id, as(stranger, { body }))).toEqual(denied);
    expect(await told(id, as(randomUUID()))).toEqual(denied);
    expect(await told(randomUUID(), as(id))).toEqual(denied);
    expect(await told(broke, { body })).toEqual({ status: 402, error: 'workspace budget limit exceeded' });
    expect(await told(randomUUID(), { body })).toEqual({ status: 404, error: 'workspace not found' });
    expect(await told('not-an-id')).toEqual({ status: 500, error: 'lookup failed' });
    expect(await told(silent, { body })).toMatchObject({ error: 'workspace has no URL', status: 'provisioning' });
    expect(await told(paused)).toMatchObject({ error: 'workspace has no URL', status: 'paused' });
    expect(await told(drowsy)).toMatchObject({ error: 'workspace has no URL', status: 'hibernating' });
    expect(await told(gone)).toMatchObject({ error: 'workspace has no URL', status: 'removed' });
    expect(await told(forgotten)).toEqual({ status: 404, error: 'workspace not found' });
    expect(await told(asleep)).toEqual({
      status: 503,
      error: 'workspace is waking from hibernation — retry in ~15 seconds',
      waking: true,
      retry_after: 15,
      after: '15',
    });
    expect(await told(metadata)).toEqual({ status: 502, error: 'workspace URL is not publicly routable' });
    expect(agent.received).toHaveLength(1);
    expect(await world.rows(proxy, id)).toHaveLength(1);
    expect((await world.database.query('select count(*)::int as rows from activity')).rows[0]).toEqual({ rows: 1 });
  });

  it('goes to loopback outside development only where the provisioner put the agent (ADR 14)', async ({ world }) => {
    const proxy = await world.proxy({ MOLECULE_ENV: '' });
    const agent = await world.agent();
    const told = async (id: string) => {
      const { status, text } = await world.call(proxy, id);
      return [status, status === 200 ? '' : text];
    };
    const refused = [502, '{"error":"workspace URL is not publicly routable"}'];
    const said = await world.workspace(agent);
    const put = await world.registry.create();
    const metadata = await world.registry.create();
    await world.registry.say(put, { type: 'workspace.located', data: { url: agent.url } }, registered(agent.url));
    await world.registry.say(metadata, { type: 'workspace.located', data: { url: 'http://169.254.169.254/' } });
    await world.known();
    expect(await told(said)).toEqual(refused);
    expect(await told(put)).toEqual([200, '']);
    expect(await told(metadata)).toEqual(refused);
    await world.registry.say(put, registered(`${agent.url}/elsewhere`));
    await waitFor(async () => (await told(put))[0] === 502, { what: 'what the agent says to count' });
    expect(await told(put)).toEqual(refused);
    expect(await told(said)).toEqual(refused);
  });

  it('is refused over budget by what beats report', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent, { budgetLimit: 500 });
    world.beat(id, { monthly_spend: 499 });
    expect((await world.call(proxy, id)).status).toBe(200);
    world.beat(id, { monthly_spend: 500 });
    expect((await world.call(proxy, id)).status).toBe(402);
  });

  it('sees a pause and a removal at once, whatever was dialled before', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent);
    expect((await world.call(proxy, id)).status).toBe(200);
    await world.registry.say(id, removed);
    await waitFor(async () => (await world.call(proxy, id)).status === 503);
  });
});

describe('callers', () => {
  it('are told apart in the activity, and the canvas sees only its own', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent);
    const peer = await world.workspace(agent);
    await world.call(proxy, id, { body: message('from canvas') });
    await world.call(proxy, id, { headers: { 'x-workspace-id': id } });
    await world.call(proxy, id, { headers: { 'x-workspace-id': peer } });
    await world.call(proxy, id, { identity: { kind: 'service', service: 'registry', as: 'webhook:github' } });
    await world.call(proxy, id, { identity: { kind: 'service', service: 'registry', as: 'system:restart-context' } });
    await world.call(proxy, id, { identity: { kind: 'service', service: 'scheduler', as: '' } });
    const rows = await world.rows(proxy, id, 5);
    expect(rows.map((row) => row.source_id)).toEqual([null, null, peer, id, null]);
    expect(await world.activity(proxy, id, '?source=canvas')).toHaveLength(2);
    expect(await world.activity(proxy, id, '?source=agent')).toHaveLength(2);
    expect(await world.activity(proxy, id, '?type=delegation')).toEqual([]);
    expect(await world.activity(proxy, id, '?limit=1')).toMatchObject([{ id: rows[0]?.id }]);
    const odd = await world.send(proxy, `/workspaces/${id}/activity?source=x`, 'GET', { identity: { kind: 'admin' } });
    expect(odd).toMatchObject({ status: 400, text: `{"error":"source must be 'canvas' or 'agent'"}` });
    const nul = await world.send(proxy, `/workspaces/${id}/activity?type=%00`, 'GET', { identity: { kind: 'admin' } });
    expect([nul.status, nul.text]).toEqual([200, '[]']);
    expect((await world.send(proxy, `/workspaces/${id}/activity`, 'GET', { identity: anonymous })).status).toBe(401);

    // Only the canvas, and what counts as it, is told of replies; only workspaces have reached somebody.
    await waitFor(() => world.said(id, 'ACTIVITY_LOGGED').length === 5);
    expect(world.said(id, 'A2A_RESPONSE')).toHaveLength(2);
    const outbound = await waitFor(async () => {
      const { rows: found } = await world.database.query('select workspace_id from a2a_outbound');
      return found.length === 2 ? found.map((row) => row.workspace_id).sort() : false;
    });
    expect(outbound).toEqual([id, peer].sort());
    expect(await world.settled(proxy, 6)).toMatchObject({ accepted: 6, completed: 6 });
  });
});
