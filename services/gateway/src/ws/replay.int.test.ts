/** Clients that come back over real connections, to another gateway than they left, over a real log (R1, R2). */
import { STREAMS } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { Line } from '../testing/line.ts';
import { heard, type Listener, listenTo, names, openStream } from '../testing/listeners.ts';
import { moved, status } from '../testing/registry.ts';
import { bearer, call, type Gateway, it } from '../testing/world.ts';

const online = status('online', 'WORKSPACE_ONLINE');
const offline = status('offline', 'WORKSPACE_OFFLINE');

const seqOfLast = ({ frames }: Listener): string => frames.at(-1)?.seq ?? '';
const back = (gateway: Gateway, since: string, headers: Record<string, string> = {}) =>
  listenTo(gateway, headers, `?since=${encodeURIComponent(since)}`);
const told = ({ frames }: Listener) => frames.map(({ event, workspace_id }) => [event, workspace_id]);
const gaps = ({ frames }: Listener) => frames.filter(({ event }) => event === 'GAP');

async function replays(gateway: Gateway): Promise<Record<string, number>> {
  const { text } = await call(gateway, '/metrics');
  const found = [...text.matchAll(/^molecule_replays_total\{.*?outcome="(\w+)".*\} (\d+)$/gm)];
  return Object.fromEntries(found.map(([, outcome, count]) => [outcome, Number(count)]));
}

describe('a canvas that comes back', () => {
  it('to another gateway is told exactly what it missed, in order, then what happens', async ({ world }) => {
    const { id } = await world.registry.enrol({ token: false });
    const [first, second] = [await world.gateway(), await world.gateway()];
    const canvas = await listenTo(first);
    await world.registry.say(id, online);
    await heard(canvas, 1);
    await first.close();
    expect(await canvas.closed).toBe(1001);
    const { id: other } = await world.registry.enrol({ token: false });
    await world.registry.say(id, offline, moved(null), online);
    const again = await back(second, seqOfLast(canvas));
    await heard(again, 3);
    await world.registry.say(other, online);
    await heard(again, 4);
    expect(told(again)).toEqual([
      ['WORKSPACE_PROVISIONING', other],
      ['WORKSPACE_OFFLINE', id],
      ['WORKSPACE_ONLINE', id],
      ['WORKSPACE_ONLINE', other],
    ]);
    expect(await replays(second)).toEqual({ replayed: 1, gap: 0 });
  });

  it('is told each once, also while much happens', { timeout: 30_000 }, async ({ world }) => {
    const { id } = await world.registry.enrol({ token: false });
    const [first, second] = [await world.gateway(), await world.gateway()];
    const complete = await listenTo(first);
    const canvas = await listenTo(first);
    const facts = 600;
    const saying = (async () => {
      for (let n = 0; n < facts; n += 20)
        await world.registry.say(id, ...Array.from({ length: 10 }, () => [online, offline]).flat());
    })();
    await heard(canvas, 1);
    canvas.socket.terminate();
    const seqs = canvas.frames.map(({ seq }) => seq);
    let before = canvas;
    for (let turn = 1; turn <= 10; turn++) {
      const again = await back(turn % 2 === 0 ? first : second, seqOfLast(before));
      await waitFor(() => again.frames.length >= 20 || seqs.length + again.frames.length === facts);
      again.socket.terminate();
      seqs.push(...again.frames.map(({ seq }) => seq));
      if (again.frames.length > 0) before = again;
    }
    await saying;
    const last = await back(second, seqs.at(-1) ?? '');
    await waitFor(() => seqs.length + last.frames.length === facts, { what: 'the rest' });
    await heard(complete, facts);
    expect([...seqs, ...last.frames.map(({ seq }) => seq)]).toEqual(complete.frames.map(({ seq }) => seq));
  });

  it('is told nothing again when it missed nothing, and no gap', async ({ world }) => {
    const { id } = await world.registry.enrol({ token: false });
    const gateway = await world.gateway();
    const canvas = await listenTo(gateway);
    await world.registry.say(id, online);
    await heard(canvas, 1);
    const again = await back(gateway, seqOfLast(canvas));
    await world.registry.say(id, offline);
    await heard(again, 1);
    expect(names(again)).toEqual(['WORKSPACE_OFFLINE']);
  });
});

it('a workspace that comes back is told what it may hear by the tree as it is now', async ({ world }) => {
  const parent = await world.registry.enrol({ token: false });
  const mine = await world.registry.enrol({ parentId: parent.id });
  const sibling = await world.registry.enrol({ parentId: parent.id, token: false });
  const nephew = await world.registry.enrol({ parentId: sibling.id, token: false });
  const gateway = await world.gateway();
  const headers = { 'X-Workspace-ID': mine.id, ...bearer(mine.token) };
  const agent = await listenTo(gateway, headers);
  await world.registry.say(mine.id, online);
  await heard(agent, 1);
  agent.socket.terminate();
  for (const { id } of [nephew, sibling]) await world.registry.say(id, online);
  const adopted = await world.registry.enrol({ parentId: sibling.id, token: false });
  await world.registry.say(adopted.id, moved(parent.id));
  const again = await back(gateway, seqOfLast(agent), headers);
  await heard(again, 2);
  await world.registry.say(nephew.id, offline);
  await world.registry.say(parent.id, online);
  await heard(again, 3);
  expect(told(again)).toEqual([
    ['WORKSPACE_ONLINE', sibling.id],
    ['WORKSPACE_PROVISIONING', adopted.id],
    ['WORKSPACE_ONLINE', parent.id],
  ]);
  await expect(back(gateway, seqOfLast(agent), { 'X-Workspace-ID': mine.id })).rejects.toThrow('401');
});

it('an event stream continues behind Last-Event-ID, or ?since=, with what happened to its workspace', async ({ world }) => {
  const mine = await world.registry.enrol();
  const other = await world.registry.enrol({ token: false });
  const [first, second] = [await world.gateway(), await world.gateway()];
  const headers = bearer(mine.token);
  const stream = await openStream(first, mine.id, { headers });
  await world.registry.say(mine.id, online);
  await waitFor(() => stream.events().length === 1);
  const id = stream.events()[0]?.id ?? '';
  await first.close();
  await stream.ended;
  await world.registry.say(mine.id, offline);
  await world.registry.say(other.id, online);
  await world.registry.say(mine.id, online);
  const returns = [
    await openStream(second, mine.id, { headers: { ...headers, 'Last-Event-ID': id } }),
    await openStream(second, mine.id, { headers, query: `?since=${id}` }),
    await openStream(second, mine.id, { headers: { ...headers, 'Last-Event-ID': id }, query: '?since=older' }),
  ];
  for (const again of returns) await waitFor(() => again.events().length === 2);
  await world.registry.say(mine.id, offline);
  for (const again of returns) {
    await waitFor(() => again.events().length === 3);
    expect(again.text()).toMatch(/^: ping\n\nid: /);
    expect(again.events().map(({ type }) => type)).toEqual(['WORKSPACE_OFFLINE', 'WORKSPACE_ONLINE', 'WORKSPACE_OFFLINE']);
  }
  const [lost] = [await openStream(second, mine.id, { headers, query: '?since=nowhere' })];
  await waitFor(() => lost.events().length === 1);
  expect(lost.events()[0]).toMatchObject({ type: 'GAP', data: { since: 'nowhere', reason: 'unreadable' } });
});

describe('one gap is told', () => {
  it('when the log no longer keeps what was missed, and when it was made anew; to who asked, and to nobody else', async ({
    world,
    bus,
  }) => {
    const { id } = await world.registry.enrol({ token: false });
    const gateway = await world.gateway();
    const plain = await listenTo(gateway);
    await world.registry.say(id, online);
    await heard(plain, 1);
    const seq = seqOfLast(plain);
    await world.registry.say(id, offline, online);
    await heard(plain, 3);
    await bus.jsm.streams.purge(STREAMS.facts, { keep: 1 });
    const expired = await back(gateway, seq);
    await heard(expired, 1);
    const { timestamp, ...gap } = expired.frames[0] as Listener['frames'][number];
    const payload = { since: seq, reason: 'expired' };
    expect(gap).toEqual({ event: 'GAP', workspace_id: '', payload, seq: seqOfLast(plain) });
    expect(timestamp).toMatch(/^\d{4}-\d\d-\d\dT.*Z$/);
    await world.registry.say(id, offline);
    await heard(expired, 2);
    expect(expired.frames[1]).toEqual(plain.frames.at(-1));

    const { config } = await bus.jsm.streams.info(STREAMS.facts);
    await bus.jsm.streams.delete(STREAMS.facts);
    await bus.jsm.streams.add(config);
    const other = await world.gateway();
    const anew = await back(other, seqOfLast(expired));
    await heard(anew, 1);
    expect(gaps(anew).map(({ payload }) => payload)).toEqual([{ since: seqOfLast(expired), reason: 'other-log' }]);
    await world.registry.say(id, online);
    await heard(anew, 2);
    expect(names(anew)).toEqual(['GAP', 'WORKSPACE_ONLINE']);
    expect(gaps(plain)).toEqual([]);
    expect(await replays(gateway)).toEqual({ replayed: 0, gap: 1 });
  });

  it('when the gateway itself missed facts, before what follows them', async ({ world, bus, natsUrl }) => {
    const { id } = await world.registry.enrol({ token: false });
    const line = new Line(natsUrl);
    const gateway = await world.gateway({ NATS_URL: await line.open() });
    const plain = await listenTo(gateway);
    await world.registry.say(id, online);
    await heard(plain, 1);
    const asked = await back(gateway, seqOfLast(plain));
    await waitFor(async () => (await replays(gateway))['replayed'] === 1);
    const { config } = await bus.jsm.streams.info(STREAMS.facts);
    await bus.jsm.streams.delete(STREAMS.facts);
    world.registry.decide(id, offline);
    await bus.jsm.streams.add(config);
    line.drop();
    await heard(asked, 1);
    await world.registry.say(id, online);
    await heard(asked, 2);
    await heard(plain, 2);
    expect(names(asked)).toEqual(['GAP', 'WORKSPACE_ONLINE']);
    expect(asked.frames[0]?.payload).toEqual({
      since: seqOfLast({ ...plain, frames: plain.frames.slice(0, 1) }),
      reason: 'missed',
    });
    expect(names(plain)).toEqual(['WORKSPACE_ONLINE', 'WORKSPACE_ONLINE']);
    const again = await back(gateway, asked.frames[0]?.seq ?? '');
    await heard(again, 1);
    expect(again.frames[0]).toEqual(asked.frames[1]);
  });
});
