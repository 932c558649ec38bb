/**
 * Each service killed in the middle of messages and beats, then the broker, then the database; then the whole history is judged
 * (limits.md §7–8). What is promised: nothing acknowledged is lost, nothing is doubled unrecorded, mailboxes keep their order, every
 * accepted message has exactly one end, rebuilt tables equal live ones, removed workspaces stay removed, and everything works again.
 */
import { randomInt } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { waitFor } from '@molecule/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { judge, type Recorded } from './harness/checker.ts';
import { Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { differences } from './harness/differences.ts';
import { History } from './harness/history.ts';
import { readMessages } from './harness/ledger.ts';
import { type Member, Team } from './harness/team.ts';

const AGENTS = 10;
const MESSAGES = 500;
const SENDERS = 8;
const BEAT_EVERY_MS = 250;
const RETRY_MS = 50;
/** The tail: after the last fault every route works and every backlog is gone within this time. */
const TAIL_MS = 45_000;

let cluster: Cluster;
let client: Client;
let team: Team;

beforeAll(async () => {
  cluster = await Cluster.start({
    env: { SWEEP_INTERVAL_SECONDS: '2', SCHEDULER_TICK_SECONDS: '1', A2A_IDLE_TIMEOUT_SECONDS: '20' },
  });
  client = new Client(cluster.url());
  team = new Team(cluster);
});

afterAll(async () => {
  await team?.leave();
  await cluster?.stop({ keep: process.env['KEEP_E2E'] === '1' });
});

it('keeps its promises while every service, the broker and the database are killed in turn', async () => {
  const history = new History();
  const members: Member[] = [];
  for (let index = 0; index < AGENTS; index++) members.push(await team.join(`agent-${index}`));
  for (const { agent } of members) agent.link?.startBeating(BEAT_EVERY_MS);
  const removed = await team.join('removed');
  expect((await client.delete(`/workspaces/${removed.id}`)).body.status).toBe('removed');
  removed.agent.link?.startBeating(BEAT_EVERY_MS); // it does not know yet (I5)

  const faults = [
    ...cluster.names().map((name) => () => killAndRestart(name)),
    () => cluster.crash('nats'),
    () => cluster.crash('postgres'),
  ];
  const sending = sendThrough(history, members, faults.length);
  for (const fault of faults) {
    await sending.reached();
    await fault();
  }
  await sending.done;

  await allWorksAgain(members);
  const recorded = await everythingEnded();
  for (const { agent, id } of members) {
    for (const { text, outcome } of agent.received) if (outcome === 'answered' && text.startsWith('m')) history.see(text, id);
  }
  expect(judge(history, recorded)).toEqual({ lost: [], duplicated: [], unexpected: [], reordered: [], unbalanced: [] });

  expect((await client.get('/admin/audit')).body).toMatchObject({ balanced: true, open: 0, unbalanced: [] });
  expect(await differences(client)).toEqual([]);
  expect(await client.status(removed.id)).toBe('removed');
  expect(removed.agent.received).toEqual([]);
}, 400_000);

/**
 * Sends until so many messages have been acknowledged, some of them to agents that are busy. A client that got no answer waits a
 * little before its next message, as clients do. `reached` lets a fault in after each equal share.
 */
function sendThrough(
  history: History,
  members: readonly Member[],
  shares: number,
): { reached(): Promise<void>; done: Promise<void> } {
  let next = 0;
  let share = 0;
  let acknowledged = 0;
  const send = async (index: number): Promise<boolean> => {
    const { id, agent } = members[randomInt(members.length)] as Member;
    if (index % 4 === 0) agent.behaveNext({ kind: 'reset' });
    if (index % 7 === 0) agent.behaveNext({ kind: 'slow', ms: 50 });
    const sent = history.begin(`m${index}`, id);
    try {
      const { status, body } = await client.send(id, sent.value);
      const outcome = status === 200 ? 'answered' : status === 202 ? 'queued' : 'refused';
      history.end(sent, outcome, { status, queueId: status === 202 ? body.queue_id : null });
    } catch {
      return false; // no answer: it stays unknown
    }
    return sent.outcome !== 'refused';
  };
  const sender = async () => {
    while (acknowledged < MESSAGES) {
      if (await send(next++)) acknowledged++;
      else await delay(RETRY_MS);
    }
  };
  const done = Promise.all(Array.from({ length: SENDERS }, sender)).then(() => undefined);
  return {
    reached: async () => {
      const goal = Math.floor((MESSAGES / (shares + 1)) * ++share);
      await waitFor(() => acknowledged >= goal, { timeoutMs: 120_000, what: `${goal} messages to be acknowledged` });
    },
    done,
  };
}

async function killAndRestart(name: string): Promise<void> {
  await cluster.kill(name);
  await cluster.restart(name);
}

/** Liveness at the tail: each agent answers a message and the canvas hears its beat. */
async function allWorksAgain(members: readonly Member[]): Promise<void> {
  await cluster.allReady();
  const canvas = await client.socket();
  await Promise.all(
    members.map(async ({ id }) => {
      await waitFor(async () => (await client.send(id, 'still there?')).status === 200, {
        timeoutMs: TAIL_MS,
        what: `${id} to answer again`,
      });
      await canvas.hears(id, 'WORKSPACE_HEARTBEAT', TAIL_MS);
    }),
  );
  canvas.close();
}

/** What the log says of every message, once each has ended. */
async function everythingEnded(): Promise<Recorded[]> {
  await waitFor(async () => (await client.get('/admin/audit')).body.open === 0, {
    timeoutMs: TAIL_MS,
    what: 'every message to end',
  });
  return readMessages(cluster.postgres.url);
}
