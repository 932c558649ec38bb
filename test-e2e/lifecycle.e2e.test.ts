/**
 * What operators and messages do to a workspace, and what becomes of it when services or its agent die in between: told from outside,
 * with two replicas of those that answer, and real agents.
 */
import { waitFor } from '@molecule/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { agentProcess, agentProcesses } from './harness/agents.ts';
import { type Canvas, Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { factsOf } from './harness/ledger.ts';

let cluster: Cluster;
let client: Client;
let canvas: Canvas;

beforeAll(async () => {
  cluster = await Cluster.start({
    replicas: { registry: 2, 'a2a-proxy': 2 },
    env: { LIVENESS_LEASE_SECONDS: '8', SWEEP_INTERVAL_SECONDS: '1' },
  });
  client = new Client(cluster.url());
  canvas = await client.socket();
});

afterAll(async () => {
  canvas?.close();
  await cluster?.stop({ keep: process.env['KEEP_E2E'] === '1' });
});

const online = async (name: string, more: object = {}) => {
  const id = await client.create(name, { runtime: 'echo', tier: 2, ...more });
  await client.reaches(id, 'online');
  return id;
};
const act = (id: string, what: string, body: object = {}) => client.post(`/workspaces/${id}/${what}`, body);
const answers = (id: string) =>
  waitFor(async () => (await client.send(id, 'hello')).status === 200, { timeoutMs: 15_000, what: `${id} to answer` });
/** Asks so often that every replica of the proxy has been asked. */
const fromEveryProxy = async (id: string) => [await client.send(id, 'a'), await client.send(id, 'b'), await client.send(id, 'c')];
const eventsOf = (id: string) => canvas.eventsOf(id).filter((event) => /^WORKSPACE_(?!HEARTBEAT)/.test(event));

describe('a workspace', () => {
  it('is restarted, paused with its child, resumed, put to sleep, and woken by a message', async () => {
    const boss = await online('boss');
    const child = await online('child', { parent_id: boss });
    await answers(child);

    const [first] = agentProcesses(boss);
    expect(await act(boss, 'restart')).toEqual({
      status: 200,
      body: { status: 'provisioning', config_dir: 'existing-volume', reset_session: false },
    });
    await client.reaches(boss, 'online');
    await answers(boss);
    expect(agentProcesses(boss)).toHaveLength(1);
    expect(agentProcesses(boss)).not.toContain(first);

    expect(await act(boss, 'pause')).toEqual({ status: 200, body: { status: 'paused', paused_count: 2 } });
    for (const id of [boss, child]) {
      for (const refused of await fromEveryProxy(id))
        expect(refused).toEqual({ status: 503, body: { error: 'workspace has no URL', status: 'paused' } });
      expect(agentProcesses(id)).toEqual([]);
    }
    expect(await act(child, 'resume')).toEqual({
      status: 409,
      body: { error: 'parent workspace "boss" is paused — resume it first' },
    });
    expect(await act(boss, 'resume')).toEqual({ status: 200, body: { status: 'provisioning', resumed_count: 2 } });
    for (const id of [boss, child]) await client.reaches(id, 'online');
    await answers(child);

    expect(await act(boss, 'hibernate')).toEqual({ status: 200, body: { status: 'hibernated' } });
    expect(agentProcesses(boss)).toEqual([]);
    const waking = await fromEveryProxy(boss);
    expect(waking[0]).toEqual({
      status: 503,
      body: { error: 'workspace is waking from hibernation — retry in ~15 seconds', waking: true, retry_after: 15 },
    });
    await client.reaches(boss, 'online');
    await answers(boss);
    expect(agentProcesses(boss)).toHaveLength(1);

    await canvas.hears(boss, 'WORKSPACE_HIBERNATED');
    const told = eventsOf(boss).filter((event) => event !== 'WORKSPACE_ONLINE');
    expect(told).toEqual([
      'WORKSPACE_PROVISIONING', // created
      'WORKSPACE_PROVISIONING', // restarted
      'WORKSPACE_PAUSED',
      'WORKSPACE_PROVISIONING', // resumed
      'WORKSPACE_HIBERNATED',
      'WORKSPACE_PROVISIONING', // woken, once by several messages
    ]);
  });

  it('that is restarted twenty times at once ends with one agent, online', async () => {
    const id = await online('often');
    const restarts = await Promise.all(Array.from({ length: 20 }, () => act(id, 'restart')));
    expect(restarts.map(({ status }) => status)).toEqual(Array(20).fill(200));
    await client.reaches(id, 'online');
    await answers(id);
    expect(agentProcesses(id)).toHaveLength(1);
  });

  it('whose agent dies is found offline and started again, told in order', async () => {
    const id = await online('mortal');
    process.kill(agentProcess(id), 'SIGKILL');
    await canvas.hears(id, 'WORKSPACE_OFFLINE');
    await client.reaches(id, 'online');
    await answers(id);
    expect(agentProcesses(id)).toHaveLength(1);
    const told = eventsOf(id);
    expect(told.slice(told.indexOf('WORKSPACE_OFFLINE')).slice(0, 3)).toEqual([
      'WORKSPACE_OFFLINE',
      'WORKSPACE_PROVISIONING',
      'WORKSPACE_ONLINE',
    ]);
  });

  it('whose agent dies under a call is started again, as the caller is told', async () => {
    const id = await online('fragile');
    process.kill(agentProcess(id), 'SIGKILL');
    expect(await client.send(id, 'anybody?')).toEqual({
      status: 503,
      body: { error: 'workspace agent unreachable — container restart triggered', restarting: true },
    });
    await canvas.hears(id, 'WORKSPACE_OFFLINE');
    await answers(id);
  });
});

describe('a service that is killed in between', () => {
  it('the registry, after the claim of a hibernation: the next one finishes it, and it was stopped once', async () => {
    const id = await online('sleepy');
    const provisioner = cluster.pid('provisioner-0');
    process.kill(provisioner, 'SIGSTOP'); // so that the stop takes its time
    try {
      const asked = act(id, 'hibernate').catch(() => undefined);
      await client.reaches(id, 'hibernating');
      for (const refused of await fromEveryProxy(id))
        expect(refused).toEqual({ status: 503, body: { error: 'workspace has no URL', status: 'hibernating' } });
      await Promise.all(['registry-0', 'registry-1'].map((name) => cluster.kill(name)));
      await asked;
    } finally {
      process.kill(provisioner, 'SIGCONT');
    }
    await Promise.all(['registry-0', 'registry-1'].map((name) => cluster.restart(name)));
    await client.reaches(id, 'hibernated');
    expect(agentProcesses(id)).toEqual([]);
    await canvas.hears(id, 'WORKSPACE_HIBERNATED');
    expect(canvas.eventsOf(id).filter((event) => event === 'WORKSPACE_HIBERNATED')).toHaveLength(1);
    const log = await factsOf(cluster.postgres.url, 'provisioner', `container.${id}`);
    expect(log.filter((type) => type === 'container.stopped')).toHaveLength(1);
    await waitFor(async () => (await client.send(id, 'wake up')).status === 200, { timeoutMs: 30_000, what: 'it to wake' });
  });

  it('the provisioner, in a restart: the next one finishes it, with one agent', async () => {
    const id = await online('resumed');
    expect((await act(id, 'restart')).status).toBe(200);
    await cluster.kill('provisioner-0');
    await cluster.restart('provisioner-0');
    await client.reaches(id, 'online');
    await answers(id);
    expect(agentProcesses(id)).toHaveLength(1);
  });

  it('both registries, after an agent was found dead: it is started again, once', async () => {
    const id = await online('orphaned');
    const provisioner = cluster.pid('provisioner-0');
    process.kill(provisioner, 'SIGSTOP');
    try {
      process.kill(agentProcess(id), 'SIGKILL');
      await canvas.hears(id, 'WORKSPACE_OFFLINE'); // by its silence
      await Promise.all(['registry-0', 'registry-1'].map((name) => cluster.kill(name)));
    } finally {
      process.kill(provisioner, 'SIGCONT');
    }
    await Promise.all(['registry-0', 'registry-1'].map((name) => cluster.restart(name)));
    await client.reaches(id, 'online');
    await answers(id);
    expect(agentProcesses(id)).toHaveLength(1);
    const told = eventsOf(id);
    expect(told.filter((event) => event === 'WORKSPACE_OFFLINE')).toHaveLength(1);
    expect(told.filter((event) => event === 'WORKSPACE_PROVISIONING')).toHaveLength(2);
  });
});
