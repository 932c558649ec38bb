/**
 * What is odd but allowed, and what is broken on the way: strange members and texts in bodies, frames nobody asked for, and rubbish on
 * the bus. It is passed over, handed on as it came, or parked where it can be seen; it never holds up what comes after it.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { type Bus, listParked, openBus } from '@molecule/bus';
import { subjects } from '@molecule/contracts';
import { testLog, waitFor } from '@molecule/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { deep } from './harness/bad-input.ts';
import { Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { knock } from './harness/knock.ts';
import { countFacts } from './harness/ledger.ts';
import { schedule } from './harness/schedules.ts';
import { Team } from './harness/team.ts';

let cluster: Cluster;
let client: Client;
let team: Team;
let bus: Bus;

beforeAll(async () => {
  cluster = await Cluster.start({ env: { A2A_IDLE_TIMEOUT_SECONDS: '20' } });
  client = new Client(cluster.url());
  team = new Team(cluster);
  bus = await openBus({ servers: cluster.nats.url, name: 'test', log: testLog() });
});

afterAll(async () => {
  await bus?.close();
  await team?.leave();
  await cluster?.stop({ keep: process.env['KEEP_E2E'] === '1' });
});

const post = (path: string, body: string, headers: Record<string, string> = {}) =>
  knock(cluster.url(), { method: 'POST', path, body, headers });

describe('what is odd but allowed', () => {
  it('changes nothing that it does not name', async () => {
    const { id, agent } = await team.join('odd');
    agent.link?.stopBeating();
    const headers = { authorization: `Bearer ${agent.link?.token}` };
    const shown = async () => (await client.get(`/workspaces/${id}`)).body;
    const before = await shown();
    const facts = await countFacts(cluster.postgres.url);
    const bodies = [
      '{"__proto__":{"name":"polluted"},"constructor":{"prototype":{"tier":4}}}',
      '{"x":1e400,"y":1}',
      '{"name":5,"tier":"4","runtime":[],"collapsed":"yes","parent_id":{}}',
      json({ parent_id: id, status: 'removed', url: 'http://127.0.0.1:1', budget_limit: 0 }),
      json({ parent_id: randomUUID(), name: null }),
    ];
    for (const body of bodies)
      expect(await knock(cluster.url(), { method: 'PATCH', path: `/workspaces/${id}`, body, headers })).toMatchObject(UPDATED);
    for (const workspace_id of [randomUUID(), 'x', '__proto__'])
      expect(await post('/registry/heartbeat', json({ workspace_id, error_rate: 1 }))).toMatchObject({ status: 200, text: OK });
    for (const workspace_id of [randomUUID(), 'x'])
      expect(await post('/registry/update-card', json({ workspace_id, agent_card: {} }))).toMatchObject(UPDATED);
    expect(await shown()).toEqual(before);
    expect(await countFacts(cluster.postgres.url)).toEqual(facts);
    expect(({} as { name?: string }).name).toBeUndefined();
  });

  it('in a beat is cut to size or passed over', async () => {
    const { id, agent } = await team.join('odd-beats');
    agent.link?.stopBeating();
    const beats = [
      { active_tasks: -5, monthly_spend: -5, uptime_seconds: 0 },
      { sample_error: 'x'.repeat(60_000), current_task: '\u202e\u0007' },
      { runtime_metadata: { capabilities: JSON.parse('{"__proto__":true,"flying":true}'), idle_timeout_seconds: -1 } },
      { runtime_metadata: { idle_timeout_seconds: 1e15 } },
      { error_rate: -1e300, monthly_spend: 2_000_000_000_000 },
    ];
    for (const beat of beats) expect((await agent.link?.beat(beat))?.status).toBe(200);
    const { body } = await client.get('/workspaces');
    const row = body.find((one: { id: string }) => one.id === id);
    expect(row).toMatchObject({ status: 'online', monthly_spend: 1_000_000_000_000 });
    expect((await client.send(id, 'still there?')).status).toBe(200);
  });

  it('in a message is the agent’s business, also from its mailbox', async () => {
    const { id, agent } = await team.join('odd-messages');
    agent.link?.stopBeating();
    const message = (more: object) => json({ method: 'message/send', params: { message: { role: 'user', parts: [], ...more } } });
    const bodies = [
      message({ messageId: '\0', parts: [{ kind: 'text', text: 'a\0b' }] }),
      message({ messageId: 'm'.repeat(100_000), parts: [{ kind: 'text', text: '\ud800' }] }),
      message({ messageId: 5, parts: 'none' }),
      '{"method":"message/send","params":{"__proto__":{"message":{}},"message":{"__proto__":{"messageId":"x"},"messageId":"proto"}}}',
      `{"method":"message/send","params":{"message":{"messageId":"deep","parts":${deep(150)}}}}`,
      '{"method":7,"params":"none"}',
      '{"jsonrpc":"2.0","id":{"odd":[1e400]},"method":"no/such"}',
    ];
    const path = `/workspaces/${id}/a2a`;
    for (const body of bodies) expect((await post(path, body)).status, body.slice(0, 100)).toBe(200);

    agent.behave({ kind: 'reset' });
    for (const body of bodies) expect((await post(path, body)).status, `to a busy one: ${body.slice(0, 100)}`).toBe(202);
    const tried = agent.received.length;
    agent.behave({ kind: 'echo' });
    agent.link?.startBeating(100);
    await agent.waitForMessages(tried + bodies.length, 20_000);
    await waitFor(async () => (await client.get('/admin/audit')).body.open === 0, { timeoutMs: 20_000, what: 'all to end' });
    expect((await client.get('/admin/audit')).body).toMatchObject({ balanced: true, failed: 0, dropped: 0 });
    const delivered = agent.received
      .filter(({ outcome }) => outcome === 'answered')
      .map(({ messageId }) => messageId?.slice(0, 5));
    expect(delivered.slice(-bodies.length)).toEqual(delivered.slice(0, bodies.length));
    expect((await client.get(`/workspaces/${id}/activity`)).body.length).toBeGreaterThanOrEqual(bodies.length);
  });
});

describe('a canvas that talks', () => {
  it('is not listened to, and told all the same', async () => {
    const socket = new WebSocket(`${cluster.url().replace('http', 'ws')}/ws`);
    const heard: string[] = [];
    socket.on('message', (data) => heard.push(String(data)));
    await new Promise((resolve) => socket.once('open', resolve));
    for (const frame of ['{"event":"WORKSPACE_REMOVED"}', '{', '\0', randomBytes(1_000)]) socket.send(frame);
    socket.ping();
    const id = await client.create('told', { external: true });
    await waitFor(() => heard.find((frame) => frame.includes(id)), { what: 'the canvas to be told' });
    expect(heard.every((frame) => typeof JSON.parse(frame).event === 'string')).toBe(true);
    socket.terminate();
  });

  it.each([
    ['/workspaces', {}],
    ['/ws/x', {}],
    ['/ws', { origin: 'http://evil.example' }],
  ])('has no socket at %s with %j', async (path, headers) => {
    const socket = new WebSocket(`${cluster.url().replace('http', 'ws')}${path}`, { headers });
    const refused = await new Promise((resolve) => {
      socket.once('open', () => resolve('open'));
      socket.once('error', (error) => resolve(error.message));
    });
    expect(refused).toMatch(/^Unexpected server response: (200|403|404)$/);
  });
});

describe('rubbish on the bus', () => {
  const RUBBISH: Readonly<Record<string, Uint8Array | string>> = {
    'random bytes': randomBytes(300),
    nothing: '',
    'half of something': '{"id":"',
    'another shape': '{"type":"workspace.created","data":{"name":5}}',
    'a type from nowhere': json({ id: randomUUID(), type: 'workspace.beamed-up', data: {} }),
    'arrays in each other': deep(20_000),
    'too much': 'x'.repeat(500_000),
  };

  it('is parked where it can be seen, and holds nobody up', async () => {
    const about = randomUUID();
    const canvas = await client.socket();
    const { id: alive, agent } = await team.join('alive');
    const subject = subjects.fact('workspace.created', about);
    for (const body of Object.values(RUBBISH)) {
      await bus.js.publish(subject, body);
      // Of beats only the last is kept, and none is acknowledged: here it is in place of what the living one said.
      for (const id of [about, alive]) bus.nats.publish(subjects.heartbeat(id), body);
      for (const live of [
        subjects.live('registry', 'rubbish'),
        'live.nobody.known',
        subjects.directoryBarrier,
        subjects.directoryPresence,
      ])
        bus.nats.publish(live, body);
      for (const ask of ['ask.registry.directory', 'ask.provisioner.backend', 'ask.provisioner.reap', 'ask.registry.health'])
        bus.nats.publish(ask, body, { reply: 'nobody.listens' });
    }
    await bus.nats.flush();

    const parked = await waitFor(
      async () => {
        const all = (await listParked(bus, { limit: 1_000 })).filter(({ origin }) => origin.subject === subject);
        const consumers = new Set(all.map(({ consumer }) => consumer));
        return consumers.size > 0 && all.length === consumers.size * Object.keys(RUBBISH).length && all;
      },
      { timeoutMs: 20_000, what: 'all of it to be parked by each that reads facts' },
    );
    for (const { error, origin } of parked)
      expect({ error, stream: origin.stream }).toMatchObject({ stream: 'FACTS', error: /./ });

    await everybodyHears(canvas);
    expect(await agent.link?.beat()).toMatchObject({ status: 200 });
    expect(await client.status(alive)).toBe('online');
    expect((await client.get(`/workspaces/${about}`)).status).toBe(404);
    canvas.close();
  });

  it('is in nobody’s way when they start', async () => {
    const names = cluster.names();
    await Promise.all(names.map((name) => cluster.kill(name)));
    await Promise.all(names.map((name) => cluster.restart(name)));
    const canvas = await client.socket();
    await everybodyHears(canvas);
    canvas.close();
  });

  /** A workspace made now is started, beats, is spoken to, is scheduled and is told of: all six have heard. */
  async function everybodyHears(canvas: Awaited<ReturnType<Client['socket']>>): Promise<void> {
    const id = await client.create('after', { runtime: 'echo', tier: 2 });
    await client.reaches(id, 'online');
    await canvas.hears(id, 'WORKSPACE_HEARTBEAT');
    expect((await client.send(id, 'hello')).status).toBe(200);
    expect(await schedule(client, id, 'later')).toMatchObject({ prompt: 'later' });
    expect((await client.delete(`/workspaces/${id}`)).body.status).toBe('removed');
    await canvas.hears(id, 'WORKSPACE_REMOVED');
  }
});

const json = (value: unknown): string => JSON.stringify(value);
const OK = json({ status: 'ok' });
const UPDATED = { status: 200, text: json({ status: 'updated' }) };
