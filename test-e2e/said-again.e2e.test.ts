/**
 * What the bus says twice, or in words of another day (limits F18, F20): a fact that comes again, at whatever place and however late,
 * happens once; one that nobody here knows is kept for those who will; none of it holds up what comes after it.
 */
import { randomUUID } from 'node:crypto';
import { type Bus, openBus } from '@molecule/bus';
import { STREAMS, subjects } from '@molecule/contracts';
import { testLog, waitFor } from '@molecule/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Canvas, type CanvasFrame, Client } from './harness/client.ts';
import { Cluster } from './harness/cluster.ts';
import { differences } from './harness/differences.ts';
import { countFacts } from './harness/ledger.ts';
import { everythingEnded, TAIL_MS } from './harness/tail.ts';
import { type Member, Team } from './harness/team.ts';

let cluster: Cluster;
let client: Client;
let team: Team;
let bus: Bus;
let member: Member;

beforeAll(async () => {
  cluster = await Cluster.start();
  client = new Client(cluster.url());
  team = new Team(cluster);
  bus = await openBus({ servers: cluster.nats.url, name: 'test', log: testLog() });
  member = await team.join('alive');
});

afterAll(async () => {
  await bus?.close();
  await team?.leave();
  await cluster?.stop({ keep: process.env['KEEP_E2E'] === '1' });
});

interface Stored {
  readonly subject: string;
  readonly body: string;
}

/** Everything that FACTS keeps, in order. */
async function facts(): Promise<Stored[]> {
  const { state } = await bus.jsm.streams.info(STREAMS.facts);
  const stored: Stored[] = [];
  for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
    const message = await bus.jsm.streams.getMessage(STREAMS.facts, { seq });
    if (message) stored.push({ subject: message.subject, body: message.string() });
  }
  return stored;
}

/** Whoever stores what it hears has stored it all; and whoever follows has come as far as this new workspace. */
async function everybodyHasHeard(canvas: Canvas): Promise<string> {
  const id = await client.create('after', { runtime: 'echo', tier: 2 });
  await client.reaches(id, 'online', TAIL_MS);
  await canvas.hears(id, 'WORKSPACE_ONLINE', TAIL_MS);
  expect((await client.send(id, 'hello')).status).toBe(200);
  const hasRead = async () => {
    const consumers = await bus.jsm.consumers.list(STREAMS.facts).next();
    const durable = consumers.filter(({ config }) => config.durable_name !== undefined);
    return durable.length > 0 && durable.every(({ num_pending, num_ack_pending }) => num_pending + num_ack_pending === 0);
  };
  await waitFor(hasRead, { timeoutMs: TAIL_MS, what: 'everybody to have settled everything' });
  return id;
}

const parked = async () => (await client.get('/admin/parked')).body.parked;

describe('F18: everything that was ever said on the bus is said again', () => {
  /** Messages that were answered, that waited, and that waited for somebody who is gone; a workspace of every fate. */
  async function live(): Promise<string[]> {
    const { id, agent } = member;
    agent.link?.stopBeating();
    expect((await client.send(id, 'one')).status).toBe(200);
    agent.behaveNext({ kind: 'reset' });
    expect((await client.send(id, 'two')).status).toBe(202);
    agent.link?.startBeating(500);
    const gone = await team.join('gone');
    gone.agent.link?.stopBeating();
    gone.agent.behave({ kind: 'reset' });
    expect((await client.send(gone.id, 'three')).status).toBe(202);
    expect((await client.delete(`/workspaces/${gone.id}`)).body.status).toBe('removed');
    const paused = await client.create('paused', { runtime: 'echo', tier: 2 });
    await client.reaches(paused, 'online', TAIL_MS);
    expect((await client.post(`/workspaces/${paused}/pause`)).status).toBe(200);
    await everythingEnded(cluster);
    return [gone.id, paused];
  }

  const HERE = 'to those who heard it the first time';

  /** What canvases were told of workspaces, but for this one, and for beats. */
  const structural = (frames: readonly CanvasFrame[], except: string) =>
    frames.filter(({ event, workspace_id: id }) => id !== except && /^WORKSPACE_(?!HEARTBEAT)/.test(event));

  it.each([HERE, 'to those who have just started'])(
    '%s, and happens once',
    async (when) => {
      const [gone, paused] = (await live()) as [string, string];
      if (when !== HERE) {
        await cluster.killAll();
        await cluster.restartAll();
      }
      const canvas = await client.socket();
      const before = await everybodyHasHeard(canvas);
      const stored = await facts();
      const [counted, heard] = [await countFacts(cluster.postgres.url, [before]), canvas.frames.length];
      const seen = member.agent.messageIds.length;

      // Under no id that the server could know it by, as after its window of two minutes.
      for (const { subject, body } of stored) await bus.js.publish(subject, body);
      const after = await everybodyHasHeard(canvas);

      // A gateway that has just started cannot know that it is a repeat, and tells its canvases once more; no other does.
      if (when === HERE) expect(structural(canvas.frames.slice(heard), after)).toEqual([]);
      expect([await client.status(gone), await client.status(paused), await client.status(member.id)]).toEqual([
        'removed',
        'paused',
        'online',
      ]);
      expect(member.agent.messageIds).toHaveLength(seen);
      // Nobody did anything because of it. (What the two others still did is theirs.)
      expect(await countFacts(cluster.postgres.url, [before, after])).toEqual(counted);
      expect(await differences(client)).toEqual([]);
      expect(await parked()).toEqual([]);
      expect(cluster.deaths).toEqual([]);
      canvas.close();
    },
    240_000,
  );
});

describe('F20: facts in words of another day', () => {
  it('are kept where nobody knows them, refused where they are too large, and pass by what they no longer change', async () => {
    const canvas = await client.socket();
    const { id, agent } = await team.join('well known');
    const bearer = { authorization: `Bearer ${agent.link?.token}` };
    const mine = (await facts()).filter(({ subject }) => subject === subjects.fact('workspace.created', id));
    expect(mine).toHaveLength(1);
    const created = JSON.parse(mine[0]?.body ?? '');
    const before = (await facts()).length;

    // Two of a type that comes with the next version; one that was overtaken long ago, under an id of its own.
    const tomorrow = { ...created, type: 'workspace.beamed-up', version: 9, data: { deck: 7 } };
    const unknown = [1, 2].map(() => JSON.stringify({ ...tomorrow, id: randomUUID() }));
    for (const body of unknown) await bus.js.publish(`workspace.beamed-up.${id}`, body);
    const overtaken = JSON.stringify({ ...created, id: randomUUID(), data: { ...created.data, name: 'somebody else' } });
    await bus.js.publish(subjects.fact('workspace.created', id), overtaken);
    const tooLarge = bus.js.publish(subjects.fact('workspace.created', id), 'x'.repeat(8 * 1024 * 1024));
    await expect(tooLarge).rejects.toThrow();

    const after = await everybodyHasHeard(canvas);
    const bodies = (await facts()).slice(before).map(({ body }) => body);
    for (const body of unknown) expect(bodies).toContain(body);
    expect(await parked()).toEqual([]);
    // Whom they were about is who it was, for the registry and for those who only follow.
    expect((await client.get(`/workspaces/${id}`)).body).toMatchObject({ name: 'well known', status: 'online' });
    expect((await client.send(id, 'still you?')).status).toBe(200);
    await waitFor(async () => (await client.get(`/workspaces/${id}/activity`, bearer)).body[0]?.summary.endsWith('well known'), {
      what: 'the message to be written down under its name',
    });
    expect((await client.delete(`/workspaces/${after}`)).body.status).toBe('removed');
    await canvas.hears(after, 'WORKSPACE_REMOVED', TAIL_MS);
    expect(cluster.deaths).toEqual([]);
    canvas.close();
  }, 120_000);
});
