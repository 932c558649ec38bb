/**
 * The story that must run (README), told from outside: six service processes, a real agent process, nothing mocked. Leases are short
 * so that nobody waits; everything else is as it is.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { id12 } from '@molecule/contracts';
import { type Agent, startAgent, waitFor } from '@molecule/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';

const LEASE_SECONDS = 4;

let cluster: Cluster;
let client: Client;
const agents: Agent[] = [];

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
});

afterAll(async () => {
  await Promise.all(agents.map((agent) => agent.stop()));
  await cluster?.stop();
});

/** An agent of the test's own, registered with a workspace made for it, beating like a real one. */
async function agentOf(
  name: string,
  declared: { capabilities?: Record<string, boolean>; idleTimeoutSeconds?: number } = {},
): Promise<{ agent: Agent; id: string }> {
  const id = await client.create(name, { external: true });
  const agent = await startAgent({ link: { gateway: cluster.url(), workspaceId: id, ...declared, ...(await mintedToken(id)) } });
  agents.push(agent);
  expect((await agent.link?.register())?.status).toBe(200);
  agent.link?.startBeating(1_000);
  expect((await agent.link?.beat())?.status).toBe(200);
  return { agent, id };
}

/** A token beside the one that the create answer showed once. */
const mintedToken = async (id: string): Promise<{ token: string }> => ({
  token: (await client.get(`/admin/workspaces/${id}/test-token`)).body.auth_token,
});

describe('a workspace on the process backend', () => {
  it('is provisioned, beats, answers, dies and is noticed, and leaves nothing', async () => {
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

    process.kill(await agentProcess(id), 'SIGKILL');
    await client.reaches(id, 'offline');
    await canvas.hears(id, 'WORKSPACE_OFFLINE');

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
    const { agent, id } = await agentOf('busy');
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

    agent.release();
    expect((await running).status).toBe(200);
    await agent.waitForMessages(5, 2_000);
    expect(agent.received.filter(({ outcome }) => outcome === 'answered').map(({ text }) => text)).toEqual([
      'running',
      'first',
      'second',
    ]);
  });

  it('loses nothing when it is busy again while its mailbox is drained', async () => {
    const { agent, id } = await agentOf('busy-again');
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

describe('what a runtime declares', () => {
  it('is heeded, and survives a restart of every service', async () => {
    const session = await agentOf('own-session', { capabilities: { session: true } });
    const scheduler = await agentOf('own-scheduler', { capabilities: { scheduler: true } });
    const status = await agentOf('own-status', { capabilities: { status_mgmt: true } });
    const patient = await agentOf('impatient', { idleTimeoutSeconds: 2 });
    for (const { agent } of [session, scheduler, status, patient]) agent.link?.stopBeating();

    for (const round of ['before', 'after a restart of every service']) {
      if (round !== 'before') await restartEverything();
      await sessionIsOwn(session, round);
      await statusIsOwn(status, round);
      await timeoutIsOwn(patient, round);
    }
    await schedulerIsOwn(scheduler);
  });
});

async function sessionIsOwn({ agent, id }: { agent: Agent; id: string }, round: string): Promise<void> {
  agent.behaveNext({ kind: 'reset' });
  const { status, body } = await client.send(id, `session ${round}`);
  expect({ status, body }, round).toEqual({
    status: 503,
    body: {
      error: 'workspace agent busy — adapter handles retry (native_session)',
      busy: true,
      retry_after: 30,
      native_session: true,
    },
  });
}

/** All beats here are partial ones: they say nothing of capabilities, so what was declared before counts. */
async function statusIsOwn({ agent, id }: { agent: Agent; id: string }, round: string): Promise<void> {
  const beat = (said: object) => agent.link?.beat({ ...said, runtime_metadata: undefined });
  if (round === 'before') {
    await beat({ error_rate: 0.9 });
    expect(await client.status(id)).toBe('online');
    await beat({ runtime_state: 'wedged', sample_error: 'stuck' });
  }
  // Its own judgement is the only one: a good beat does not bring it back, a register would.
  await beat({ error_rate: 0 });
  expect(await client.status(id), round).toBe('degraded');
}

async function timeoutIsOwn({ agent, id }: { agent: Agent; id: string }, round: string): Promise<void> {
  agent.behaveNext({ kind: 'hang' });
  const started = performance.now();
  const { status } = await client.send(id, `hangs ${round}`);
  expect(status, round).toBe(202);
  // Two seconds instead of the platform's twenty.
  expect(performance.now() - started).toBeLessThan(15_000);
  agent.release();
  await agent.link?.beat({ runtime_metadata: undefined });
}

async function schedulerIsOwn({ agent, id }: { agent: Agent; id: string }): Promise<void> {
  const before = await schedule(id, 'left to the runtime');
  agent.link?.startBeating(1_000);
  const after = await waitFor(
    async () => {
      const now = await scheduleOf(id);
      return now.next_run_at !== before.next_run_at && now;
    },
    { timeoutMs: 75_000, what: 'the schedule to advance' },
  );
  expect(after).toMatchObject({ run_count: 0, last_run_at: null, last_status: '' });
  expect(agent.received).toEqual([]);
}

describe('a schedule', () => {
  it('fires once with two schedulers', async () => {
    const { agent, id } = await agentOf('on-time');
    const canvas = await client.socket();
    await schedule(id, 'stand up');
    await agent.waitForMessages(1, 75_000);
    await canvas.hears(id, 'CRON_EXECUTED');
    // Past the next look of both schedulers, and still once.
    await waitFor(async () => (await scheduleOf(id)).run_count === 1, { what: 'the run to be counted' });
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

async function schedule(id: string, prompt: string) {
  expect((await client.post(`/workspaces/${id}/schedules`, { name: prompt, cron_expr: '* * * * *', prompt })).status).toBe(201);
  return scheduleOf(id);
}

const scheduleOf = async (id: string) => (await client.get(`/workspaces/${id}/schedules`)).body[0];

async function restartEverything(): Promise<void> {
  const names = cluster.names();
  await Promise.all(names.map((name) => cluster.kill(name, 'SIGKILL')));
  await Promise.all(names.map((name) => cluster.restart(name)));
}

/** The agent's process, found as an operator would: by what it was started for. */
function agentProcesses(workspaceId: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`WORKSPACE_ID=${workspaceId}`);
      } catch {
        return false; // it ended while we looked
      }
    })
    .map(Number);
}

async function agentProcess(workspaceId: string): Promise<number> {
  const [pid] = agentProcesses(workspaceId);
  if (pid === undefined) throw new Error(`no process runs for workspace ${workspaceId}`);
  return pid;
}
