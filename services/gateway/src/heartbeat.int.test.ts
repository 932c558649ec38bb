/** H1–H3: what becomes of a beat, up to the bus. */
import { randomUUID } from 'node:crypto';
import { BeatFeed, ensureStreams, openBus } from '@molecule/bus';
import { type Beat, subjects } from '@molecule/contracts';
import { removed, waitFor, withNats } from '@molecule/testkit';
import { describe, expect, onTestFinished } from 'vitest';
import { TokenRegistry } from './testing/registry.ts';
import { bearer, call, type Gateway, it, PRODUCTION } from './testing/world.ts';

const beat = (gateway: Gateway, body: unknown, headers: Record<string, string> = {}) =>
  call(gateway, '/registry/heartbeat', {
    method: 'POST',
    headers,
    body: typeof body === 'string' ? body : JSON.stringify(body),
  });

const full = (workspace_id: string) => ({
  workspace_id,
  error_rate: 0.25,
  sample_error: 'oh',
  active_tasks: 2,
  uptime_seconds: 31,
  current_task: 'thinking',
  monthly_spend: 12,
  runtime_state: 'wedged',
  runtime_metadata: { capabilities: { session: true }, idle_timeout_seconds: 600 },
});

describe('a beat', () => {
  it('H1: is on the bus when it was answered, numbered, with everything it said', async ({ world, bus, log }) => {
    const { id, token } = await world.registry.enrol();
    const feed = await BeatFeed.open(bus, { log });
    const beats: Beat[] = [];
    feed.onBeat((heard) => void beats.push(heard));
    const gateway = await world.gateway();

    const answer = await beat(gateway, full(id.toUpperCase()), bearer(token));
    expect(answer).toMatchObject({
      status: 200,
      text: '{"status":"ok"}',
      headers: { 'content-type': 'application/json; charset=utf-8', 'x-content-type-options': 'nosniff' },
    });
    await beat(gateway, { workspace_id: id, current_task: null }, bearer(token));
    await waitFor(() => beats.length === 2, { what: 'both beats' });
    expect(beats[0]).toEqual({
      workspaceId: id,
      receivedAt: expect.any(Number),
      gateway: expect.stringMatching(/^gateway-/),
      seq: 1,
      errorRate: 0.25,
      sampleError: 'oh',
      activeTasks: 2,
      uptimeSeconds: 31,
      currentTask: 'thinking',
      monthlySpend: 12,
      runtimeState: 'wedged',
      runtimeMetadata: { capabilities: { session: true }, idle_timeout_seconds: 600 },
    });
    expect(beats[1]).toMatchObject({ seq: 2, currentTask: '', errorRate: 0 });
    expect(beats[1]).not.toHaveProperty('runtimeMetadata');
    await feed.stop();
  });

  it('needs a token of its own workspace, once that has one', async ({ world }) => {
    const mine = await world.registry.enrol();
    const other = await world.registry.enrol();
    const tokenless = await world.registry.enrol({ token: false });
    const gateway = await world.gateway({ ADMIN_TOKEN: 'root' });
    const missing = { status: 401, text: '{"error":"missing workspace auth token"}' };
    const invalid = { status: 401, text: '{"error":"invalid workspace auth token"}' };
    const body = { workspace_id: mine.id };
    expect(await beat(gateway, body)).toMatchObject(missing);
    expect(await beat(gateway, body, { authorization: `bearer ${mine.token}` })).toMatchObject(missing);
    expect(await beat(gateway, body, bearer('root'))).toMatchObject(invalid);
    expect(await beat(gateway, body, bearer(other.token))).toMatchObject(invalid);
    expect((await beat(gateway, body, bearer(mine.token))).status).toBe(200);
    expect((await beat(gateway, { workspace_id: tokenless.id })).status).toBe(200);

    await world.registry.revokeTokens(mine.id);
    await waitFor(async () => (await beat(gateway, body)).status === 200, { what: 'the token to be revoked' });
  });

  it('in production is taken from nobody without a token, also when the workspace has none', async ({ world }) => {
    const mine = await world.registry.enrol();
    const tokenless = await world.registry.enrol({ token: false });
    const gateway = await world.gateway(PRODUCTION);
    const missing = { status: 401, text: '{"error":"missing workspace auth token"}' };
    expect(await beat(gateway, { workspace_id: tokenless.id })).toMatchObject(missing);
    expect(await beat(gateway, { workspace_id: tokenless.id }, bearer(mine.token))).toMatchObject(missing);
    expect((await beat(gateway, { workspace_id: mine.id }, bearer(mine.token))).status).toBe(200);
  });

  it('H3: of an unknown or a removed workspace is answered and goes nowhere', async ({ world, bus }) => {
    const gone = await world.registry.enrol();
    await world.registry.say(gone.id, removed);
    const gateway = await world.gateway();
    const heard: string[] = [];
    bus.nats.subscribe(subjects.everyHeartbeat, { callback: (_, message) => void heard.push(message.subject) });
    for (const id of [gone.id, randomUUID(), 'no uuid', '*', 'a.b', '>', '__proto__', 'x'.repeat(1000)])
      expect(await beat(gateway, { workspace_id: id })).toMatchObject({ status: 200, text: '{"status":"ok"}' });
    const { id, token } = await world.registry.enrol();
    await waitFor(async () => {
      await beat(gateway, { workspace_id: id }, bearer(token));
      return heard.length > 0;
    });
    expect(new Set(heard)).toEqual(new Set([subjects.partialHeartbeat(id)]));
  });

  it('that is none is refused, whatever is wrong with it', async ({ world }) => {
    const { id } = await world.registry.enrol({ token: false });
    const gateway = await world.gateway();
    const deep = `{"workspace_id":"${id}","x":${'['.repeat(5000)}${']'.repeat(5000)}}`;
    for (const body of [
      '',
      'null',
      '[]',
      '{',
      'not json',
      '{"workspace_id":""}',
      '{"workspace_id":5}',
      '{"error_rate":0}',
      `{"workspace_id":"${id}","active_tasks":1.5}`,
      `{"workspace_id":"${id}","active_tasks":"1"}`,
      `{"workspace_id":"${id}","error_rate":1e400}`,
      `{"workspace_id":"${id}","uptime_seconds":9007199254740993}`,
      `{"workspace_id":"${id}","runtime_metadata":[]}`,
      `{"workspace_id":"${id}","runtime_metadata":{"capabilities":{"session":"yes"}}}`,
      deep,
      JSON.stringify({ workspace_id: id, sample_error: 'x'.repeat(70_000) }),
    ])
      expect({ body: body.slice(0, 80), ...(await beat(gateway, body)) }).toMatchObject({
        body: body.slice(0, 80),
        status: 400,
        text: '{"error":"invalid request body"}',
      });
    expect((await beat(gateway, { workspace_id: id, unknown: 1 }, { 'content-type': 'text/plain' })).status).toBe(200);
  });

  it('H2: is refused with a time to come back while there is no bus, and taken again when there is', async ({ world, log }) => {
    const nats = await withNats();
    const bus = await openBus({ servers: nats.url, name: 'test', log });
    await ensureStreams(bus);
    const registry = new TokenRegistry(bus, log);
    const { id, token } = await registry.enrol();
    const gateway = await world.gateway({ NATS_URL: nats.url });
    onTestFinished(async () => {
      await gateway.close();
      await registry.stop();
      await bus.close();
      await nats.dispose();
    });
    const send = () => beat(gateway, { workspace_id: id }, bearer(token));
    expect((await send()).status).toBe(200);
    await nats.stop();
    const refused = await waitFor(async () => {
      const answer = await send();
      return answer.status === 503 && answer;
    });
    expect(refused.headers['retry-after']).toBe('2');
    expect(JSON.parse(refused.text)).toMatchObject({ code: 'platform_unavailable' });
    await nats.start();
    await waitFor(async () => (await send()).status === 200, { timeoutMs: 10_000, what: 'the bus to be back' });
  });
});
