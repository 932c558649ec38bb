/** What runtimes declare with their beats, heeded by every service, also after all of them were killed and started again. */
import { waitFor } from '@molecule/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { schedule, scheduleOf } from './harness/schedules.ts';
import { type Member, Team } from './harness/team.ts';

let cluster: Cluster;
let client: Client;
let team: Team;

beforeAll(async () => {
  cluster = await Cluster.start({ env: { SCHEDULER_TICK_SECONDS: '1', A2A_IDLE_TIMEOUT_SECONDS: '20' } });
  client = new Client(cluster.url());
  team = new Team(cluster);
});

afterAll(async () => {
  await team?.leave();
  await cluster?.stop();
});

describe('what a runtime declares', () => {
  it('is heeded, and survives a restart of every service', async () => {
    const session = await team.join('own-session', { capabilities: { session: true } });
    const scheduler = await team.join('own-scheduler', { capabilities: { scheduler: true } });
    const status = await team.join('own-status', { capabilities: { status_mgmt: true } });
    const patient = await team.join('impatient', { idleTimeoutSeconds: 2 });
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

async function sessionIsOwn({ agent, id }: Member, round: string): Promise<void> {
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
async function statusIsOwn({ agent, id }: Member, round: string): Promise<void> {
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

async function timeoutIsOwn({ agent, id }: Member, round: string): Promise<void> {
  agent.behaveNext({ kind: 'hang' });
  const started = performance.now();
  const { status } = await client.send(id, `hangs ${round}`);
  expect(status, round).toBe(202);
  // Two seconds instead of the platform's twenty.
  expect(performance.now() - started).toBeLessThan(15_000);
  agent.release();
  await agent.link?.beat({ runtime_metadata: undefined });
}

async function schedulerIsOwn({ agent, id }: Member): Promise<void> {
  const before = await schedule(client, id, 'left to the runtime');
  agent.link?.startBeating(1_000);
  const after = await waitFor(
    async () => {
      const now = await scheduleOf(client, id);
      return now.next_run_at !== before.next_run_at && now;
    },
    { timeoutMs: 75_000, what: 'the schedule to advance' },
  );
  expect(after).toMatchObject({ run_count: 0, last_run_at: null, last_status: '' });
  expect(agent.received).toEqual([]);
}

async function restartEverything(): Promise<void> {
  const names = cluster.names();
  await Promise.all(names.map((name) => cluster.kill(name, 'SIGKILL')));
  await Promise.all(names.map((name) => cluster.restart(name)));
}
