import { STREAMS } from '@molecule/contracts';
import { describe, expect } from 'vitest';
import type { Bus } from './connection.ts';
import { FactsGone } from './errors.ts';
import { factsExtent, type PlacedFact, readFacts } from './facts-log.ts';
import { publishFacts } from './publish.ts';
import { aWorkspaceId, it, moved, signalOfTest } from './test-support.ts';

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

async function read(bus: Bus, after: number, to: number): Promise<PlacedFact[]> {
  const { epoch } = await factsExtent(bus);
  const facts: PlacedFact[] = [];
  for await (const batch of readFacts(bus, { epoch, after, upTo: to })) facts.push(...batch);
  return facts;
}

describe('facts that are read again', () => {
  it('are those behind one place up to another, in order, each with its place', async ({ bus, log }) => {
    const workspaceId = aWorkspaceId();
    const facts = upTo(150).map((version) => moved(workspaceId, version));
    await publishFacts(bus, log, signalOfTest())(facts);
    const { epoch, first, last } = await factsExtent(bus);
    expect([epoch, first, last]).toEqual([(await bus.jsm.streams.info(STREAMS.facts)).created, 1, 150]);
    const expected = facts.map((fact, at) => ({ fact, place: { epoch, sequence: at + 1 } }));
    expect(await read(bus, 0, 150)).toEqual(expected);
    expect(await read(bus, 10, 80)).toEqual(expected.slice(10, 80));
    expect(await read(bus, 80, 80)).toEqual([]);
    expect((await bus.jsm.streams.info(STREAMS.facts)).state.consumer_count).toBe(0);
  });

  it('are without what cannot be read', async ({ bus, log }) => {
    const publish = publishFacts(bus, log, signalOfTest());
    const workspaceId = aWorkspaceId();
    await publish([moved(workspaceId, 1)]);
    await bus.js.publish(`workspace.moved.${workspaceId}`, 'rubbish');
    await publish([moved(workspaceId, 2)]);
    expect((await read(bus, 0, 3)).map(({ fact, place }) => [fact.version, place.sequence])).toEqual([
      [1, 1],
      [2, 3],
    ]);
  });

  it('are told once, also what was published again after the window of the server', async ({ bus }) => {
    const fact = moved(aWorkspaceId(), 1);
    const next = moved(fact.workspaceId, 2);
    for (const one of [fact, fact, next]) await bus.js.publish(`workspace.moved.${fact.workspaceId}`, JSON.stringify(one));
    expect((await read(bus, 0, 3)).map(({ fact: { version }, place }) => [version, place.sequence])).toEqual([
      [1, 1],
      [2, 3],
    ]);
  });

  it('are not read at all when one of them is gone: nobody is told less than there was', async ({ bus, log }) => {
    await publishFacts(bus, log, signalOfTest())(upTo(3).map((version) => moved(aWorkspaceId(), version)));
    await bus.jsm.streams.deleteMessage(STREAMS.facts, 2);
    await expect(read(bus, 0, 3)).rejects.toThrow(FactsGone);
    expect(await read(bus, 2, 3)).toHaveLength(1);
  });
});
