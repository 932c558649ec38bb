/**
 * The story that must run (README), told from outside: six service processes, a real agent process, nothing mocked. Leases are short
 * so that nobody waits; everything else is as it is.
 */
import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { id12 } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentProcess, agentProcesses } from './harness/agents.ts';
import { Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { schedule, scheduleOf } from './harness/schedules.ts';
import { Team } from './harness/team.ts';

const LEASE_SECONDS = 4;

let cluster: Cluster;
let client: Client;
let team: Team;

beforeAll(async () => {
  cluster = await Cluster.start({
    replicas: { scheduler: 2 },
    env: {
      LIVENESS_LEASE_SECONDS: String(LEASE_SECONDS),
      SWEEP_INTERVAL_SECONDS: '1',
      SCHEDULER_TICK_SECONDS: '1',
      A2A_IDLE_TIMEOUT_SECONDS: '20',
    },
  });
  client = new Client(cluster.url());
  team = new Team(cluster);
});

afterAll(async () => {
  await team?.leave();
  await cluster?.stop();
});

describe('a workspace on the process backend', () => {
  it('is provisioned, beats, answers, dies and is started again, and leaves nothing', async () => {
    const canvas = await client.socket();
    const id = await client.create('atlas', { runtime: 'echo', tier: 2 });
    await client.reaches(id, 'online');
    await canvas.hears(id, 'WORKSPACE_HEARTBEAT');
    const told = canvas.eventsOf(id);
    const [provisioning, online, heartbeat] = ['WORKSPACE_PROVISIONING', 'WORKSPACE_ONLINE', 'WORKSPACE_HEARTBEAT'].map((event) =>
      told.indexOf(event),
    ) as [number, number, number];
    expect(provisioning).toBe(0);
    expect(online).toBeGreaterThan(provisioning);
    expect(heartbeat).toBeGreaterThan(online);

    const answer = await client.send(id, 'hello');
    expect(answer.status).toBe(200);
    expect(JSON.stringify(answer.body)).toContain('hello');
    const row = await waitFor(async () => (await client.get(`/workspaces/${id}/activity`)).body[0], { what: 'the activity row' });
    expect(row).toMatchObject({
      activity_type: 'a2a_receive',
      status: 'ok',
      method: 'message/send',
      summary: 'message/send → atlas',
      source_id: null,
    });

    process.kill(agentProcess(id), 'SIGKILL');
    await canvas.hears(id, 'WORKSPACE_OFFLINE');
    await client.reaches(id, 'online'); // started again by itself
    await waitFor(async () => (await client.send(id, 'back?')).status === 200, { what: 'an answer of the new agent' });

    expect(await client.delete(`/workspaces/${id}`)).toEqual({ status: 200, body: { status: 'removed', cascade_deleted: 0 } });
    await canvas.hears(id, 'WORKSPACE_REMOVED');
    expect(agentProcesses(id)).toEqual([]);
    const left = existsSync(join(cluster.home, 'workspaces')) ? await readdir(join(cluster.home, 'workspaces')) : [];
    expect(left).not.toContain(id12(id));
    canvas.close();
  });

  it('is gone with its process when it is deleted alive', async () => {
    const id = await client.create('brief', { runtime: 'echo', tier: 2 });
    await client.reaches(id, 'online');
    expect(agentProcesses(id)).toHaveLength(1);
    expect((await client.delete(`/workspaces/${id}`)).body.status).toBe('removed');
    expect(agentProcesses(id)).toEqual([]);
    expect(await client.status(id)).toBe('removed');
  });
});

describe('a busy agent', () => {
  it('gets its queued messages in order, each once, as soon as it is free', async () => {
    const { agent, id } = await team.join('busy');
    agent.link?.stopBeating(); // not at the next beat
    agent.behaveNext({ kind: 'hang' }, { kind: 'reset' }, { kind: 'reset' });
    const running = client.send(id, 'running');
    await agent.waitForCalls(1);

    const queued = [await client.send(id, 'first'), await client.send(id, 'second')];
    expect(queued.map(({ status }) => status)).toEqual([202, 202]);
    expect(queued.map(({ body }) => body)).toMatchObject([
      { queued: true, queue_depth: 1, message: 'workspace agent busy — request queued, will dispatch when capacity available' },
      { queued: true, queue_depth: 2 },
    ]);

    // Where each of them is, and what comes of it, is told where the answer says.
    const places = queued.map(({ location }) => location ?? '');
    const seen = await Promise.all(places.map((place) => client.get(place)));
    expect(seen.map(({ status, body }) => [status, body.state, body.position])).toEqual([
      [200, 'queued', 1],
      [200, 'queued', 2],
    ]);
    const ends = places.map((place) => client.get(`${place}?wait=60`));

    agent.release();
    expect((await running).status).toBe(200);
    for (const { body } of await Promise.all(ends))
      expect(body).toMatchObject({ state: 'completed', attempts: 1, result: { jsonrpc: '2.0' } });
    await agent.waitForMessages(5, 2_000);
    expect(agent.received.filter(({ outcome }) => outcome === 'answered').map(({ text }) => text)).toEqual([
      'running',
      'first',
      'second',
    ]);
  });

  it('loses nothing when it is busy again while its mailbox is drained', async () => {
    const { agent, id } = await team.join('busy-again');
    agent.link?.stopBeating();
    agent.behaveNext({ kind: 'reset' }, { kind: 'reset' }, { kind: 'reset' });
    expect((await client.send(id, 'one')).status).toBe(202);
    expect((await client.send(id, 'two')).status).toBe(202);
    agent.link?.startBeating(200);
    const answered = () => agent.received.filter(({ outcome }) => outcome === 'answered').map(({ text }) => text);
    await waitFor(() => answered().length === 2, { timeoutMs: 20_000, what: 'both messages' });
    expect(answered()).toEqual(['one', 'two']);
  });
});

describe('a schedule', () => {
  it('fires once with two schedulers', async () => {
    const { agent, id } = await team.join('on-time');
    const canvas = await client.socket();
    await schedule(client, id, 'stand up');
    await agent.waitForMessages(1, 75_000);
    await canvas.hears(id, 'CRON_EXECUTED');
    // Past the next look of both schedulers, and still once.
    await waitFor(async () => (await scheduleOf(client, id)).run_count === 1, { what: 'the run to be counted' });
    expect(agent.received.map(({ text }) => text)).toEqual(['stand up']);
    expect(agent.received[0]?.messageId).toMatch(/^cron-[0-9a-f]{8}-[0-9a-f]{8}$/);
    expect(
      (await client.get('/events')).body.filter(
        (event: { event_type: string; workspace_id: string }) =>
          event.event_type === 'CRON_EXECUTED' && event.workspace_id === id,
      ),
    ).toHaveLength(1);
    canvas.close();
  });
});
