/** Delegations between real runtimes: what waits is done, what was in flight is resolved, whatever is killed meanwhile. */
import { waitFor } from '@molecule/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';

const PATIENTLY = { timeoutMs: 40_000 };

let cluster: Cluster;
let client: Client;

beforeAll(async () => {
  cluster = await Cluster.start({ env: { A2A_WORKER_LEASE_SECONDS: '2' } });
  client = new Client(cluster.url());
});
afterAll(() => cluster?.stop());

interface Entry {
  readonly id: string;
  readonly status: string;
  readonly delegation_id?: string;
  readonly error?: string;
  readonly response_preview?: string;
}

/** What the delegating workspace sees of a delegation, the newest first, once its request stands so. */
const until = (from: string, delegationId: string, status: string): Promise<Entry[]> =>
  waitFor(
    async () => {
      const { status: http, body } = await client.get(`/workspaces/${from}/delegations`);
      if (http !== 200) return false; // the a2a-proxy is away
      const entries = (body as Entry[]).filter((entry) => entry.delegation_id === delegationId);
      return entries.some((entry) => entry.id === delegationId && entry.status === status) && entries;
    },
    { ...PATIENTLY, what: `the delegation to be ${status}` },
  );

async function delegate(from: string, to: string, task: string): Promise<string> {
  const answer = await client.post(`/workspaces/${from}/delegate`, { target_id: to, task, idempotency_key: task });
  expect(answer).toMatchObject({ status: 202, body: { status: 'delegated', target_id: to } });
  return answer.body.delegation_id;
}

const eventsOf = async (from: string, delegationId: string): Promise<string[]> => {
  const { body } = await client.get(`/events/${from}`);
  const events = body as { event_type: string; payload: { delegation_id?: string; status?: string } }[];
  return events
    .filter(({ payload }) => payload.delegation_id === delegationId)
    .map(({ event_type, payload }) => (payload.status ? `${event_type} ${payload.status}` : event_type))
    .toReversed();
};

describe('one agent gives another, which is busy, a task', () => {
  it('and it is done when there is room, although the a2a-proxy is killed while it waits', async () => {
    const from = await client.create('lead', { runtime: 'echo' });
    const to = await client.create('helper', { runtime: 'echo', template: 'echo-busy' });
    for (const id of [from, to]) await client.reaches(id, 'online');
    await waitFor(async () => (await client.send(to, 'there?')).status === 200, { ...PATIENTLY, what: 'the helper to answer' });
    const busy = client.send(to, '!sleep 5 something long').catch(() => undefined);
    await waitFor(async () => (await client.send(to, 'are you busy?')).status === 202, { ...PATIENTLY, what: 'it to be busy' });

    const id = await delegate(from, to, 'the task');
    expect(await until(from, id, 'queued')).toMatchObject([{ status: 'queued' }, { status: 'queued', id }]);
    await cluster.kill('a2a-proxy-0');
    await cluster.restart('a2a-proxy-0');
    await busy;
    expect(await until(from, id, 'completed')).toMatchObject([
      { status: 'completed', response_preview: expect.stringContaining('the task') },
      { status: 'completed', id },
    ]);
    await waitFor(async () => (await eventsOf(from, id)).length === 4, { ...PATIENTLY, what: 'the events' });
    expect(await eventsOf(from, id)).toEqual([
      'DELEGATION_SENT',
      'DELEGATION_STATUS dispatched',
      'DELEGATION_STATUS queued',
      'DELEGATION_COMPLETE',
    ]);

    // In flight when it is killed: nobody knows whether the helper did it, so it is not sent again.
    const lost = await delegate(from, to, '!sleep 30 lost');
    await until(from, lost, 'dispatched');
    await waitFor(async () => (await client.get(`/admin/trace/${lost}`)).body.messages?.length === 1, {
      ...PATIENTLY,
      what: 'the call to be under way',
    });
    await cluster.kill('a2a-proxy-0');
    await cluster.restart('a2a-proxy-0');
    expect(await until(from, lost, 'failed')).toMatchObject([{ id: lost, error: 'interrupted' }]);
    const again = await client.post(`/workspaces/${from}/delegate`, { target_id: to, task: 'x', idempotency_key: 'the task' });
    expect(again).toEqual({
      status: 200,
      body: { delegation_id: id, status: 'completed', target_id: to, idempotent_hit: true },
    });
    expect(cluster.deaths).toEqual([]);
  }, 120_000);
});
