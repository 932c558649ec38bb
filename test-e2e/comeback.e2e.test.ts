/**
 * The platform was away, and comes back to all its agents at once (limits F3, F17): nobody is declared offline because of our own
 * absence, who asks too early is told to come again, and nothing flaps.
 */
import { waitFor } from '@molecule/testkit';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { knock, type Reply } from './harness/knock.ts';
import { type Member, Team } from './harness/team.ts';

const json = (value: unknown): string => JSON.stringify(value);

const beat = (url: string, id: string, token: string): Promise<Reply> =>
  knock(url, {
    method: 'POST',
    path: '/registry/heartbeat',
    body: json({ workspace_id: id }),
    headers: { authorization: `Bearer ${token}` },
  });

const tally = (statuses: readonly number[]) => [...new Set(statuses)].sort();

/** How often the log says that a workspace was declared offline, and which. */
async function declaredOffline(cluster: Cluster): Promise<string[]> {
  const client = new pg.Client({ connectionString: cluster.postgres.url });
  await client.connect();
  try {
    const { rows } = await client.query<{ id: string }>(
      `select meta ->> 'workspaceId' as id from registry.events where type = 'workspace.status' and data ->> 'to' = 'offline'`,
    );
    return rows.map(({ id }) => id);
  } finally {
    await client.end();
  }
}

describe('the registry is away for several leases', () => {
  const LEASE_SECONDS = 4;
  const AWAY_MS = 15_000;
  const AGENTS = 8;
  const BEAT_EVERY_MS = 500;

  let cluster: Cluster;
  let client: Client;
  let team: Team;
  beforeAll(async () => {
    const env = { LIVENESS_LEASE_SECONDS: `${LEASE_SECONDS}`, SWEEP_INTERVAL_SECONDS: '1' };
    cluster = await Cluster.start({ env });
    client = new Client(cluster.url());
    team = new Team(cluster);
  });
  afterAll(async () => {
    await team?.leave();
    await cluster?.stop({ keep: process.env['KEEP_E2E'] === '1' });
  });

  it('and declares nobody offline for it; beats are taken or put off, and who really fell silent is noticed afterwards', async () => {
    const members: Member[] = [];
    for (let index = 0; index < AGENTS; index++) members.push(await team.join(`agent ${index}`));
    const replies: Reply[] = [];
    let beating = true;
    const beats = members.map(async ({ id, agent }) => {
      agent.link?.stopBeating();
      for (; beating; await new Promise((resolve) => setTimeout(resolve, BEAT_EVERY_MS)))
        replies.push(await beat(cluster.url(), id, agent.link?.token as string));
    });

    await cluster.kill('registry-0');
    const back = performance.now() + AWAY_MS;
    const perAgent = AWAY_MS / BEAT_EVERY_MS / 2;
    await waitFor(() => performance.now() > back && replies.length > AGENTS * perAgent, {
      timeoutMs: 60_000,
      what: 'the outage',
    });
    expect((await client.get('/workspaces')).status).toBe(503);
    await cluster.restart('registry-0');
    for (const { id } of members) {
      await client.reaches(id, 'online');
      expect((await client.send(id, 'still there?')).status).toBe(200);
    }
    beating = false;
    await Promise.all(beats);
    expect(tally(replies.map(({ status }) => status)).filter((status) => status !== 200 && status !== 503)).toEqual([]);
    for (const { status, retryAfter } of replies) if (status === 503) expect(retryAfter).toMatch(/^\d+$/);
    expect(await declaredOffline(cluster)).toEqual([]);

    // Now all have fallen silent, but for one.
    const [alive, ...silent] = members as [Member, ...Member[]];
    alive.agent.link?.startBeating(BEAT_EVERY_MS);
    for (const { id } of silent) await client.reaches(id, 'offline');
    expect((await declaredOffline(cluster)).sort()).toEqual(silent.map(({ id }) => id).sort());
  });
});

describe('everything starts again under a herd of agents', () => {
  const AGENTS = 300;
  const AGAIN_MS = 200;

  let cluster: Cluster;
  let client: Client;
  beforeAll(async () => {
    cluster = await Cluster.start();
    client = new Client(cluster.url());
  });
  afterAll(() => cluster?.stop({ keep: process.env['KEEP_E2E'] === '1' }));

  it('and answers each with what it knows, until all are online', async () => {
    const agents = await Promise.all(
      Array.from({ length: AGENTS }, async (_, index) => {
        const id = await client.create(`agent ${index}`, { external: true });
        const { body } = await client.get(`/admin/workspaces/${id}/test-token`);
        return { id, token: body.auth_token as string };
      }),
    );
    await Promise.all(cluster.names().map((name) => cluster.kill(name)));
    const started = Promise.all(cluster.names().map((name) => cluster.restart(name)));

    const statuses: number[] = [];
    /** Asks until it is let in; a connection that is refused is no answer. */
    const persist = async (call: () => Promise<Reply>): Promise<void> => {
      for (;;) {
        const reply = await call().catch(() => undefined);
        if (reply !== undefined) statuses.push(reply.status);
        if (reply?.status === 200) return;
        await new Promise((resolve) => setTimeout(resolve, AGAIN_MS * (0.5 + Math.random())));
      }
    };
    await Promise.all(
      agents.map(async ({ id, token }) => {
        const headers = { authorization: `Bearer ${token}` };
        const body = json({ id, url: 'http://localhost:9', agent_card: { name: 'herd' } });
        await persist(() => knock(cluster.url(), { method: 'POST', path: '/registry/register', body, headers }));
        await persist(() => beat(cluster.url(), id, token));
      }),
    );
    await started;
    expect(tally(statuses).filter((status) => ![200, 202, 429, 503].includes(status))).toEqual([]);
    const online = async () => {
      const { body } = await client.get('/workspaces');
      return body.filter(({ status }: { status: string }) => status === 'online').length;
    };
    expect(await online()).toBe(AGENTS);
    await Promise.all(agents.map(({ id, token }) => persist(() => beat(cluster.url(), id, token))));
    expect(await online()).toBe(AGENTS);
    expect(await declaredOffline(cluster)).toEqual([]);
  });
});
