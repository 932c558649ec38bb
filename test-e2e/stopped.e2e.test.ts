/**
 * Who is stopped where it stands holds nobody else up (limits F13, F14): a canvas that reads no more does not keep the others from
 * hearing everything, and is cut off; a gateway that stands still slows no other, and lets no dead token in when it goes on.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { type Bus, LivePublisher, openBus } from '@molecule/bus';
import type { LiveEvent } from '@molecule/contracts';
import { testLog, waitFor } from '@molecule/testkit';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { knock } from './harness/knock.ts';
import { type Member, Team } from './harness/team.ts';

const LISTENER = fileURLToPath(new URL('./harness/listening-client.ts', import.meta.url));

let cluster: Cluster;
let team: Team;
let here: Client;
let bus: Bus;
let goOn: () => void = () => undefined;

beforeAll(async () => {
  cluster = await Cluster.start({ replicas: { gateway: 2 } });
  team = new Team(cluster);
  here = new Client(cluster.url(0));
  bus = await openBus({ servers: cluster.nats.url, name: 'test', log: testLog() });
});

afterEach(() => goOn());

afterAll(async () => {
  await bus?.close();
  await team?.leave();
  await cluster?.stop({ keep: process.env['KEEP_E2E'] === '1' });
});

describe('a canvas that is stopped', () => {
  const EVENTS = 1_500;
  /** All of it is more than the system's own buffers and the gateway's bound hold for one connection. */
  const PADDING = 'x'.repeat(16 * 1024);
  /** A stalled client is cut off after 10 s, at the next event that it cannot take. */
  const CUT_OFF_MS = 40_000;

  const metric = async (name: string) => {
    const { body } = await here.get('/metrics');
    return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\d+)`, 'm').exec(String(body))?.[1]);
  };

  it('keeps no other from hearing everything in order, and is cut off itself', async () => {
    const { id } = await team.join('talking');
    const healthy = [await here.socket(), await here.socket()];
    const stopped = fork(LISTENER, [`${cluster.url(0).replace('http', 'ws')}/ws`]);
    await once(stopped, 'message');
    const open = await metric('molecule_websocket_connections_active');
    stopped.kill('SIGSTOP');
    goOn = () => void stopped.kill('SIGKILL');

    const live = new LivePublisher(bus, 'registry', { log: testLog() });
    const say = (n: number) => {
      const payload = { n, padding: PADDING } satisfies LiveEvent['payload'];
      live.say({ event: 'AGENT_MESSAGE', workspaceId: id, timestamp: new Date().toISOString(), payload });
    };
    const heardBy = (canvas: (typeof healthy)[number]) =>
      canvas.frames.filter(({ event }) => event === 'AGENT_MESSAGE').map(({ payload }) => payload['n']);
    for (let n = 0; n < EVENTS; n++) {
      say(n);
      // As fast as the healthy ones read, so that none of them is at its bound.
      if (n % 50 === 49) await waitFor(() => healthy.every((canvas) => heardBy(canvas).length === n + 1), { timeoutMs: 20_000 });
    }
    const all = Array.from({ length: EVENTS }, (_, n) => n);
    for (const canvas of healthy) expect(heardBy(canvas)).toEqual(all);
    expect(await metric('molecule_websocket_dropped_total')).toBeGreaterThan(0);

    let n = EVENTS;
    await waitFor(
      async () => {
        say(n++);
        return (await metric('molecule_websocket_connections_active')) === open - 1;
      },
      { timeoutMs: CUT_OFF_MS, what: 'the stopped client to be cut off' },
    );
    await waitFor(() => healthy.every((canvas) => heardBy(canvas).length === n), { what: 'the others to have heard all' });
    const ended = once(stopped, 'message');
    stopped.kill('SIGCONT');
    expect(await ended).toEqual([expect.any(Number), undefined]);
    for (const canvas of healthy) canvas.close();
    live.close();
  });
});

describe('a gateway that is stopped', () => {
  const ask = (url: string, { id, agent }: Member) =>
    knock(url, {
      method: 'PATCH',
      path: `/workspaces/${id}`,
      body: '{}',
      headers: { authorization: `Bearer ${agent.link?.token}` },
    });

  // Shortly stopped it has hardly noticed; longer, and the others have gone on without waiting for it.
  it.each([0, 20])('slows no other, and lets no dead token in when it goes on %i rounds later', async (rounds) => {
    const [removed, kept] = [await team.join('removed'), await team.join('kept')];
    const there = cluster.url(1);
    expect([(await ask(there, removed)).status, (await ask(there, kept)).status]).toEqual([200, 200]);
    goOn = await cluster.freeze('gateway-1');

    // It is waiting in the stopped one's socket before the door closes, and after.
    const early = ask(there, removed);
    expect((await here.delete(`/workspaces/${removed.id}`)).body).toEqual({ status: 'removed', cascade_deleted: 0 });
    const late = Array.from({ length: 5 }, () => ask(there, removed));
    for (let round = 0; round < rounds; round++) {
      const answers = [await kept.agent.link?.beat(), await ask(here.url, kept), await here.send(kept.id, `round ${round}`)];
      expect(answers.map((answer) => answer?.status)).toEqual([200, 200, 200]);
    }
    goOn();
    // What it does not know for sure it says (I9); what it knows by then is that the token is dead.
    for (const { status } of await Promise.all([early, ...late])) expect([401, 503]).toContain(status);
    await waitFor(async () => (await ask(there, kept)).status === 200, { timeoutMs: 20_000, what: 'it to work again' });
    expect(await ask(there, removed)).toMatchObject({ status: 401, text: '{"error":"invalid workspace auth token"}' });
    const canvas = await new Client(there).socket();
    await canvas.hears(kept.id, 'WORKSPACE_HEARTBEAT');
    canvas.close();
  });
});
