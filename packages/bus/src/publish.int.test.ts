import { type AnyRecordedFact, STREAMS } from '@molecule/contracts';
import type { Log } from '@molecule/service';
import { describe, expect } from 'vitest';
import type { Bus } from './connection.ts';
import { HEADERS } from './envelope.ts';
import { FactTooLarge } from './errors.ts';
import { publishFacts } from './publish.ts';
import { aWorkspaceId, eventually, it, moved, recorded, signalOfTest } from './test-support.ts';

/** What the stream holds, in order. */
async function stored(bus: Bus): Promise<AnyRecordedFact[]> {
  const { state } = await bus.jsm.streams.info(STREAMS.facts);
  const facts: AnyRecordedFact[] = [];
  for (let seq = Math.max(state.first_seq, 1); seq <= state.last_seq; seq++) {
    const message = await bus.jsm.streams.getMessage(STREAMS.facts, { seq });
    if (message) facts.push(message.json());
  }
  return facts;
}

/** The versions of each stream, in the order they were stored. */
const versionsByStream = (facts: readonly AnyRecordedFact[]): Map<string, number[]> => {
  const versions = new Map<string, number[]>();
  for (const { stream, version } of facts) versions.set(stream, [...(versions.get(stream) ?? []), version]);
  return versions;
};

/** Publishes the facts of one workspace one after the other until stopped; tells the last version. */
function publishing(bus: Bus, log: Log) {
  const publish = publishFacts(bus, log, signalOfTest());
  const workspaceId = aWorkspaceId();
  let last = 0;
  let stopped = false;
  const running = (async () => {
    while (!stopped) await publish([moved(workspaceId, ++last)]);
  })();
  const stop = async () => {
    stopped = true;
    await running;
    return last;
  };
  return { stop };
}

/** The same bus, on which the first message that `picks` names is lost before it reaches the server. */
function losingOnce(bus: Bus, picks: (body: string) => boolean): Bus {
  let lost = false;
  const js = new Proxy(bus.js, {
    get: (target, key) => {
      const member: unknown = Reflect.get(target, key, target);
      if (key !== 'publish') return member;
      return async (subject: string, body: string, options: object) => {
        if (lost || !picks(body)) return target.publish(subject, body, options);
        lost = true;
        throw new Error('lost on the way');
      };
    },
  });
  return new Proxy(bus, { get: (target, key) => (key === 'js' ? js : Reflect.get(target, key, target)) });
}

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

describe('publishing facts', () => {
  it('stores each once, under its id, with its headers', async ({ bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const facts = [moved(aWorkspaceId(), 1), moved(aWorkspaceId(), 1)];
    await publish(facts);
    await publish(facts);
    expect((await stored(bus)).map(({ id }) => id).toSorted()).toEqual(facts.map(({ id }) => id).toSorted());
    const message = await bus.jsm.streams.getMessage(STREAMS.facts, { seq: 1 });
    expect(message?.header.get('Nats-Msg-Id')).toBe(message?.json<AnyRecordedFact>().id);
    expect(message?.header.get(HEADERS.type)).toBe('workspace.moved');
  });

  it('I2, P1: keeps the order of every stream while NATS is killed and comes back, again and again', async ({
    nats,
    bus,
    log,
  }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const workspaces = Array.from({ length: 20 }, aWorkspaceId);
    const facts = upTo(100).flatMap((version) => workspaces.map((workspaceId) => moved(workspaceId, version)));
    let published = false;
    const publishing = (async () => {
      for (let at = 0; at < facts.length; at += 250) await publish(facts.slice(at, at + 250));
      published = true;
    })();
    let kills = 0;
    while (!published && kills < 5) {
      await new Promise((resolve) => setTimeout(resolve, 30));
      await nats.kill();
      kills++;
      await nats.up();
      await eventually(() => bus.connected);
    }
    await publishing;
    const all = await stored(bus);
    expect(kills).toBeGreaterThan(0);
    expect(new Set(all.map(({ id }) => id)).size).toBe(facts.length);
    for (const [, versions] of versionsByStream(all)) expect(versions).toEqual(upTo(100)); // in order, none missing, none twice
  });

  it('I2, P1: lets no later fact of a workspace pass one that was lost on the way', async ({ bus, log }) => {
    const [held, free] = [aWorkspaceId(), aWorkspaceId()];
    const losing = losingOnce(bus, (body) => body.includes(held) && body.includes('"version":2,'));
    await publishFacts(losing, log, signalOfTest())(upTo(5).flatMap((v) => [moved(held, v), moved(free, v)]));
    const versions = versionsByStream(await stored(bus));
    expect(versions.get(`workspace.${held}`)).toEqual(upTo(5));
    expect(versions.get(`workspace.${free}`)).toEqual(upTo(5));
    expect(bus.counts.factRetries).toBe(1);
  });

  it('I2: keeps the order over several streams of one workspace', async ({ bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const workspaceId = aWorkspaceId();
    const facts = upTo(50).map((n) => ({ ...moved(workspaceId, 1), stream: `message.${n}` }));
    await Promise.all([publish(facts.slice(0, 20)), publish(facts.slice(20))]);
    expect((await stored(bus)).map(({ stream }) => stream)).toEqual(facts.map(({ stream }) => stream));
  });

  it('P3: sends again what a frozen server did not acknowledge, and stores nothing twice', async ({ nats, bus, log }) => {
    const { stop } = publishing(bus, log);
    nats.freeze();
    await eventually(() => bus.counts.factRetries >= 2);
    nats.thaw();
    const last = await stop();
    expect((await stored(bus)).map(({ version }) => version)).toEqual(upTo(last));
  });

  it('shows in the health when nothing is acknowledged, and when it is again', async ({ nats, bus, log, lines }) => {
    const { stop } = publishing(bus, log);
    nats.freeze();
    await eventually(() => !bus.healthy().ok);
    expect(bus.healthy()).toMatchObject({ ok: false, detail: expect.stringContaining('publishing facts') });
    nats.thaw();
    await stop();
    expect(bus.healthy().ok).toBe(true);
    expect(lines.saying('a fact is not acknowledged; sending it again until it is')).toHaveLength(1);
  });

  it('refuses a batch with a fact too large, and sends none of it', async ({ bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const large = { ...recorded(aWorkspaceId(), 1), type: 'workspace.card', data: { agentCard: 'x'.repeat(70_000) } };
    await expect(publish([moved(aWorkspaceId(), 1), large])).rejects.toThrow(FactTooLarge);
    expect(await stored(bus)).toEqual([]);
  });

  it('stops when told to, whatever is not acknowledged', async ({ nats, bus, log }) => {
    const stopping = new AbortController();
    const publish = publishFacts(bus, log, stopping.signal);
    await nats.kill();
    const publishing = publish(upTo(3).map((version) => moved(aWorkspaceId(), version)));
    stopping.abort(new Error('stopped'));
    await expect(publishing).rejects.toThrow('stopped');
  });

  it('P2: sends facts of different workspaces side by side', async ({ bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    await publish(upTo(2_000).map(() => moved(aWorkspaceId(), 1)));
    expect((await bus.jsm.streams.info(STREAMS.facts)).state.messages).toBe(2_000);
  });
});
