/**
 * Services that are killed with hands full (limits F1, F2, F7): what was sent is sent once, what was queued arrives, and whoever waited
 * is told the truth or nothing.
 */
import { waitFor } from '@molecule/testkit';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { Chance } from './harness/chance.ts';
import { CLEAN, judge, type Recorded } from './harness/checker.ts';
import { type Answer, Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { History } from './harness/history.ts';
import { everybodyAnswers, everythingEnded, lookAtAgents, TAIL_MS } from './harness/tail.ts';
import { type Member, Team } from './harness/team.ts';
import { Traffic } from './harness/traffic.ts';

const AGENTS = 20;
const BEAT_EVERY_MS = 500;
const REFUSED_CHAINS = ['a2a_cycle', 'a2a_depth'];

let cluster: Cluster;
let client: Client;
let team: Team;
let members: Member[];
/** How many messages there were before this test, by the log. */
let before: Map<string, Recorded>;

beforeAll(async () => {
  cluster = await Cluster.start({ env: { A2A_WORKER_LEASE_SECONDS: '5' } });
  client = new Client(cluster.url());
  team = new Team(cluster);
});

beforeEach(async () => {
  members = [];
  for (let index = 0; index < AGENTS; index++) members.push(await team.join(`agent-${index}`));
  before = new Map((await everythingEnded(cluster)).map((one) => [one.queueId, one]));
});

afterAll(async () => {
  await team?.leave();
  await cluster?.stop({ keep: process.env['KEEP_E2E'] === '1' });
});

/** What became of the messages of this test, once all have ended. */
const recordedSince = async () => (await everythingEnded(cluster)).filter(({ queueId }) => !before.has(queueId));

const textOf = ({ body }: Answer): unknown => body?.result?.parts?.[0]?.text;

/** A service was away; or agents that call each other at random went round in a circle (ADR 17). */
const isHonest = ({ status, body }: Answer): boolean =>
  status === 502 || status === 503 || (status === 409 && REFUSED_CHAINS.includes(body?.code));

/** The agents are busy and say nothing while so many messages come for each: they wait. */
async function fillMailboxes(history: History, each: number): Promise<void> {
  for (const { agent } of members) {
    agent.link?.stopBeating();
    agent.behave({ kind: 'reset' });
  }
  for (let round = 0; round < each; round++)
    await Promise.all(
      members.map(async ({ id }, index) => {
        const sent = history.begin(`m${round * AGENTS + index}`, id);
        const { status, body } = await client.send(id, sent.value);
        expect([status, body.queued, body.queue_depth]).toEqual([202, true, round + 1]);
        history.end(sent, 'queued', { status, queueId: body.queue_id });
      }),
    );
}

const becomeGood = () => {
  for (const { agent } of members) {
    agent.behave({ kind: 'echo' });
    agent.release();
    agent.link?.startBeating(BEAT_EVERY_MS);
  }
};

/** How often each message met an agent that was not busy. */
function attemptsByText(): Map<string, number> {
  const counts = new Map<string, number>();
  for (const { agent } of members)
    for (const { text, outcome } of agent.received) if (outcome !== 'gave-up') counts.set(text, (counts.get(text) ?? 0) + 1);
  return counts;
}

describe('F1: the gateway is killed five times under load', () => {
  const KILLS = 5;
  const SHARE = 150;

  it('and its clients get their own answer, an honest error or none, and no agent gets a message twice', async () => {
    const history = new History();
    const wrong: unknown[] = [];
    const traffic = new Traffic({
      history,
      chance: Chance.fromEnv('KILLED_SEED'),
      gateways: [cluster.url()],
      members,
      senders: 16,
      thinkMs: 20,
      onAnswer: ({ value }, answer) => {
        if (answer.status === 200 ? textOf(answer) !== value : !isHonest(answer)) wrong.push([value, answer]);
      },
    });
    for (const { agent } of members) agent.behave({ kind: 'slow', ms: 20 });
    const total = (KILLS + 1) * SHARE;
    traffic.start(total);
    for (let kill = 1; kill <= KILLS; kill++) {
      traffic.allow((kill + 1) * SHARE);
      await traffic.reached(kill * SHARE);
      await cluster.kill('gateway-0');
      await cluster.restart('gateway-0');
    }
    await traffic.over();

    await everybodyAnswers(cluster, members);
    lookAtAgents(history, members);
    expect(judge(history, await recordedSince())).toEqual(CLEAN);
    expect(wrong).toEqual([]);
    // Nothing had to wait, so nothing may have been at its agent more than once; and it did hurt.
    const seen = history.seen.map(({ value }) => value);
    expect(seen).toHaveLength(new Set(seen).size);
    expect(history.sent.filter(({ outcome }) => outcome === 'unknown').length).toBeGreaterThan(0);
    expect(cluster.deaths).toEqual([]);
  }, 240_000);
});

describe('F2: the a2a-proxy is killed with hundreds in flight and hundreds queued', () => {
  const QUEUED_EACH = 15;
  const CALLS_EACH = 15;

  it('and each sender is told, what waited arrives, and only what was being delivered may come twice', async () => {
    const history = new History();
    await fillMailboxes(history, QUEUED_EACH);

    // One of each mailbox is at its agent, which does not answer, or has begun to.
    for (const [index, { agent }] of members.entries()) agent.behave({ kind: index % 2 === 0 ? 'hang' : 'headers-only' });
    await Promise.all(members.map(({ agent }) => agent.link?.beat({ active_tasks: 0 })));
    for (const { agent } of members) await agent.waitForCalls(1, TAIL_MS);
    // And there are as many direct calls as will be, all written down.
    const calls = Array.from({ length: CALLS_EACH * AGENTS }, async (_, index) => {
      const { id } = members[index % AGENTS] as Member;
      const sent = history.begin(`m${(QUEUED_EACH + 1) * AGENTS + index}`, id);
      const { status } = await client.send(id, sent.value);
      history.end(sent, 'refused', { status });
      return status;
    });
    for (const { agent } of members) await agent.waitForCalls(1 + CALLS_EACH, TAIL_MS);
    await waitFor(async () => (await client.get('/admin/audit')).body.open === (QUEUED_EACH + CALLS_EACH) * AGENTS, {
      timeoutMs: TAIL_MS,
      what: 'all to be written down as open',
    });

    await cluster.kill('a2a-proxy-0');
    expect([...new Set(await Promise.all(calls))]).toEqual([502]);
    becomeGood();
    await cluster.restart('a2a-proxy-0');

    const recorded = await recordedSince();
    lookAtAgents(history, members);
    expect(judge(history, recorded)).toEqual(CLEAN);
    // Who was told of an error finds it in the log; each of them was sent once.
    const direct = recorded.filter(({ priority }) => priority === null);
    expect(direct.map(({ facts }) => facts)).toEqual(Array(CALLS_EACH * AGENTS).fill(['a2a.unreached']));
    const [attempts, waited] = [attemptsByText(), recorded.filter(({ priority }) => priority !== null)];
    for (const { value } of history.sent.slice(QUEUED_EACH * AGENTS)) expect(attempts.get(value), value).toBe(1);
    // What waited was at its agent once; what was there at the kill, once more.
    expect(waited).toHaveLength(QUEUED_EACH * AGENTS);
    const often = waited.map(({ value }) => attempts.get(value) ?? 0);
    expect(new Set(often)).toEqual(new Set([1, 2]));
    expect(often.filter((times) => times === 2)).toHaveLength(AGENTS);
    expect(cluster.deaths).toEqual([]);
  }, 240_000);
});

describe('F7: everything is killed at once with hundreds queued', () => {
  const QUEUED_EACH = 15;

  it('and after a cold start the mailboxes empty by themselves, without a beat, in order, each message once', async () => {
    const history = new History();
    await fillMailboxes(history, QUEUED_EACH);
    await cluster.killAll();
    for (const { agent } of members) agent.behave({ kind: 'echo' }); // and still they do not beat
    await cluster.restartAll();
    // Nobody is taken for dead because we were.
    for (const { id } of members) expect(await client.status(id)).toBe('online');

    const recorded = await recordedSince();
    lookAtAgents(history, members);
    expect(judge(history, recorded)).toEqual(CLEAN);
    expect(recorded.map(({ facts }) => facts.at(-1))).toEqual(Array(QUEUED_EACH * AGENTS).fill('a2a.completed'));
    expect([...attemptsByText().values()]).toEqual(Array(QUEUED_EACH * AGENTS).fill(1));
    for (const { agent } of members) {
      const texts = agent.received.map(({ text }) => text);
      // First each found it busy; in the end all came again, in the same order.
      expect(texts.slice(-QUEUED_EACH)).toEqual(texts.slice(0, QUEUED_EACH));
    }
    becomeGood();
    await everybodyAnswers(cluster, members);
    expect(cluster.deaths).toEqual([]);
  }, 240_000);
});
