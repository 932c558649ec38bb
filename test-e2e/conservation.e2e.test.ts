/**
 * Conservation under fire (I1): thousands of messages to agents that are slow, busy, talking nonsense, failing and dying, while two
 * proxies, two gateways and everything behind them are killed at random moments. Then all is calm, and the whole history is judged.
 * With the seed that a failure prints in `CONSERVATION_SEED` the same faults come at the same messages again; who talks to whom, and in
 * which mood they find each other, is drawn from it too, in the order in which the machine lets the senders go.
 */
import type { ServiceName } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Chance } from './harness/chance.ts';
import { CLEAN, judge } from './harness/checker.ts';
import { Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { differences } from './harness/differences.ts';
import { Fleet } from './harness/fleet.ts';
import { History } from './harness/history.ts';
import { schedule, scheduleOf } from './harness/schedules.ts';
import { everybodyAnswers, everythingEnded, lookAtAgents, TAIL_MS } from './harness/tail.ts';
import { type Member, Team } from './harness/team.ts';
import { Traffic } from './harness/traffic.ts';

const MESSAGES = 5_000;
const AGENTS = 20;
/** So many of them are asked something every minute. */
const SCHEDULED = 4;
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
  const faults = planned();
  const history = new History();
  const fleet = new Fleet(await joinAll(), chance);
  const scheduled = fleet.members.slice(0, SCHEDULED);
  for (const { id } of scheduled) await schedule(client, id, 'what is new?');
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

  traffic.start(MESSAGES);
  for (const { moment, fault } of faults) {
    traffic.allow(moment + MESSAGES / faults.length);
    await traffic.reached(moment);
    await fault();
  }
  traffic.allow(MESSAGES);
  await traffic.over();

  await fleet.calm();
  await everybodyAnswers(cluster, fleet.members);
  await everyScheduleRan(scheduled);
  const recorded = await everythingEnded(cluster);
  lookAtAgents(history, fleet.members);
  lookAtTicks(history, scheduled);
  expect(judge(history, recorded)).toEqual(CLEAN);

  // It was a fire: a good part had to wait, and some of it was tried again.
  const queued = history.sent.filter(({ outcome }) => outcome === 'queued');
  expect(queued.length).toBeGreaterThan(MESSAGES / 20);
  expect(recorded.filter(({ facts }) => facts.includes('a2a.requeued')).length).toBeGreaterThan(0);

  expect(await differences(client)).toEqual([]);
  expect((await client.get('/admin/parked')).body).toEqual({ parked: [] });
  expect(cluster.deaths).toEqual([]);
}, 900_000);

/** Every fault, and after how many messages it comes: in any order, each in a share of its own. */
function planned(): { readonly moment: number; readonly fault: () => Promise<void> }[] {
  const kills = cluster
    .names()
    .flatMap((name) => Array.from({ length: KILLS[serviceOf(name)] }, () => () => killAndRestart(name)));
  const faults = chance.shuffle([...kills, () => cluster.crash('nats'), () => cluster.crash('postgres')]);
  const share = MESSAGES / (faults.length + 1);
  return faults.map((fault, index) => ({ moment: (index + 0.2 + 0.8 * chance.share()) * share, fault }));
}

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

/** At the next full minute at the latest. */
async function everyScheduleRan(members: readonly Member[]): Promise<void> {
  for (const { id } of members)
    await waitFor(async () => (await scheduleOf(client, id)).run_count > 0, {
      timeoutMs: TAIL_MS,
      what: `the schedule of ${id} to run`,
    });
}

/** What the scheduler sent: each tick is a message whose sender we did not ask, known by the id that the scheduler gave it. */
function lookAtTicks(history: History, members: readonly Member[]): void {
  for (const { id, agent } of members) {
    const ticks = agent.messageIds
      .filter((messageId) => messageId !== undefined)
      .filter((messageId) => messageId.startsWith('cron-'));
    for (const tick of new Set(ticks)) history.begin(tick, id);
    for (const tick of ticks) history.see(tick, id);
  }
}
