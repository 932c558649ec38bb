/** The socket over real connections: who may listen, what they hear and in which order, and what a slow one costs. */
import { randomUUID } from 'node:crypto';
import { createConnection, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { LivePublisher } from '@molecule/bus';
import { type ScheduleFact, ScheduleId, STREAMS, WorkspaceId } from '@molecule/contracts';
import { recordedFact, removed, waitFor } from '@molecule/testkit';
import { describe, expect, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { Line } from '../testing/line.ts';
import { heard, listenTo, names, openStream } from '../testing/listeners.ts';
import { moved, status } from '../testing/registry.ts';
import { bearer, call, type Gateway, it, PRODUCTION } from '../testing/world.ts';
import { seqOf } from './seq.ts';

describe('who may listen', () => {
  it('a canvas, without a word; a workspace, with a token of its own once it has one', async ({ world }) => {
    const mine = await world.registry.enrol();
    const other = await world.registry.enrol();
    const tokenless = await world.registry.enrol({ token: false });
    const gateway = await world.gateway({ ADMIN_TOKEN: 'root' });
    await listenTo(gateway);
    await listenTo(gateway, { 'X-Workspace-ID': mine.id, ...bearer(mine.token) });
    await listenTo(gateway, { 'X-Workspace-ID': tokenless.id });
    const as = (headers: Record<string, string>) => listenTo(gateway, { 'X-Workspace-ID': mine.id, ...headers });
    await expect(as({})).rejects.toThrow('401 {"error":"missing workspace auth token"}');
    await expect(as(bearer('root'))).rejects.toThrow('401 {"error":"invalid workspace auth token"}');
    await expect(as(bearer(other.token))).rejects.toThrow('401 {"error":"invalid workspace auth token"}');
    expect((await call(gateway, '/metrics')).text).toMatch(/^molecule_websocket_connections_active(\{.*\})? 3$/m);
  });

  it('no page of somebody else', async ({ world }) => {
    const gateway = await world.gateway();
    await expect(listenTo(gateway, { origin: 'https://evil.example' })).rejects.toThrow(/^403 $/);
    await listenTo(gateway, { origin: 'http://localhost:3000' });
    await listenTo(gateway, { origin: `http://127.0.0.1:${gateway.port}` });
  });

  it('in production only who is known', async ({ world }) => {
    const tokenless = await world.registry.enrol({ token: false });
    const mine = await world.registry.enrol();
    const gateway = await world.gateway(PRODUCTION);
    await expect(listenTo(gateway)).rejects.toThrow('401 {"error":"admin auth required"}');
    await expect(listenTo(gateway, { 'X-Workspace-ID': tokenless.id })).rejects.toThrow('401');
    await listenTo(gateway, bearer('root'));
    await listenTo(gateway, { 'X-Workspace-ID': mine.id, ...bearer(mine.token) });
  });

  it('and no other path is upgraded', async ({ world }) => {
    const gateway = await world.gateway();
    const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/events`);
    await expect(new Promise((_, reject) => socket.once('error', reject))).rejects.toThrow('503');
  });
});

describe('what they hear', () => {
  it('a canvas hears all of it: compact, in the order of the facts of each workspace', async ({ world }) => {
    const gateway = await world.gateway();
    const canvas = await listenTo(gateway);
    const { id } = await world.registry.enrol({ token: false });
    const [fact] = await world.registry.say(id, status('online', 'WORKSPACE_ONLINE'));
    await world.registry.say(id, status('offline', 'WORKSPACE_OFFLINE'), removed);
    await heard(canvas, 4);
    expect(names(canvas)).toEqual(['WORKSPACE_PROVISIONING', 'WORKSPACE_ONLINE', 'WORKSPACE_OFFLINE', 'WORKSPACE_REMOVED']);
    expect(canvas.raw[1]).toBe(
      `{"event":"WORKSPACE_ONLINE","workspace_id":"${id}","timestamp":"${fact?.recordedAt}","payload":{},"seq":"${canvas.frames[1]?.seq}"}`,
    );
    expect(canvas.frames[0]?.payload).toEqual({ name: 'atlas', tier: 1, runtime: 'echo' });
  });

  it('a workspace hears what concerns those it may talk to, and that changes with the tree', async ({ world }) => {
    const parent = await world.registry.enrol({ token: false });
    const mine = await world.registry.enrol({ parentId: parent.id });
    const sibling = await world.registry.enrol({ parentId: parent.id, token: false });
    const cousin = await world.registry.enrol({ parentId: sibling.id, token: false });
    const gateway = await world.gateway();
    const agent = await listenTo(gateway, { 'X-Workspace-ID': mine.id, ...bearer(mine.token) });
    const canvas = await listenTo(gateway);
    const online = status('online', 'WORKSPACE_ONLINE');
    for (const { id } of [mine, sibling, cousin, parent]) await world.registry.say(id, online);
    await world.registry.say(cousin.id, moved(parent.id), status('offline', 'WORKSPACE_OFFLINE'));
    await heard(canvas, 5);
    await heard(agent, 4);
    expect(agent.frames.map(({ event, workspace_id }) => [event, workspace_id])).toEqual([
      ['WORKSPACE_ONLINE', mine.id],
      ['WORKSPACE_ONLINE', sibling.id],
      ['WORKSPACE_ONLINE', parent.id],
      ['WORKSPACE_OFFLINE', cousin.id],
    ]);
  });

  it('what is said live comes behind the fact it was said after, also when it overtook it on the bus', async ({
    world,
    bus,
    log,
  }) => {
    const gateway = await world.gateway();
    const canvas = await listenTo(gateway);
    const { id } = await world.registry.enrol({ token: false });
    await heard(canvas, 1);
    const live = new LivePublisher(bus, 'registry', { log });
    const say = (after: number, n: number) =>
      live.say({ event: 'WORKSPACE_HEARTBEAT', workspaceId: id, timestamp: new Date().toISOString(), payload: { n }, after });
    say(1, 0);
    say(2, 1);
    say(2, 2);
    live.flush();
    await heard(canvas, 2);
    await world.registry.say(id, status('online', 'WORKSPACE_ONLINE'));
    await heard(canvas, 5);
    expect(canvas.frames.map(({ event, payload }) => [event, (payload as { n?: number }).n])).toEqual([
      ['WORKSPACE_PROVISIONING', undefined],
      ['WORKSPACE_HEARTBEAT', 0],
      ['WORKSPACE_ONLINE', undefined],
      ['WORKSPACE_HEARTBEAT', 1],
      ['WORKSPACE_HEARTBEAT', 2],
    ]);
    say(99, 3);
    live.flush();
    await heard(canvas, 6);
    live.close();
  });

  it('facts of other services too', async ({ world }) => {
    const gateway = await world.gateway();
    const canvas = await listenTo(gateway);
    const workspaceId = WorkspaceId.parse(randomUUID());
    const at = '2026-11-22T12:00:00.000Z';
    const scheduleId = ScheduleId.parse(randomUUID());
    const data = { scheduleId, workspaceId, name: 'nightly', dueAt: at, ranAt: at, nextRunAt: at };
    const skipped: ScheduleFact = { type: 'schedule.skipped', data: { ...data, reason: 'busy', activeTasks: 2 } };
    await world.registry.tell(recordedFact(skipped, { workspaceId, version: 1, stream: `schedule.${scheduleId}` }));
    await heard(canvas, 1);
    expect(canvas.frames[0]).toMatchObject({
      event: 'CRON_SKIPPED',
      workspace_id: workspaceId,
      payload: { schedule_name: 'nightly', reason: 'skipped: workspace busy (active_tasks=2)' },
    });
  });
});

describe('where events stand', () => {
  it('the same on every gateway and every wire for what is persisted; live, that of the last fact before', async ({
    world,
    bus,
    log,
  }) => {
    const { id } = await world.registry.enrol({ token: false });
    const gateways = [await world.gateway({ ADMIN_TOKEN: 'root' }), await world.gateway({ ADMIN_TOKEN: 'root' })] as const;
    const [one, two] = [await listenTo(gateways[0]), await listenTo(gateways[1])];
    const stream = await openStream(gateways[1], id, { headers: bearer('root') });
    const live = new LivePublisher(bus, 'registry', { log });
    const beat = () => {
      live.say({ event: 'WORKSPACE_HEARTBEAT', workspaceId: id, timestamp: new Date().toISOString(), payload: {} });
      live.flush();
    };
    beat();
    for (const listener of [one, two]) await heard(listener, 1);
    await world.registry.say(id, status('online', 'WORKSPACE_ONLINE'), moved(null), status('offline', 'WORKSPACE_OFFLINE'));
    for (const listener of [one, two]) await heard(listener, 3);
    beat();
    for (const listener of [one, two]) await heard(listener, 4);
    live.close();
    await waitFor(() => stream.events().length === 4);
    const { created, state } = await bus.jsm.streams.info(STREAMS.facts);
    const at = (sequence: number) => seqOf({ epoch: created, sequence });
    const last = state.last_seq;
    const expected = [at(last - 3), at(last - 2), at(last), at(last)];
    expect(one.frames.map(({ seq }) => seq)).toEqual(expected);
    expect(two.frames.map(({ seq }) => seq)).toEqual(expected);
    expect(stream.events().map(({ id }) => id)).toEqual(expected);
  });
});

describe('how it ends', () => {
  it('with the token it began with, after the news of it', async ({ world }) => {
    const revoked = await world.registry.enrol();
    const gone = await world.registry.enrol();
    const gateway = await world.gateway();
    const first = await listenTo(gateway, { 'X-Workspace-ID': revoked.id, ...bearer(revoked.token) });
    const second = await listenTo(gateway, { 'X-Workspace-ID': gone.id, ...bearer(gone.token) });
    await world.registry.revokeTokens(revoked.id);
    expect(await first.closed).toBe(1008);
    await world.registry.say(gone.id, removed);
    expect(await second.closed).toBe(1008);
    expect(names(second)).toContain('WORKSPACE_REMOVED');
    expect((await call(gateway, '/health')).status).toBe(200);
  });

  it('for who came without a token: with the first token of its workspace, or the removal', async ({ world }) => {
    const [first, second] = [await world.registry.enrol({ token: false }), await world.registry.enrol({ token: false })];
    const gateway = await world.gateway();
    const enrolled = await listenTo(gateway, { 'X-Workspace-ID': first.id });
    const gone = await listenTo(gateway, { 'X-Workspace-ID': second.id });
    await world.registry.issue(first.id);
    expect(await enrolled.closed).toBe(1008);
    await world.registry.say(second.id, removed);
    expect(await gone.closed).toBe(1008);
    expect(names(gone)).toContain('WORKSPACE_REMOVED');
  });

  it('also when the end of the token was missed and read again', async ({ world, bus, natsUrl }) => {
    const [mine, kept] = [await world.registry.enrol(), await world.registry.enrol()];
    const tokenless = await world.registry.enrol({ token: false });
    const line = new Line(natsUrl);
    const gateway = await world.gateway({ NATS_URL: await line.open() });
    const over = await listenTo(gateway, { 'X-Workspace-ID': mine.id, ...bearer(mine.token) });
    const stays = await listenTo(gateway, { 'X-Workspace-ID': kept.id, ...bearer(kept.token) });
    const gone = await listenTo(gateway, { 'X-Workspace-ID': tokenless.id });
    const { config } = await bus.jsm.streams.info(STREAMS.facts);
    await bus.jsm.streams.delete(STREAMS.facts);
    for (const { tokenId } of world.registry.entries.get(mine.id)?.tokens ?? [])
      world.registry.decide(mine.id, { type: 'token.revoked', data: { tokenId, by: 'api' } });
    world.registry.decide(tokenless.id, removed);
    await bus.jsm.streams.add(config);
    line.drop();
    expect(await over.closed).toBe(1008);
    expect(await gone.closed).toBe(1008);
    expect(stays.socket.readyState).toBe(WebSocket.OPEN);
  });

  it('with a goodbye to everybody when the gateway stops', async ({ world }) => {
    const gateway = await world.gateway();
    const listeners = await Promise.all([listenTo(gateway), listenTo(gateway)]);
    const started = performance.now();
    await gateway.close();
    expect(await Promise.all(listeners.map(({ closed }) => closed))).toEqual([1001, 1001]);
    expect(performance.now() - started).toBeLessThan(3_000);
  });

  it('for a client that breaks the rules, and for nobody else', async ({ world }) => {
    const gateway = await world.gateway();
    const good = await listenTo(gateway);
    const bad = await listenTo(gateway);
    bad.socket.on('error', () => {});
    bad.socket.send('hello');
    bad.socket.send('x'.repeat(100_000));
    expect(await bad.closed).toBe(1009);
    await world.registry.enrol({ token: false });
    await heard(good, 1);
  });
});

describe('a client that does not read', () => {
  it('loses what is too much for it; memory stays bounded, the others hear everything', { timeout: 30_000 }, async ({
    world,
    bus,
    log,
  }) => {
    const gateway = await world.gateway();
    const healthy = await listenTo(gateway);
    const stopped = await upgradeByHand(gateway);
    stopped.pause();
    const live = new LivePublisher(bus, 'a2a-proxy', { log });
    const before = externalBytes();
    const events = 1_500;
    const padding = 'x'.repeat(20_000);
    for (let n = 0; n < events; n++) {
      const workspaceId = randomUUID();
      live.say({ event: 'ACTIVITY_LOGGED', workspaceId, timestamp: new Date().toISOString(), payload: { n, padding } });
      if (n % 50 === 0) await waitFor(() => healthy.frames.length >= n - 100);
    }
    live.close();
    await heard(healthy, events);
    expect(healthy.frames.map(({ payload }) => (payload as { n: number }).n)).toEqual([...Array(events).keys()]);
    const { text } = await call(gateway, '/metrics');
    const dropped = Number(/^molecule_websocket_dropped_total(?:\{.*\})? (\d+)$/m.exec(text)?.[1]);
    expect(dropped).toBeGreaterThan(500);
    // 256 events of 20 KB may wait for it, and not the 30 MB that were told. What is let go of goes a little later.
    await waitFor(() => externalBytes() - before < 15e6, { what: 'the memory of what was dropped to be given back' });
    stopped.destroy();
  });
});

/** What is held outside the heap: garbage is not. */
function externalBytes(): number {
  setFlagsFromString('--expose-gc');
  runInNewContext('gc')();
  return process.memoryUsage().external;
}

/** A socket that is open as a WebSocket and has nobody who reads it. */
function upgradeByHand({ port }: Gateway): Promise<Socket> {
  const key = Buffer.from(randomUUID()).subarray(0, 16).toString('base64');
  const socket = createConnection(port, '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.write(
    `GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
  );
  return new Promise((resolve, reject) => {
    socket.once('data', (head) => (String(head).startsWith('HTTP/1.1 101') ? resolve(socket) : reject(new Error(String(head)))));
    socket.once('error', reject);
  });
}
