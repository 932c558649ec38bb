import { type LiveEvent, subjects } from '@molecule/contracts';
import { describe, expect } from 'vitest';
import { followLive, LivePublisher } from './live.ts';
import { aWorkspaceId, eventually, it } from './test-support.ts';

const live = (n: number, more: Record<string, string> = {}): LiveEvent => ({
  event: 'ACTIVITY_LOGGED',
  workspaceId: aWorkspaceId(),
  timestamp: '2026-11-22T12:00:00.000Z',
  payload: { n, ...more },
});

describe('live events', () => {
  it('arrive in order, many in a message', async ({ bus, log }) => {
    const heard: LiveEvent[] = [];
    let messages = 0;
    bus.nats.subscribe(subjects.everyLive, { callback: () => void messages++ });
    const following = followLive(bus, { log, onEvent: (event) => void heard.push(event) });
    const publisher = new LivePublisher(bus, 'a2a-proxy', { log });
    const said = Array.from({ length: 500 }, (_, n) => live(n));
    for (const event of said) publisher.say(event);
    await eventually(() => heard.length === 500);
    expect(heard).toEqual(said);
    expect(messages).toBeLessThan(10);
    following.stop();
  });

  it('are never more than 48 KiB in a message', async ({ bus, log, lines }) => {
    const sizes: number[] = [];
    bus.nats.subscribe(subjects.everyLive, { callback: (_, message) => void sizes.push(message.data.length) });
    const publisher = new LivePublisher(bus, 'registry', { log });
    for (let n = 0; n < 20; n++) publisher.say(live(n, { text: 'ü'.repeat(5_000) }));
    publisher.say(live(21, { text: 'x'.repeat(60_000) }));
    publisher.flush();
    await bus.nats.flush();
    await eventually(() => sizes.length >= 5);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(48 * 1024);
    expect(bus.counts.liveDropped).toBe(1);
    expect(lines.saying('a live event is too large to be told')).toHaveLength(1);
  });

  it('go out when the publisher closes, and no more after', async ({ bus, log }) => {
    const heard: LiveEvent[] = [];
    followLive(bus, { log, onEvent: (event) => void heard.push(event) });
    const publisher = new LivePublisher(bus, 'registry', { log, flushMs: 60_000 });
    publisher.say(live(1));
    publisher.close();
    publisher.say(live(2));
    publisher.flush();
    await bus.nats.flush();
    await eventually(() => heard.length === 1);
  });

  it('are dropped and counted while the link is down, and flow again after', async ({ nats, bus, log }) => {
    const heard: LiveEvent[] = [];
    followLive(bus, { log, onEvent: (event) => void heard.push(event) });
    const publisher = new LivePublisher(bus, 'registry', { log });
    await nats.kill();
    await eventually(() => !bus.connected);
    publisher.say(live(1));
    publisher.flush();
    expect(bus.counts.liveDropped).toBe(1);
    await nats.up();
    await eventually(() => bus.connected);
    publisher.say(live(2));
    await eventually(() => heard.length === 1);
  });

  it('that cannot be read, or that a listener throws at, harm no other', async ({ bus, log, lines }) => {
    const heard: LiveEvent[] = [];
    followLive(bus, {
      log,
      onEvent: (event) => {
        if (event.payload['n'] === 1) throw new Error('a defect');
        heard.push(event);
      },
    });
    bus.nats.publish(subjects.live('sweeper', 'test'), 'rubbish');
    bus.nats.publish(subjects.live('sweeper', 'test'), JSON.stringify([null, { event: 7 }, live(1), live(2)]));
    await eventually(() => heard.length === 1);
    expect(lines.saying('a live event cannot be read')).toHaveLength(3);
    expect(lines.saying('a listener to live events failed')).toHaveLength(1);
  });

  it('are not read by who said them, nor while nobody wants them', async ({ bus, log }) => {
    const heard: number[] = [];
    const own = new LivePublisher(bus, 'a2a-proxy', { log });
    const other = new LivePublisher(bus, 'registry', { log });
    let wanted = false;
    followLive(bus, { log, except: own, wanted: () => wanted, onEvent: ({ after = 0 }) => void heard.push(after) });
    const say = async (publisher: LivePublisher, after: number) => {
      publisher.say({ ...live(after), after });
      publisher.flush();
      await bus.nats.flush();
    };
    await say(other, 1);
    wanted = true;
    await say(own, 2);
    await say(other, 3);
    await eventually(() => heard.length > 0);
    expect(heard).toEqual([3]);
  });
});
