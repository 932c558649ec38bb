import { type Beat, type BeatMark, STREAMS, subjects } from '@molecule/contracts';
import { type Log, systemClock } from '@molecule/service';
import type { SubscriptionOptions } from '@nats-io/transport-node';
import { describe, expect, onTestFinished } from 'vitest';
import { BeatFeed, type HowHeard } from './beat-feed.ts';
import { BeatPublisher } from './beats.ts';
import { type Bus, openBus } from './connection.ts';
import { listParked } from './parked.ts';
import { aBeat, aWorkspaceId, eventually, it } from './test-support.ts';

/** Milliseconds that even a busy machine needs at most. */
const SOON = 10_000;

const publisher = (bus: Bus, gateway = 'gateway-1') => new BeatPublisher(bus, { gateway, clock: systemClock });
const markOf = (gateway: BeatPublisher): BeatMark => gateway.mark() ?? { gateway: '', seq: 0 };

async function listening(bus: Bus) {
  const feed = await BeatFeed.open(bus, { log: bus.log });
  onTestFinished(() => feed.stop());
  const heard: { beat: Beat; replayed: boolean }[] = [];
  feed.onBeat((beat, { replayed }) => void heard.push({ beat, replayed }));
  return { feed, heard };
}

/** A beat as a gateway would send it, first of its own. */
const stamped = (workspaceId: string) => ({
  workspaceId,
  seq: 1,
  errorRate: 0,
  sampleError: '',
  activeTasks: 0,
  uptimeSeconds: 1,
  currentTask: '',
  monthlySpend: 0,
  runtimeState: '',
});

/** All that was published is in the stream. */
async function storedBeats(bus: Bus, count: number): Promise<void> {
  await bus.nats.flush();
  await expect.poll(async () => (await bus.jsm.streams.info(STREAMS.heartbeats)).state.messages).toBe(count);
}

describe('beats', () => {
  it('are stamped by the gateway, and heard as they are', async ({ bus }) => {
    const gateway = publisher(bus);
    const { feed, heard } = await listening(bus);
    expect(gateway.mark()).toBeNull();
    const workspaceId = aWorkspaceId();
    gateway.publish(aBeat(workspaceId.toUpperCase(), { active_tasks: 2, runtime_metadata: { idle_timeout_seconds: 60 } }));
    gateway.publish(aBeat(workspaceId, { current_task: 'thinking' }));
    expect(gateway.mark()).toEqual({ gateway: 'gateway-1', seq: 2 });
    expect(await feed.caughtUp(gateway.mark(), SOON)).toBe(true);
    expect(heard.map(({ beat, replayed }) => ({ seq: beat.seq, replayed }))).toEqual([
      { seq: 1, replayed: false },
      { seq: 2, replayed: false },
    ]);
    expect(heard[0]?.beat).toMatchObject({
      workspaceId,
      gateway: 'gateway-1',
      activeTasks: 2,
      runtimeMetadata: { idle_timeout_seconds: 60 },
    });
    expect(heard[1]?.beat).not.toHaveProperty('runtimeMetadata');
  });

  it('F1: start with the last of every workspace, for listeners that come right after', async ({ nats, bus, log }) => {
    const gateway = publisher(bus);
    const workspaces = Array.from({ length: 50 }, aWorkspaceId);
    for (const task of ['one', 'two']) for (const id of workspaces) gateway.publish(aBeat(id, { current_task: task }));
    await storedBeats(bus, 50);
    const other = await openBus({ servers: nats.url, name: 'restarted', log });
    const { feed, heard } = await listening(other);
    expect(heard).toHaveLength(50);
    expect(heard.every(({ beat, replayed }) => replayed && beat.currentTask === 'two')).toBe(true);
    expect(feed.caughtUp(gateway.mark())).toBe(true);
    await expect.poll(async () => (await bus.jsm.streams.info(STREAMS.heartbeats)).state.consumer_count).toBe(0);
    const second: string[] = [];
    feed.onBeat(({ workspaceId }) => void second.push(workspaceId));
    expect(new Set(second)).toEqual(new Set(workspaces));
    await other.close();
  });

  it('F1: start with what was declared last, also when the beats since then declared nothing', async ({ nats, bus, log }) => {
    const gateway = publisher(bus);
    const workspaceId = aWorkspaceId();
    gateway.publish(aBeat(workspaceId, { runtime_metadata: { idle_timeout_seconds: 60 } }));
    gateway.publish(aBeat(workspaceId, { current_task: 'thinking' }));
    await storedBeats(bus, 2);
    const other = await openBus({ servers: nats.url, name: 'restarted', log });
    const { feed, heard } = await listening(other);
    const inOrder = [
      { seq: 1, runtimeMetadata: { idle_timeout_seconds: 60 } },
      { seq: 2, currentTask: 'thinking' },
    ];
    expect(heard.map(({ beat }) => beat)).toMatchObject(inOrder);
    const second: Beat[] = [];
    feed.onBeat((beat) => void second.push(beat));
    expect(second).toMatchObject(inOrder);
    await other.close();
  });

  it('F5: tell what an older beat declared, when it comes up behind a newer one that declared nothing', async ({
    nats,
    bus,
    log,
  }) => {
    const other = await openBus({ servers: nats.url, name: 'cut off', log });
    const { feed, heard } = await listening(other);
    const outdated: (string | undefined)[] = [];
    const declared = (beat: Beat, how: HowHeard) => {
      if (how.outdated) outdated.push(JSON.stringify(beat.runtimeMetadata));
    };
    feed.onBeat(declared, { outdated: true });
    const workspaceId = aWorkspaceId();
    const missed = { ...stamped(workspaceId), gateway: 'one', receivedAt: 1_000, runtimeMetadata: { idle_timeout_seconds: 7 } };
    const newer = { ...stamped(workspaceId), gateway: 'two', receivedAt: 2_000 };
    // Only the stream has the first, as when a link was lost for a moment.
    await bus.jsm.streams.update(STREAMS.heartbeats, { subjects: ['aside.>', 'heartbeat.>'] });
    bus.nats.publish(`aside.${workspaceId}`, JSON.stringify(missed));
    bus.nats.publish(subjects.partialHeartbeat(workspaceId), JSON.stringify(newer));
    await expect.poll(() => heard.length).toBe(1);
    feed.onBeat(() => undefined);
    bus.nats.publish(subjects.partialHeartbeat(workspaceId), JSON.stringify({ ...newer, seq: 9, receivedAt: 3_000 })); // a jump: it reads again
    await expect.poll(() => outdated).toEqual(['{"idle_timeout_seconds":7}']);
    expect(heard.every(({ beat }) => beat.gateway === 'two')).toBe(true);
    await other.close();
  });

  it('F4: caughtUp is true at once when there is nothing to wait for', async ({ bus }) => {
    const gateway = publisher(bus);
    const { feed } = await listening(bus);
    expect(feed.caughtUp(null)).toBe(true);
    gateway.publish(aBeat(aWorkspaceId()));
    const mark = gateway.mark();
    await feed.caughtUp(mark, SOON);
    expect(feed.caughtUp(mark)).toBe(true);
  });

  it('F4: caughtUp waits for what listeners promised', async ({ bus }) => {
    const gateway = publisher(bus);
    const { feed } = await listening(bus);
    let finish: () => void = () => {};
    const promised = new Promise<void>((resolve) => {
      finish = resolve;
    });
    feed.onBeat(() => promised);
    gateway.publish(aBeat(aWorkspaceId()));
    let passed: boolean | undefined;
    const waiting = Promise.resolve(feed.caughtUp(gateway.mark(), SOON)).then((yes) => {
      passed = yes;
    });
    await bus.nats.flush();
    expect(passed).toBeUndefined();
    finish();
    await waiting;
    expect(passed).toBe(true);
  });

  it('F4: caughtUp gives up on a gateway never heard of, and makes nobody else wait for it', async ({ bus, lines }) => {
    const { feed } = await listening(bus);
    const began = performance.now();
    expect(await feed.caughtUp({ gateway: 'nobody', seq: 3 })).toBe(false);
    expect(performance.now() - began).toBeGreaterThanOrEqual(495);
    expect(feed.caughtUp({ gateway: 'nobody', seq: 3 })).toBe(true);
    expect(bus.counts.beatWaitsLate).toBe(1);
    expect(lines.saying('a beat did not come in time; going on without it')).toHaveLength(1);
  });

  it('F3: a jump in the numbers is noticed, counted, and made good', async ({ nats, bus, log }) => {
    const { lossy, link } = withLossyLink(bus);
    const { feed, heard } = await listening(lossy);
    const gateway = publisher(await opened(nats.url, log));
    gateway.publish(aBeat(aWorkspaceId(), { current_task: 'first' }));
    await feed.caughtUp(gateway.mark(), SOON);
    link.drops = true;
    gateway.publish(aBeat(aWorkspaceId(), { current_task: 'missed' }));
    await eventually(() => link.dropped === 1);
    link.drops = false;
    expect(feed.caughtUp(gateway.mark(), 60_000)).not.toBe(true);
    gateway.publish(aBeat(aWorkspaceId(), { current_task: 'next' }));
    expect(await feed.caughtUp(gateway.mark(), SOON)).toBe(true);
    expect(heard.map(({ beat, replayed }) => [beat.currentTask, replayed])).toEqual([
      ['first', false],
      ['next', false],
      ['missed', true], // F2: and nothing old again
    ]);
    expect(bus.counts.beatGaps).toBe(1);
  });

  it('F3: after NATS was away everybody has the newest beat of everybody', async ({ nats, bus, log }) => {
    const sender = await openBus({ servers: nats.url, name: 'gateway', log });
    const gateway = publisher(sender);
    const { feed, heard } = await listening(bus);
    const workspaceId = aWorkspaceId();
    gateway.publish(aBeat(workspaceId, { current_task: 'before' }));
    await feed.caughtUp(gateway.mark(), SOON);
    await nats.kill();
    await eventually(() => !bus.connected && !sender.connected);
    // B2: only the newest is held, with what an older one had declared.
    gateway.publish(aBeat(workspaceId, { current_task: 'during', runtime_metadata: { idle_timeout_seconds: 60 } }));
    gateway.publish(aBeat(workspaceId, { current_task: 'newest' }));
    expect(gateway.mark()?.seq).toBe(1);
    await nats.up();
    await eventually(() => heard.some(({ beat }) => beat.currentTask === 'newest'));
    expect(gateway.mark()?.seq).toBe(2);
    expect(await feed.caughtUp(gateway.mark(), SOON)).toBe(true);
    expect(heard.map(({ beat }) => beat.currentTask)).toEqual(['before', 'newest']);
    expect(heard[1]?.beat.runtimeMetadata).toEqual({ idle_timeout_seconds: 60 });
    await sender.close();
  });

  it('F2: one that is read again never overwrites a newer one', async ({ bus }) => {
    const { feed, heard } = await listening(bus);
    const workspaceId = aWorkspaceId();
    const first = publisher(bus, 'gateway-1');
    const second = publisher(bus, 'gateway-2');
    first.publish(aBeat(workspaceId, { current_task: 'by one' }));
    second.publish(aBeat(workspaceId, { current_task: 'by two' }));
    await Promise.all([feed.caughtUp(first.mark(), SOON), feed.caughtUp(second.mark(), SOON)]);
    await storedBeats(bus, 1);
    await bus.nats.reconnect();
    await expect.poll(() => bus.counts.beatReplays).toBe(2);
    expect(heard.map(({ beat }) => beat.currentTask)).toEqual(['by one', 'by two']);
  });

  it('F5: that cannot be read are dropped, counted and parked; a listener that throws harms nobody', async ({ bus, lines }) => {
    const { feed, heard } = await listening(bus);
    feed.onBeat(() => {
      throw new Error('a defect');
    });
    feed.onBeat(() => Promise.reject(new Error('another')));
    const workspaceId = aWorkspaceId();
    for (const rubbish of ['', 'x', '{}', '[1]']) bus.nats.publish(subjects.heartbeat(workspaceId), rubbish);
    const gateway = publisher(bus);
    gateway.publish(aBeat(workspaceId));
    expect(await feed.caughtUp(gateway.mark(), SOON)).toBe(true);
    expect(heard).toHaveLength(1);
    expect(bus.counts.beatsMalformed).toBe(4);
    expect(lines.saying('a listener to beats failed').length).toBeGreaterThanOrEqual(2);
    await expect.poll(async () => (await listParked(bus)).length).toBe(1); // at most one a second
    expect((await listParked(bus))[0]).toMatchObject({ consumer: 'beats', origin: { body: '' } });
  });

  it('refuse a workspace id that is none', async ({ bus }) => {
    expect(() => publisher(bus).publish(aBeat('not-an-id'))).toThrow();
  });

  it('F1: reads 100,000 last beats again in a few seconds', async ({ nats, bus, log }) => {
    const gateway = publisher(bus);
    for (let n = 0; n < 100_000; n++) {
      gateway.publish(
        aBeat(aWorkspaceId(), { runtime_metadata: { capabilities: { scheduler: true }, idle_timeout_seconds: 600 } }),
      );
      if (n % 5_000 === 0) await bus.nats.flush();
    }
    await storedBeats(bus, 100_000);
    const other = await openBus({ servers: nats.url, name: 'restarted', log });
    const began = performance.now();
    const { feed, heard } = await listening(other);
    expect(performance.now() - began).toBeLessThan(8_000); // about one second on an idle machine
    expect(heard).toHaveLength(100_000);
    expect(feed.caughtUp(markOf(gateway))).toBe(true);
    await other.close();
  });
});

/** The same connection, through which beats do not get to subscribers while `drops` is set. */
function withLossyLink(bus: Bus): { lossy: Bus; link: { drops: boolean; dropped: number } } {
  const link = { drops: false, dropped: 0 };
  const member = (target: object, key: string | symbol): unknown => {
    const value: unknown = Reflect.get(target, key, target);
    return typeof value === 'function' ? value.bind(target) : value;
  };
  const nats = new Proxy(bus.nats, {
    get: (target, key) => {
      if (key !== 'subscribe') return member(target, key);
      return (subject: string, options: SubscriptionOptions) =>
        target.subscribe(subject, {
          ...options,
          callback: (error, message) => {
            if (subject === subjects.everyHeartbeat && link.drops) link.dropped++;
            else options.callback?.(error, message);
          },
        });
    },
  });
  const lossy = new Proxy(bus, { get: (target, key) => (key === 'nats' ? nats : member(target, key)) });
  return { lossy, link };
}

async function opened(url: string, log: Log): Promise<Bus> {
  const bus = await openBus({ servers: url, name: 'other', log });
  onTestFinished(() => bus.close());
  return bus;
}
