import { type AnyRecordedFact, platformUnavailable, STREAMS } from '@molecule/contracts';
import { AckPolicy } from '@nats-io/jetstream';
import { describe, expect, onTestFinished } from 'vitest';
import { type Bus, openBus } from './connection.ts';
import { type ConsumeFactsOptions, consumeFacts, consumerLag, type DeliveredFact } from './consume.ts';
import { listParked, redriveParked } from './parked.ts';
import { publishFacts } from './publish.ts';
import { aWorkspaceId, eventually, it, moved, recorded, signalOfTest } from './test-support.ts';

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

/** Consumes until the test is over, and keeps what it was given. */
function consuming(bus: Bus, options: Partial<ConsumeFactsOptions> & Pick<ConsumeFactsOptions, 'log'>) {
  const stopping = new AbortController();
  const facts: DeliveredFact[] = [];
  const handle = async (batch: readonly DeliveredFact[]) => void facts.push(...batch);
  const ended = consumeFacts(bus, { consumer: 'registry', signal: stopping.signal, handle, ...options });
  const stop = async () => {
    stopping.abort();
    await ended;
  };
  onTestFinished(stop);
  return { facts, stop };
}

/** Each stream's versions come in order, without holes; repeats are allowed only where said. */
function expectOrder(facts: readonly AnyRecordedFact[], last: number): void {
  const seen = new Map<string, number>();
  for (const { stream, version } of facts) {
    expect(version).toBeLessThanOrEqual((seen.get(stream) ?? 0) + 1);
    seen.set(stream, Math.max(seen.get(stream) ?? 0, version));
  }
  for (const [, version] of seen) expect(version).toBe(last);
}

describe('consuming facts', () => {
  it('gives them in order, in batches, with their place in the stream', async ({ bus, log }) => {
    const workspaceId = aWorkspaceId();
    await publishFacts(bus, log, signalOfTest())(upTo(300).map((version) => moved(workspaceId, version)));
    const sizes: number[] = [];
    const facts: DeliveredFact[] = [];
    consuming(bus, {
      log,
      handle: async (batch) => {
        sizes.push(batch.length);
        facts.push(...batch);
      },
    });
    await eventually(() => facts.length === 300);
    expect(facts.map(({ version }) => version)).toEqual(upTo(300));
    expect(facts.map(({ position }) => position)).toEqual(upTo(300).map(BigInt));
    expect(new Set(facts.map(({ source }) => source)).size).toBe(1);
    expect(sizes.length).toBeLessThan(100);
  });

  it('only the types asked for, and its lag goes to nothing all the same', async ({ bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const workspaceId = aWorkspaceId();
    const card = { ...recorded(workspaceId, 2), type: 'workspace.card', data: { agentCard: {} } };
    const { facts } = consuming(bus, { log, types: ['workspace.card'] });
    await publish([moved(workspaceId, 1), card, moved(workspaceId, 3)]);
    await eventually(() => facts.length === 1);
    expect(facts[0]).toMatchObject({ type: 'workspace.card', position: 2n });
    await expect.poll(() => consumerLag(bus, 'registry')).toEqual({ facts: 0, seconds: 0 });
  });

  it('goes on where the last process of the service stopped', async ({ bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const workspaceId = aWorkspaceId();
    await publish(upTo(10).map((version) => moved(workspaceId, version)));
    const first = consuming(bus, { log });
    await eventually(() => first.facts.length === 10);
    await first.stop();
    await publish([moved(workspaceId, 11), moved(workspaceId, 12)]);
    const oldest = await bus.jsm.streams.getMessage('FACTS', { seq: 11 });
    const later = (oldest?.time.getTime() ?? 0) + 7_000;
    await expect.poll(() => consumerLag(bus, 'registry', later)).toEqual({ facts: 2, seconds: 7 });
    const second = consuming(bus, { log });
    await eventually(() => second.facts.length >= 2);
    expect(second.facts.map(({ version }) => version)).toEqual([11, 12]);
  });

  it.for([AckPolicy.All, AckPolicy.Explicit])(
    'corrects a durable consumer of an older configuration (%s), and goes on where it stood',
    async (ack_policy, { bus, log }) => {
      const publish = publishFacts(bus, log, signalOfTest());
      const workspaceId = aWorkspaceId();
      await publish(upTo(3).map((version) => moved(workspaceId, version)));
      const older = { durable_name: 'registry', ack_policy, ack_wait: 5e9, max_ack_pending: 10 };
      await bus.jsm.consumers.add(STREAMS.facts, older);
      const consumer = await bus.js.consumers.get(STREAMS.facts, 'registry');
      const message = await consumer.next();
      await message?.ackAck();
      const { facts } = consuming(bus, { log });
      await eventually(() => facts.length === 2);
      expect(facts.map(({ version }) => version)).toEqual([2, 3]);
      const { config } = await consumer.info();
      expect(config).toMatchObject({ ack_policy: AckPolicy.All, ack_wait: 30e9, max_ack_pending: 1_024 });
    },
  );

  it('D1: reads at once what a dead process had in its hands, before anything newer', async ({ nats, bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const workspaceId = aWorkspaceId();
    await publish(upTo(20).map((version) => moved(workspaceId, version)));
    const other = await openBus({ servers: nats.url, name: 'dies', log });
    let inHand = 0;
    const handle = (batch: readonly DeliveredFact[]) => {
      inHand += batch.length;
      return new Promise<void>(() => {}); // it is killed in the middle
    };
    void consumeFacts(other, { consumer: 'registry', log, signal: signalOfTest(), handle });
    await eventually(() => inHand > 0);
    await other.nats.close();
    const { facts } = consuming(bus, { log });
    await eventually(
      () => facts.length === 20,
      () => facts.length,
      10_000,
    ); // long before the server would deliver them again
    await publish([moved(workspaceId, 21)]);
    await eventually(() => facts.length === 21);
    expect(facts.map(({ version }) => version)).toEqual(upTo(21));
  });

  it('D1: reads from the stream what was delivered to somebody else in between', async ({ bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const { facts } = consuming(bus, { log });
    const workspaceId = aWorkspaceId();
    await publish([moved(workspaceId, 1)]);
    await eventually(() => facts.length === 1);
    const thief = await bus.js.consumers.get(STREAMS.facts, 'registry');
    const stolen: number[] = [];
    const stealing = await thief.consume({ max_messages: 20, callback: (message) => void stolen.push(message.seq) });
    await bus.nats.flush();
    await publish(upTo(60).map((n) => moved(workspaceId, n + 1)));
    await eventually(
      () => facts.length === 61,
      () => [facts.length, stolen.length],
      15_000, // the last ones are missed at the next heartbeat
    );
    expect(facts.map(({ version }) => version)).toEqual(upTo(61));
    expect(stolen.length).toBeGreaterThan(0);
    stealing.stop();
  });

  it('I2, D1: loses nothing and keeps the order while NATS is killed and comes back', async ({ nats, bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const workspaces = Array.from({ length: 10 }, aWorkspaceId);
    const given: DeliveredFact[] = [];
    consuming(bus, {
      log,
      handle: async (batch) => {
        await new Promise((resolve) => setTimeout(resolve, 5));
        given.push(...batch);
      },
    });
    const publishing = (async () => {
      for (const version of upTo(100)) await publish(workspaces.map((workspaceId) => moved(workspaceId, version)));
    })();
    for (const at of [100, 300, 500, 700]) {
      await eventually(
        () => given.length >= at,
        () => given.length,
        25_000,
      );
      await nats.kill();
      await nats.up();
    }
    await publishing;
    await eventually(
      () => given.length >= 1_000,
      () => given.length,
      25_000,
    );
    expect(new Set(given.map(({ id }) => id)).size).toBe(1_000);
    expectOrder(given, 100);
    expect(given.length).toBe(1_000); // and none twice, within one process
  });

  it('D3, F20: parks a fact that fails five times, within a second, and the others flow', async ({ bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const [good, bad] = [aWorkspaceId(), aWorkspaceId()];
    let tries = 0;
    const given: DeliveredFact[] = [];
    consuming(bus, {
      log,
      handle: async (batch) => {
        if (batch.some(({ workspaceId, version }) => workspaceId === bad && version === 2)) {
          if (batch.length === 1) tries++;
          throw new TypeError('cannot be digested');
        }
        given.push(...batch);
      },
    });
    const began = performance.now();
    await publish([...upTo(3).map((v) => moved(bad, v)), ...upTo(5).map((v) => moved(good, v))]);
    await eventually(() => given.filter(({ workspaceId }) => workspaceId === good).length === 5);
    await eventually(() => given.filter(({ workspaceId }) => workspaceId === bad).length === 2);
    expect(performance.now() - began).toBeLessThan(2_500);
    expect(tries).toBe(5);
    const parked = await listParked(bus);
    expect(parked).toHaveLength(1);
    expect(parked[0]).toMatchObject({
      consumer: 'registry',
      error: 'TypeError: cannot be digested',
      origin: { stream: STREAMS.facts, subject: `workspace.moved.${bad}` },
    });
    expect(JSON.parse(parked[0]?.origin.body ?? '')).toMatchObject({ version: 2 });
    expect(bus.counts.factsParked).toBe(1);
  });

  it('F20: parks what cannot be read, keeps and passes over what is not known', async ({ bus, log, lines }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const workspaceId = aWorkspaceId();
    const { facts } = consuming(bus, { log });
    await bus.js.publish(`workspace.moved.${workspaceId}`, 'not json');
    await bus.js.publish(`workspace.moved.${workspaceId}`, JSON.stringify({ ...moved(workspaceId, 1), data: { parentId: 7 } }));
    await bus.js.publish(
      `workspace.teleported.${workspaceId}`,
      JSON.stringify({ ...moved(workspaceId, 1), type: 'workspace.teleported' }),
    );
    await bus.js.publish(
      `workspace.teleported.${workspaceId}`,
      JSON.stringify({ ...moved(workspaceId, 2), type: 'workspace.teleported' }),
    );
    await publish([moved(workspaceId, 3)]);
    await eventually(() => facts.length === 1);
    expect(facts[0]).toMatchObject({ version: 3 });
    expect((await listParked(bus)).map(({ error }) => error.split(':')[0])).toEqual([
      'the data is wrong',
      'the body is not JSON',
    ]);
    expect(lines.saying('a fact of a type not known here; passed over')).toHaveLength(1);
    expect((await bus.jsm.streams.info(STREAMS.facts)).state.messages).toBe(5);
  });

  it('D4: waits for what passes by itself, and parks nothing because of it', async ({ bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const workspaceId = aWorkspaceId();
    let away = 7;
    const given: DeliveredFact[] = [];
    consuming(bus, {
      log,
      handle: async (batch) => {
        if (away-- > 4) throw Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
        if (away >= 2) throw platformUnavailable();
        given.push(...batch);
      },
    });
    await publish(upTo(3).map((version) => moved(workspaceId, version)));
    await eventually(() => bus.healthy().detail.includes('consuming facts as registry'));
    await eventually(
      () => given.length === 3,
      () => given.length,
      20_000,
    );
    expect(given.map(({ version }) => version)).toEqual(upTo(3));
    expect(await listParked(bus)).toEqual([]);
    expect(bus.healthy().ok).toBe(true);
  });

  it('D5: drops a repeat that came after the window of the server', async ({ bus, log }) => {
    const fact = moved(aWorkspaceId(), 1);
    const next = moved(fact.workspaceId, 2);
    const { facts } = consuming(bus, { log });
    for (const one of [fact, fact, next]) await bus.js.publish(`workspace.moved.${fact.workspaceId}`, JSON.stringify(one));
    await eventually(() => facts.some(({ version }) => version === 2));
    expect(facts.map(({ version }) => version)).toEqual([1, 2]);
  });

  it('gives a parked fact again to its consumer alone', async ({ bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const workspaceId = aWorkspaceId();
    let broken = true;
    const given: DeliveredFact[] = [];
    consuming(bus, {
      log,
      handle: async (batch) => {
        if (broken && batch.some(({ version }) => version === 1)) throw new TypeError('a defect of ours');
        given.push(...batch);
      },
    });
    const other = consuming(bus, { log, consumer: 'sweeper' });
    await publish(upTo(2).map((version) => moved(workspaceId, version)));
    await eventually(() => given.length === 1 && other.facts.length === 2);
    broken = false; // mended
    const [parked] = await listParked(bus, { consumer: 'registry' });
    expect(await redriveParked(bus, { sequence: parked?.sequence ?? 0 })).toBe(true);
    await publish([moved(workspaceId, 3)]);
    await eventually(() => given.length === 3 && other.facts.length === 3);
    expect(given.map(({ version }) => version)).toEqual([2, 1, 3]);
    expect(other.facts.map(({ version }) => version)).toEqual([1, 2, 3]);
    expect(await listParked(bus)).toEqual([]);
    expect(await redriveParked(bus, { sequence: parked?.sequence ?? 0 })).toBe(false);
  });

  it('says when facts were gone before it could read them', async ({ bus, log, lines }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const workspaceId = aWorkspaceId();
    const first = consuming(bus, { log });
    await publish([moved(workspaceId, 1)]);
    await eventually(() => first.facts.length === 1);
    await first.stop();
    await publish(upTo(5).map((version) => moved(workspaceId, version + 1)));
    await bus.jsm.streams.update(STREAMS.facts, { max_msgs: 2 });
    const second = consuming(bus, { log });
    await eventually(() => second.facts.length === 2);
    expect(second.facts.map(({ version }) => version)).toEqual([5, 6]);
    expect(lines.saying('facts were dropped by the stream before they were read')[0]).toMatchObject({ from: 2, to: 4 });
    expect(bus.counts.factGaps).toBe(1);
  });

  it('begins anew when the stream was made anew, and tells it by another source', async ({ bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const { facts } = consuming(bus, { log });
    await publish([moved(aWorkspaceId(), 1), moved(aWorkspaceId(), 1)]);
    await eventually(() => facts.length === 2);
    const { config } = await bus.jsm.streams.info(STREAMS.facts);
    await bus.jsm.streams.delete(STREAMS.facts);
    await bus.jsm.streams.add(config);
    await publish([moved(aWorkspaceId(), 1)]);
    await eventually(
      () => facts.length === 3,
      () => facts.length,
      25_000,
    );
    expect(facts[2]?.position).toBe(1n);
    expect(facts[2]?.source).not.toBe(facts[1]?.source);
  });
});
