/**
 * The broker and the database fail in every way that servers fail, while messages are sent and queued (limits F5, F6): nothing that
 * was acknowledged is lost, nobody hangs, nobody ends, and all of it mends itself.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type Bus, openBus } from '@molecule/bus';
import { testLog, waitFor } from '@molecule/testkit';
import pg from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { auditBus, type BusAudit } from './harness/bus-audit.ts';
import { Chance } from './harness/chance.ts';
import { CLEAN, judge } from './harness/checker.ts';
import { Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { Fleet } from './harness/fleet.ts';
import { History } from './harness/history.ts';
import { type Knock, knock, type Reply } from './harness/knock.ts';
import { everybodyAnswers, everythingEnded, lookAtAgents, TAIL_MS } from './harness/tail.ts';
import { type Member, Team } from './harness/team.ts';
import { Traffic } from './harness/traffic.ts';

const AGENTS = 10;
const SENDERS = 16;
const THINK_MS = 150;
/** So many are acknowledged from one fault to the next. */
const SHARE = 100;
const UNAVAILABLE = JSON.stringify({
  error: 'platform datastore unavailable — retry shortly',
  code: 'platform_unavailable',
});

const chance = Chance.fromEnv('SERVERS_SEED');
let cluster: Cluster;
let client: Client;
let team: Team;
let bus: Bus;
let fleet: Fleet;
let history: History;
let traffic: Traffic;
/** Taken before the faults: the same processes are there after them. */
let pids: number[];
/** The messages of the test before this one. */
let known: Set<string>;
let thaw: () => void = () => undefined;

beforeAll(async () => {
  cluster = await Cluster.start({ env: { A2A_WORKER_LEASE_SECONDS: '5' } });
  client = new Client(cluster.url());
  team = new Team(cluster);
  bus = await openBus({ servers: cluster.nats.url, name: 'test', log: testLog() });
});

beforeEach(async () => {
  const members: Member[] = [];
  for (let index = 0; index < AGENTS; index++) members.push(await team.join(`agent-${index}`));
  fleet = new Fleet(members, chance);
  history = new History();
  traffic = new Traffic({
    history,
    chance,
    gateways: cluster.urls(),
    members,
    senders: SENDERS,
    thinkMs: THINK_MS,
    onSend: (to) => {
      if (chance.share() < 0.25) fleet.unsettle(to);
    },
  });
  known = new Set((await everythingEnded(cluster)).map(({ queueId }) => queueId));
  pids = cluster.servicePids();
});

afterEach(() => thaw());

afterAll(async () => {
  await bus?.close();
  await team?.leave();
  await cluster?.stop({ keep: process.env['KEEP_E2E'] === '1' });
});

/** Lets one fault in after the other, each under traffic. */
async function under(faults: readonly (() => Promise<unknown>)[]): Promise<void> {
  const total = (faults.length + 1) * SHARE;
  traffic.start(total);
  for (const [index, fault] of faults.entries()) {
    traffic.allow((index + 2) * SHARE);
    await traffic.reached((index + 1) * SHARE);
    await fault();
  }
  await traffic.over();
}

/** All is calm again: the history is sound, and nobody had to be started again. */
async function expectSound(): Promise<void> {
  await fleet.calm();
  await everybodyAnswers(cluster, fleet.members);
  const recorded = (await everythingEnded(cluster)).filter(({ queueId }) => !known.has(queueId));
  lookAtAgents(history, fleet.members);
  expect(judge(history, recorded)).toEqual(CLEAN);
  expect(history.sent.filter(({ outcome }) => outcome === 'queued').length).toBeGreaterThan(0);
  expect(cluster.deaths).toEqual([]);
  expect(cluster.servicePids()).toEqual(pids);
}

/** Does it again and again until told to stop. Rejects with what it rejected with. */
function keepDoing(what: () => Promise<void>): { stop(): Promise<void> } {
  let goesOn = true;
  const done = (async () => {
    while (goesOn) {
      await what();
      await delay(THINK_MS);
    }
  })();
  done.catch(() => undefined); // said when it is stopped
  return {
    stop: async () => {
      goesOn = false;
      await done;
    },
  };
}

async function withDatabase<Result>(work: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const connection = new pg.Client({ connectionString: cluster.postgres.url });
  connection.on('error', () => undefined);
  await connection.connect();
  try {
    return await work(connection);
  } finally {
    await connection.end().catch(() => undefined);
  }
}

describe(`F5: the broker (SERVERS_SEED=${chance.seed})`, () => {
  const KILLS = 5;
  const STILL_MS = 3_000;

  /** It stands still while messages go on, and nobody has noticed yet. */
  async function standStill(): Promise<void> {
    const until = performance.now() + STILL_MS;
    thaw = await cluster.freeze('nats');
    await waitFor(() => performance.now() > until, { timeoutMs: STILL_MS * 2 });
    thaw();
    await cluster.allReady();
  }

  it('is killed five times and stands still: no message, activity or fact is lost, or stored twice', async () => {
    const said: string[] = [];
    let next = 0;
    const speaking = keepDoing(async () => {
      const { id, agent } = fleet.any();
      const summary = `activity ${next++}`;
      const headers = { authorization: `Bearer ${agent.link?.token}` };
      const { status } = await client.post(`/workspaces/${id}/activity`, { activity_type: 'agent_log', summary }, headers);
      if (status === 200) said.push(summary);
      else expect(status).toBe(503);
    });
    await under([...Array.from({ length: KILLS }, () => () => cluster.crash('nats')), standStill]);
    await speaking.stop();
    await expectSound();

    const written = await withDatabase((database) =>
      database.query<{ summary: string }>(`select summary from a2a_proxy.activity where summary like 'activity %'`),
    );
    const summaries = written.rows.map(({ summary }) => summary);
    expect(said.length).toBeGreaterThan(0);
    expect(said.filter((summary) => !summaries.includes(summary))).toEqual([]);
    expect(summaries).toHaveLength(new Set(summaries).size);

    let last: BusAudit | undefined;
    await waitFor(
      async () => {
        last = await auditBus(bus, cluster.postgres.url);
        return last.missing.length === 0;
      },
      { timeoutMs: TAIL_MS, what: 'the bus to have been told of everything' },
    );
    expect(last).toEqual({ missing: [], twice: [], unknown: [] });
  }, 400_000);
});

describe(`F6: the database (SERVERS_SEED=${chance.seed})`, () => {
  const TERMINATIONS = 30;
  const TERMINATE_EVERY_MS = 200;
  const OURS = `application_name like 'molecule %'`;

  /** Connections of the services are cut off, five a second. */
  const terminateBackends = () =>
    withDatabase(async (database) => {
      for (let round = 0; round < TERMINATIONS; round++) {
        await database.query(`select pg_terminate_backend(pid) from pg_stat_activity where ${OURS} order by random() limit 1`);
        await delay(TERMINATE_EVERY_MS);
      }
    });

  /** The postmaster then ends all others, and begins anew. */
  async function killBackend(): Promise<void> {
    const pid = await withDatabase(async (database) => {
      const { rows } = await database.query<{ pid: number }>(`select pid from pg_stat_activity where ${OURS} limit 1`);
      return rows[0]?.pid;
    });
    if (pid === undefined) throw new Error('no service is connected to the database');
    process.kill(pid, 'SIGKILL');
    await cluster.allReady();
  }

  /** Somebody else locks every mailbox, holds the logs back, and goes to lunch; a hundred messages later they come back. */
  const forgetTransaction = () =>
    withDatabase(async (database) => {
      await database.query('begin');
      await database.query('select pg_current_xact_id(), count(*) from (select from a2a_proxy.mailbox for update) locked');
      const enough = traffic.acknowledged + SHARE / 2;
      await traffic.reached(enough);
      await database.query('rollback');
    });

  it('loses connections, a backend, its postmaster and a transaction: no message is lost, and nobody hangs', async () => {
    const wrong: string[] = [];
    const counts = { answered: 0, unavailable: 0 };
    const routes = (): Knock[] => {
      const { id, agent } = fleet.any();
      const headers = { authorization: `Bearer ${agent.link?.token}` };
      return ['/workspaces', `/workspaces/${id}`, `/workspaces/${id}/activity`, '/events', '/admin/audit'].map((path) => ({
        method: 'GET',
        path,
        headers,
      }));
    };
    const judgeRead = ({ path }: Knock, { status, text }: Reply) => {
      if (status === 200) counts.answered++;
      else if (status === 503 && text === UNAVAILABLE) counts.unavailable++;
      else wrong.push(`${path}: ${status} ${text}`);
    };
    // Rejects when something is not answered at all.
    const reading = keepDoing(async () => {
      await Promise.all(routes().map(async (route) => judgeRead(route, await knock(cluster.url(), route))));
    });
    await under([
      terminateBackends,
      killBackend,
      () => cluster.crash('postgres', 'SIGINT'),
      forgetTransaction,
      () => cluster.crash('postgres', 'SIGKILL'),
    ]);
    await reading.stop();
    expect(wrong).toEqual([]);
    expect(counts.answered).toBeGreaterThan(0);
    await expectSound();
  }, 400_000);
});
