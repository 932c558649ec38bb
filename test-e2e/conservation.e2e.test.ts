/**
 * Conservation under fire (I1): thousands of messages to agents that are slow, busy, talking nonsense, failing and dying, while two
 * proxies, two gateways and everything behind them are killed at random moments. Then all is calm, and the whole history is judged.
 * With the seed that a failure prints in `CONSERVATION_SEED` the same messages meet the same moods and faults again.
 */
import type { ServiceName } from '@molecule/contracts';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Chance } from './harness/chance.ts';
import { CLEAN, judge } from './harness/checker.ts';
import { Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { differences } from './harness/differences.ts';
import { Fleet } from './harness/fleet.ts';
import { History } from './harness/history.ts';
import { everybodyAnswers, everythingEnded, lookAtAgents } from './harness/tail.ts';
import { type Member, Team } from './harness/team.ts';
import { Traffic } from './harness/traffic.ts';

const MESSAGES = 5_000;
const AGENTS = 20;
const SENDERS = 32;
const THINK_MS = 150;
/** Of four messages, one finds its agent in another mood than the one before. */
const UNSETTLED = 0.25;
/** How often each process of a service is killed. */
const KILLS: Readonly<Record<ServiceName, number>> = {
  gateway: 2,
  'a2a-proxy': 3,
  registry: 2,
  scheduler: 2,
  provisioner: 2,
  sweeper: 2,
};

const chance = Chance.fromEnv('CONSERVATION_SEED');
let cluster: Cluster;
let client: Client;
let team: Team;

beforeAll(async () => {
  cluster = await Cluster.start({
    replicas: { gateway: 2, 'a2a-proxy': 2 },
    env: { SWEEP_INTERVAL_SECONDS: '2', SCHEDULER_TICK_SECONDS: '1', A2A_WORKER_LEASE_SECONDS: '5' },
  });
  client = new Client(cluster.url());
  team = new Team(cluster);
});

afterAll(async () => {
  await team?.leave();
  await cluster?.stop({ keep: process.env['KEEP_E2E'] === '1' });
});

it(`no message is lost or doubled, whatever dies (CONSERVATION_SEED=${chance.seed})`, async () => {
  const history = new History();
  const fleet = new Fleet(await joinAll(), chance);
  const traffic = new Traffic({
    history,
    chance,
    gateways: cluster.urls(),
    members: fleet.members,
    senders: SENDERS,
    thinkMs: THINK_MS,
    onSend: (to) => {
      if (chance.share() < UNSETTLED) fleet.unsettle(to);
    },
  });

  const faults = chance.shuffle([
    ...cluster.names().flatMap((name) => Array.from({ length: KILLS[serviceOf(name)] }, () => () => killAndRestart(name))),
    () => cluster.crash('nats'),
    () => cluster.crash('postgres'),
  ]);
  const share = MESSAGES / (faults.length + 1);
  traffic.start(MESSAGES);
  for (const [index, fault] of faults.entries()) {
    const moment = (index + 0.2 + 0.8 * chance.share()) * share;
    traffic.allow(moment + share);
    await traffic.reached(moment);
    await fault();
  }
  traffic.allow(MESSAGES);
  await traffic.over();

  await fleet.calm();
  await everybodyAnswers(cluster, fleet.members);
  const recorded = await everythingEnded(cluster);
  lookAtAgents(history, fleet.members);
  expect(judge(history, recorded)).toEqual(CLEAN);

  // It was a fire: a good part had to wait, and some of it was tried again.
  const queued = history.sent.filter(({ outcome }) => outcome === 'queued');
  expect(queued.length).toBeGreaterThan(MESSAGES / 20);
  expect(recorded.filter(({ facts }) => facts.includes('a2a.requeued')).length).toBeGreaterThan(0);

  expect(await differences(client)).toEqual([]);
  expect((await client.get('/admin/parked')).body).toEqual({ parked: [] });
  expect(cluster.deaths).toEqual([]);
}, 600_000);

const serviceOf = (name: string) => name.replace(/-\d+$/, '') as ServiceName;

/** Half of them beat to one gateway, half to the other. */
async function joinAll(): Promise<Member[]> {
  const gateways = cluster.urls();
  const members: Member[] = [];
  for (let index = 0; index < AGENTS; index++)
    members.push(await team.join(`agent-${index}`, { gateway: gateways[index % gateways.length] as string }));
  return members;
}

async function killAndRestart(name: string): Promise<void> {
  await cluster.kill(name);
  await cluster.restart(name);
}
