import { type AnyRecordedFact, STREAMS } from '@molecule/contracts';
import { describe, expect, onTestFinished } from 'vitest';
import type { Bus } from './connection.ts';
import { type FactPlace, followFacts } from './follow.ts';
import { publishFacts } from './publish.ts';
import { aWorkspaceId, eventually, it, moved, signalOfTest } from './test-support.ts';

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

async function following(bus: Bus) {
  const facts: AnyRecordedFact[] = [];
  const places: FactPlace[] = [];
  let gaps = 0;
  const onGap = () => void gaps++;
  const onFact = (fact: AnyRecordedFact, place: FactPlace) => {
    facts.push(fact);
    places.push(place);
  };
  const feed = await followFacts(bus, { log: bus.log, onFact, onGap });
  onTestFinished(() => feed.stop());
  return { facts, places, feed, gaps: () => gaps };
}

describe('following facts', () => {
  it('hears what is stored from now on, and nothing before', async ({ bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const workspaceId = aWorkspaceId();
    await publish(upTo(3).map((version) => moved(workspaceId, version)));
    const { facts, feed } = await following(bus);
    expect(feed.sequence).toBe(3);
    await publish([moved(workspaceId, 4)]);
    await eventually(() => facts.length === 1);
    expect(facts[0]).toMatchObject({ version: 4 });
    expect(feed.alive).toBe(true);
  });

  it('I2: hears every fact once and in order while NATS is killed and comes back', async ({ nats, bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const workspaceId = aWorkspaceId();
    const { facts, gaps } = await following(bus);
    const publishing = (async () => {
      for (const version of upTo(300)) await publish([moved(workspaceId, version)]);
    })();
    for (const at of [50, 150, 250]) {
      await eventually(
        () => facts.length >= at,
        () => facts.length,
        25_000,
      );
      await nats.kill();
      await nats.up();
    }
    await publishing;
    await eventually(
      () => facts.length >= 300,
      () => facts.length,
      25_000,
    );
    expect(facts.map(({ version }) => version)).toEqual(upTo(300));
    expect(gaps()).toBe(0);
  });

  it('does not hear history when NATS restarts before the first fact', async ({ nats, bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    await publish(upTo(3).map(() => moved(aWorkspaceId(), 1)));
    const { facts } = await following(bus);
    await nats.kill();
    await nats.up();
    await eventually(() => bus.connected);
    const fact = moved(aWorkspaceId(), 1);
    await publish([fact]);
    await eventually(() => facts.length > 0);
    expect(facts).toEqual([fact]);
  });

  it('tells of a gap when the stream was made anew, and follows the new one', async ({ bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const { facts, places, feed, gaps } = await following(bus);
    await publish(upTo(3).map(() => moved(aWorkspaceId(), 1)));
    await eventually(() => facts.length === 3);
    const { config, created: before } = await bus.jsm.streams.info(STREAMS.facts);
    await bus.jsm.streams.delete(STREAMS.facts);
    await bus.jsm.streams.add(config);
    await bus.nats.reconnect();
    await eventually(() => gaps() === 1, gaps, 20_000);
    const { created: after } = await bus.jsm.streams.info(STREAMS.facts);
    expect([feed.epoch, feed.sequence]).toEqual([after, 0]);
    await publish([moved(aWorkspaceId(), 9)]);
    await eventually(() => facts.length === 4);
    expect(places).toEqual([...upTo(3).map((sequence) => ({ epoch: before, sequence })), { epoch: after, sequence: 1 }]);
  });

  it('survives a listener that throws and a message that cannot be read', async ({ bus, log, lines }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const heard: number[] = [];
    const onFact = ({ version }: AnyRecordedFact) => {
      if (version === 1) throw new Error('a defect');
      heard.push(version);
    };
    const feed = await followFacts(bus, { log, onFact, onGap: () => {} });
    const workspaceId = aWorkspaceId();
    await publish([moved(workspaceId, 1)]);
    await bus.js.publish(`workspace.moved.${workspaceId}`, 'rubbish');
    await publish([moved(workspaceId, 2)]);
    await eventually(() => heard.length === 1);
    expect(heard).toEqual([2]);
    expect(lines.saying('a reader of a stream failed')).toHaveLength(1);
    expect(lines.saying('a fact cannot be read')).toHaveLength(1);
    await feed.stop();
  });

  it('leaves nothing behind on the server when it stops', async ({ bus }) => {
    const { feed } = await following(bus);
    expect((await bus.jsm.streams.info(STREAMS.facts)).state.consumer_count).toBe(1);
    await feed.stop();
    await expect.poll(async () => (await bus.jsm.streams.info(STREAMS.facts)).state.consumer_count).toBe(0);
  });
});
