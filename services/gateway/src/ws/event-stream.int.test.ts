/** Event streams over real connections: who may listen, the very bytes, and when they end (spec 1 §6.3). */
import { randomUUID } from 'node:crypto';
import { LivePublisher } from '@molecule/bus';
import { Barrier } from '@molecule/directory';
import { createdData, removed, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { openStream, type Stream } from '../testing/listeners.ts';
import { status } from '../testing/registry.ts';
import { bearer, call, it } from '../testing/world.ts';

const online = status('online', 'WORKSPACE_ONLINE');
const heard = (stream: Stream, count: number) => waitFor(() => stream.events().length >= count, { what: `${count} events` });

describe('who may listen', () => {
  it('who holds a token of the workspace, or the admin token; nobody without one', async ({ world }) => {
    const mine = await world.registry.enrol();
    const other = await world.registry.enrol();
    const gateway = await world.gateway({ ADMIN_TOKEN: 'root' });
    await openStream(gateway, mine.id, { headers: bearer(mine.token) });
    await openStream(gateway, mine.id.toUpperCase(), { headers: bearer(mine.token) });
    await openStream(gateway, mine.id, { headers: bearer('root') });
    await expect(openStream(gateway, mine.id)).rejects.toThrow('401 {"error":"missing workspace auth token"}');
    const foreign = openStream(gateway, mine.id, { headers: bearer(other.token) });
    await expect(foreign).rejects.toThrow('401 {"error":"invalid workspace auth token"}');
    expect((await call(gateway, '/metrics')).text).toMatch(/^molecule_sse_connections_active(\{.*\})? 3$/m);
  });

  it('there is such a workspace, removed or not; else, or if nobody can say, it does not begin', async ({ world }) => {
    const { id } = await world.registry.enrol({ token: false });
    await world.registry.say(id, removed);
    const gateway = await world.gateway({ ADMIN_TOKEN: 'root' });
    const headers = bearer('root');
    await openStream(gateway, id, { headers });
    const unknown = randomUUID();
    await expect(openStream(gateway, unknown, { headers })).rejects.toThrow('404 {"error":"workspace not found"}');
    await expect(openStream(gateway, 'no-uuid', { headers })).rejects.toThrow('404 {"error":"workspace not found"}');
    await expect(openStream(gateway, unknown)).rejects.toThrow('401');
    world.registry.failing.add('resolve');
    await expect(openStream(gateway, unknown, { headers })).rejects.toThrow('500 {"error":"failed to verify workspace"}');
  });
});

describe('a right that ends', () => {
  it('while it is asked whether there is such a workspace, opens nothing any more', async ({ world }) => {
    const { token, id: tokenId } = await world.registry.orgToken();
    const gateway = await world.gateway({ ADMIN_TOKEN: 'root' });
    const unheard = randomUUID();
    world.registry.decide(unheard, { type: 'workspace.created', data: createdData() });
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    world.registry.beforeResolve = () => released;
    const opening = openStream(gateway, unheard, { headers: bearer(token) });
    const refused = expect(opening).rejects.toThrow('401 {"error":"invalid workspace auth token"}');
    await waitFor(() => world.registry.asked.resolve > 0, { what: 'the question' });
    await world.registry.revokeOrgToken(tokenId);
    await waitFor(async () => (await call(gateway, '/admin/health', { headers: bearer(token) })).status === 401, {
      what: 'the token to end',
    });
    release();
    await refused;
    await openStream(gateway, unheard, { headers: bearer('root') });
  });
});

describe('what they hear', () => {
  it('what happens to their workspace, persisted or not, and nothing else: byte by byte', async ({ world, bus, log }) => {
    const mine = await world.registry.enrol({ token: false });
    const child = await world.registry.enrol({ parentId: mine.id, token: false });
    const gateway = await world.gateway({ ADMIN_TOKEN: 'root' });
    const stream = await openStream(gateway, mine.id, { headers: bearer('root') });
    const live = new LivePublisher(bus, 'a2a-proxy', { log });
    await world.registry.say(child.id, online);
    const [first] = await world.registry.say(mine.id, online);
    await heard(stream, 1);
    const timestamp = '2026-11-22T12:00:00.250Z';
    live.say({ event: 'TASK_UPDATED', workspaceId: child.id, timestamp, payload: {} });
    live.say({ event: 'TASK_UPDATED', workspaceId: mine.id, timestamp, payload: { current_task: 'a\nb', active_tasks: 1 } });
    live.close();
    await heard(stream, 2);
    const { headers } = stream;
    expect(stream.response.statusCode).toBe(200);
    expect([headers['content-type'], headers['cache-control'], headers.connection, headers['x-accel-buffering']]).toEqual([
      'text/event-stream',
      'no-cache',
      'keep-alive',
      'no',
    ]);
    const [id] = /^id: .+$/m.exec(stream.text()) ?? [];
    expect(stream.text()).toBe(
      `: ping\n\n${id}\ndata: {"type":"WORKSPACE_ONLINE","timestamp":${Date.parse(first?.recordedAt ?? '')},"data":{}}\n\n` +
        `${id}\ndata: {"type":"TASK_UPDATED","timestamp":1795348800250,"data":{"current_task":"a\\nb","active_tasks":1}}\n\n`,
    );
  });
});

describe('how it ends', () => {
  it('with the token that opened it, before the write that ended it is answered; others stay', async ({ world, bus, log }) => {
    const mine = await world.registry.enrol();
    const second = await world.registry.issue(mine.id);
    const gateway = await world.gateway({ ADMIN_TOKEN: 'root' });
    const over = await openStream(gateway, mine.id, { headers: bearer(mine.token) });
    const kept = [
      await openStream(gateway, mine.id, { headers: bearer(second) }),
      await openStream(gateway, mine.id, { headers: bearer('root') }),
    ];
    const [token] = world.registry.entries.get(mine.id)?.tokens ?? [];
    if (token === undefined) throw new Error('no token');
    const barrier = new Barrier(bus, { log });
    await waitFor(() => barrier.present().length === 1, { what: 'the directory of the gateway' });
    await world.registry.say(mine.id, { type: 'token.revoked', data: { tokenId: token.tokenId, by: 'api' } });
    expect(await barrier.passed(mine.id, world.registry.version(mine.id))).toBe(true);
    // What the registry would answer now, nobody listens to any more.
    expect((await call(gateway, '/metrics')).text).toMatch(/^molecule_sse_connections_active(\{.*\})? 2$/m);
    barrier.close();
    await over.ended;
    await world.registry.say(mine.id, online);
    for (const stream of kept) await heard(stream, 1);
    expect(over.events()).toEqual([]);
  });

  it('with the removal of the workspace, after the news of it', async ({ world }) => {
    const { id, token } = await world.registry.enrol();
    const gateway = await world.gateway();
    const stream = await openStream(gateway, id, { headers: bearer(token) });
    await world.registry.say(id, removed);
    await stream.ended;
    expect(stream.events().map(({ type }) => type)).toEqual(['WORKSPACE_REMOVED']);
  });

  it('also for who does not read: it is cut off with its right', async ({ world, bus, log }) => {
    const { id, token } = await world.registry.enrol();
    const gateway = await world.gateway();
    const stopped = await openStream(gateway, id, { headers: bearer(token) });
    stopped.response.pause();
    stopped.response.socket.pause();
    const live = new LivePublisher(bus, 'a2a-proxy', { log });
    const say = () => {
      for (let n = 0; n < 50; n++)
        live.say({ event: 'ACTIVITY_LOGGED', workspaceId: id, timestamp: AT, payload: { padding: 'x'.repeat(40_000) } });
    };
    const metric = async (name: string) =>
      Number(new RegExp(`^${name}(?:\\{.*\\})? (\\d+)$`, 'm').exec((await call(gateway, '/metrics')).text)?.[1]);
    await waitFor(async () => {
      say();
      return (await metric('molecule_sse_dropped_total')) > 0;
    });
    live.close();
    await world.registry.revokeTokens(id);
    await waitFor(async () => (await metric('molecule_sse_connections_active')) === 0, { what: 'it to be cut off' });
  });

  it('when the client leaves, and when the gateway stops', async ({ world }) => {
    const { id, token } = await world.registry.enrol();
    const gateway = await world.gateway();
    const [leaving, staying] = [
      await openStream(gateway, id, { headers: bearer(token) }),
      await openStream(gateway, id, { headers: bearer(token) }),
    ];
    leaving.response.destroy();
    await waitFor(async () => /^molecule_sse_connections_active(\{.*\})? 1$/m.test((await call(gateway, '/metrics')).text), {
      what: 'the stream to be gone',
    });
    await gateway.close();
    await staying.ended;
  });
});

it('a reader that does not read loses what is too much for it; the others hear everything', { timeout: 30_000 }, async ({
  world,
  bus,
  log,
}) => {
  const { id } = await world.registry.enrol({ token: false });
  const gateway = await world.gateway({ ADMIN_TOKEN: 'root' });
  const headers = bearer('root');
  const healthy = await openStream(gateway, id, { headers });
  const stopped = await openStream(gateway, id, { headers });
  stopped.response.pause();
  stopped.response.socket.pause();
  const live = new LivePublisher(bus, 'a2a-proxy', { log });
  const padding = 'x'.repeat(20_000);
  const events = 1_000;
  for (let n = 0; n < events; n++) {
    live.say({ event: 'ACTIVITY_LOGGED', workspaceId: id, timestamp: AT, payload: { n, padding } });
    if (n % 25 === 0) await waitFor(() => healthy.events().length >= n - 25);
  }
  live.close();
  await heard(healthy, events);
  expect(healthy.events().map(({ data }) => data['n'])).toEqual([...Array(events).keys()]);
  const { text } = await call(gateway, '/metrics');
  expect(Number(/^molecule_sse_dropped_total(?:\{.*\})? (\d+)$/m.exec(text)?.[1])).toBeGreaterThan(100);
});

const AT = '2026-11-22T12:00:00.000Z';
