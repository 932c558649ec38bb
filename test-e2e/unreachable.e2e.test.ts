/**
 * The database, then the bus, stops answering while everything runs: connections stay open and nothing comes (a frozen machine, a
 * full disk), which is worse than a server that is gone. Who cannot work says so soon instead of hanging, what needs no store goes on,
 * nobody ends, and all of it mends itself.
 */
import { randomUUID } from 'node:crypto';
import { SERVICES } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { type Knock, knock, type Reply } from './harness/knock.ts';
import { type Member, Team } from './harness/team.ts';

/** The longest that anybody waits to hear that nothing can be done now. */
const BOUND_MS = 10_000;
/** What needs no store hardly notices. */
const SOON_MS = 2_000;
/** From the last fault to everything working again. */
const RECOVERY_MS = 30_000;
/** The bus is noticed to be gone within two pings, 20 s. */
const NOTICED_MS = 40_000;

const UNAVAILABLE = JSON.stringify({
  error: 'platform datastore unavailable — retry shortly',
  code: 'platform_unavailable',
});

let cluster: Cluster;
let client: Client;
let team: Team;
let member: Member;
let thaw: () => void = () => undefined;

beforeAll(async () => {
  cluster = await Cluster.start({ env: { SWEEP_INTERVAL_SECONDS: '1', SCHEDULER_TICK_SECONDS: '1' } });
  client = new Client(cluster.url());
  team = new Team(cluster);
  member = await team.join('patient');
  member.agent.link?.stopBeating();
});

afterEach(() => thaw());

afterAll(async () => {
  await team?.leave();
  await cluster?.stop({ keep: process.env['KEEP_E2E'] === '1' });
});

const json = (value: unknown): string => JSON.stringify(value);

/** What a workspace shows for itself. */
const bearer = () => ({ authorization: `Bearer ${member.agent.link?.token}` });

const beat = (): Promise<Reply> =>
  knock(cluster.url(), {
    method: 'POST',
    path: '/registry/heartbeat',
    body: json({ workspace_id: member.id }),
    headers: bearer(),
  });

const message = (text: string): Promise<Reply> =>
  knock(cluster.url(), {
    method: 'POST',
    path: `/workspaces/${member.id}/a2a`,
    body: json({ method: 'message/send', params: { message: { role: 'user', parts: [{ kind: 'text', text }] } } }),
  });

/** Every route that reads or writes what is stored; all of them work on a good day. */
const storedRoutes = (): Knock[] => {
  const { id } = member;
  const headers = { ...bearer(), 'x-workspace-id': id };
  const get = (path: string): Knock => ({ method: 'GET', path, headers });
  const post = (path: string, body: object): Knock => ({ method: 'POST', path, body: json(body), headers });
  return [
    ...['/workspaces', `/workspaces/${id}`, `/registry/discover/${id}`, `/registry/${id}/peers`, '/events', `/events/${id}`].map(
      get,
    ),
    ...[`/workspaces/${id}/activity`, `/workspaces/${id}/schedules`, '/admin/audit', '/admin/sweeps'].map(get),
    get(`/admin/workspaces/${id}/test-token`),
    post('/workspaces', { name: 'made meanwhile', external: true }),
    { method: 'PATCH', path: `/workspaces/${id}`, body: '{"tier":2}', headers },
    { method: 'DELETE', path: `/workspaces/${randomUUID()}`, headers },
    post('/registry/register', { id, url: member.agent.url.replace('127.0.0.1', 'localhost'), agent_card: {} }),
    post('/registry/update-card', { workspace_id: id, agent_card: { at: randomUUID() } }),
    post('/registry/check-access', { caller_id: id, target_id: randomUUID() }),
    post(`/workspaces/${id}/schedules`, { name: randomUUID(), cron_expr: '0 0 1 1 *', prompt: 'p' }),
    { method: 'DELETE', path: `/workspaces/${id}/schedules/${randomUUID()}`, headers },
  ];
};

const named = ({ method, path }: Knock, { status }: Reply) => `${method} ${path}: ${status}`;

async function everythingWorks(): Promise<void> {
  await waitFor(
    async () => {
      const routes = storedRoutes();
      const replies = await Promise.all([...routes.map((route) => knock(cluster.url(), route)), beat(), message('again')]);
      return replies.every(({ status }) => status < 500);
    },
    { timeoutMs: RECOVERY_MS, what: 'every route to work again' },
  );
  await cluster.allReady();
  const canvas = await client.socket();
  const id = await client.create('after', { runtime: 'echo', tier: 2 });
  await client.reaches(id, 'online');
  await canvas.hears(id, 'WORKSPACE_HEARTBEAT');
  expect((await client.send(id, 'hello')).status).toBe(200);
  await waitFor(async () => (await client.get('/admin/audit')).body.open === 0, { timeoutMs: RECOVERY_MS, what: 'all to end' });
  expect((await client.get('/admin/audit')).body).toMatchObject({ balanced: true });
  canvas.close();
}

describe('the database does not answer', () => {
  it('and what needs it says so; beats go on; all comes back by itself', async () => {
    await everythingWorks();
    const pids = cluster.servicePids();
    thaw = await cluster.freeze('postgres');

    const routes = storedRoutes();
    for (const round of ['at first', 'later']) {
      const replies = await Promise.all(routes.map(async (route) => [route, await knock(cluster.url(), route)] as const));
      expect(
        replies.map(([route, reply]) => `${named(route, reply)} ${reply.text}`),
        round,
      ).toEqual(routes.map((route) => `${named(route, { status: 503 } as Reply)} ${UNAVAILABLE}`));
      expect(Math.max(...replies.map(([, { ms }]) => ms)), round).toBeLessThan(BOUND_MS);
      const beats = [await beat(), await beat()];
      expect(
        beats.map(({ status }) => status),
        round,
      ).toEqual([200, 200]);
      expect(Math.max(...beats.map(({ ms }) => ms)), round).toBeLessThan(SOON_MS);
      const direct = await message(round);
      // Talking to agents goes on; what was said is written down later.
      expect(direct.status, round).toBe(200);
      expect(direct.ms, round).toBeLessThan(BOUND_MS);
    }
    expect((await knock(cluster.url(), { method: 'GET', path: '/health' })).status).toBe(200);
    const health: Health[] = (await client.get('/admin/health')).body;
    expect(health.map(({ service, ready }) => [service, ready])).toEqual(
      SERVICES.map((service) => [service, service === 'gateway']),
    );
    for (const { service, checks } of health.slice(1))
      expect(checks, service).toMatchObject({ bus: { ok: true }, database: { ok: false } });
    expect(Object.keys((await client.get('/admin/liveness')).body.subsystems)).toContain('scheduler');

    thaw();
    await everythingWorks();
    expect(cluster.servicePids()).toEqual(pids);
  });
});

const UNREACHABLE = { status: 503 } as Reply;

describe('the bus does not answer', () => {
  it('and what needs no other service goes on, nothing hangs, and all comes back by itself', async () => {
    await everythingWorks();
    const pids = cluster.servicePids();
    const running = await client.create('running', { runtime: 'echo', tier: 2 });
    await client.reaches(running, 'online');
    thaw = await cluster.freeze('nats');
    const removal = client.delete(`/workspaces/${running}`);

    for (const round of ['not noticed yet', 'noticed']) {
      if (round === 'noticed')
        await waitFor(async () => (await beat()).status === 503, { timeoutMs: NOTICED_MS, what: 'beats to be refused' });
      const routes = storedRoutes();
      const replies = await Promise.all(routes.map(async (route) => [route, await knock(cluster.url(), route)] as const));
      // Once the gateway cannot know any more which tokens were revoked, no protected door opens (I4, I9); before that all goes on.
      const failed = replies.filter(([, { status }]) => status >= 500);
      if (round === 'not noticed yet') expect(failed.map(([route, reply]) => named(route, reply))).toEqual([]);
      else
        for (const [route, reply] of failed)
          expect(`${named(route, reply)} ${reply.text}`).toBe(`${named(route, UNREACHABLE)} ${UNAVAILABLE}`);
      expect(Math.max(...replies.map(([, { ms }]) => ms)), round).toBeLessThan(BOUND_MS);
      const [last, direct] = [await beat(), await message(round)];
      // A beat that reaches nobody must not look as if it did, once that is known: the runtime beats again.
      if (round === 'noticed') expect(last).toMatchObject({ status: 503, text: UNAVAILABLE });
      expect(direct.status, round).toBe(200);
      expect(Math.max(last.ms, direct.ms), round).toBeLessThan(BOUND_MS);
    }
    // Nobody can say whether its process has ended: that is told, and not forgotten (spec 1 §1.7).
    expect(await removal).toMatchObject({ status: 500, body: { removed_count: 1, stop_failures: 1 } });
    expect(await client.status(running)).toBe('removed');

    thaw();
    await everythingWorks();
    expect((await client.delete(`/workspaces/${running}`)).body).toEqual({ status: 'removed', cascade_deleted: 0 });
    expect(cluster.servicePids()).toEqual(pids);
  });
});

interface Health {
  readonly service: string;
  readonly ready: boolean;
  readonly checks: Readonly<Record<string, { readonly ok: boolean }>>;
}
