import { type Bus, ensureStreams, type FactPlace, openBus } from '@molecule/bus';
import { type AnyRecordedFact, STREAMS } from '@molecule/contracts';
import { createLog, systemClock } from '@molecule/service';
import { it, removed, waitFor, withNats } from '@molecule/testkit';
import { describe, expect, onTestFinished } from 'vitest';
import { Directory } from './directory.ts';
import { creation, fact, id, issued, renamed } from './testing/facts.ts';
import { openDirectory, silent, testRegistry } from './testing/registry.ts';

const upTo = (n: number) => Array.from({ length: n }, (_, i) => i + 1);

const storedType = async (bus: Bus, seq: number) =>
  (await bus.jsm.streams.getMessage(STREAMS.facts, { seq }))?.subject.split('.').slice(0, -1).join('.');

describe('the directory', () => {
  it('begins with every page of the registry, and follows its facts', async ({ bus }) => {
    const registry = testRegistry(bus);
    registry.pageSize = 10;
    for (const n of upTo(35)) registry.decide(id(n), creation({ parentId: n > 1 ? id(1) : null }));
    registry.serve();
    const directory = await openDirectory(bus, 'one');
    expect(directory.ready).toBe(true);
    expect(directory.size).toBe(35);
    expect(registry.asked.directory).toBe(4);
    expect(directory.healthy()).toEqual({ ok: true, detail: '35 workspaces' });
    expect(directory.childrenOf(id(1))).toHaveLength(34);
    expect(directory.canCommunicate(id(2), id(3))).toBe(true);

    await registry.say(id(3), { type: 'workspace.moved', data: { parentId: null } });
    await registry.say(id(2), issued(id(2), 2, 7));
    await waitFor(() => directory.workspaceOfToken('7'.repeat(64)) && directory.get(id(3))?.parentId === null);
    expect(directory.workspaceOfToken('7'.repeat(64))).toEqual({ workspaceId: id(2), tokenId: id(107) });
    expect(directory.liveTokens(id(2))).toBe(1);
    expect(directory.anyLiveToken()).toBe(true);
    expect(directory.canCommunicate(id(2), id(3))).toBe(false);
    expect(directory.childrenOf(id(1))).not.toContain(id(3));

    await registry.say(id(2), removed);
    await waitFor(() => directory.get(id(2))?.status === 'removed');
    expect(directory.workspaceOfToken('7'.repeat(64))).toBeUndefined();
    expect(directory.liveTokens(id(2))).toBe(0);
    expect(directory.anyLiveToken()).toBe(false);
    expect([...directory.all()]).toHaveLength(35);
  });

  it('waits for a registry that is not there yet, and says so', async ({ bus }) => {
    const lines: string[] = [];
    const log = createLog({ service: 'test', level: 'warn', destination: { write: (line) => void lines.push(line) } });
    const registry = testRegistry(bus);
    registry.decide(id(1), creation());
    let opened = false;
    const opening = openDirectory(bus, 'one', log).then((directory) => {
      opened = true;
      return directory;
    });
    await waitFor(() => lines.some((line) => line.includes('waiting for the registry')));
    expect(opened).toBe(false);
    registry.serve();
    expect((await opening).size).toBe(1);
  });

  it('Y1: loses nothing that happens while it reads the pages', async ({ bus }) => {
    const registry = testRegistry(bus);
    registry.pageSize = 1;
    for (const n of upTo(5)) registry.decide(id(n), creation());
    let page = 0;
    registry.beforePage = async () => {
      page++;
      if (page === 2)
        await Promise.all([registry.say(id(1), renamed('read already')), registry.say(id(5), renamed('not read yet'))]);
      if (page === 3) await registry.create({ workspaceId: id(0) });
      if (page === 4) await registry.say(id(5), renamed('still not read'));
    };
    registry.serve();
    const directory = await openDirectory(bus, 'one');
    expect([...directory.all()].map(({ workspaceId, name, version }) => [workspaceId, name, version]).toSorted()).toEqual(
      [...registry.entries.values()].map(({ workspaceId, name, version }) => [workspaceId, name, version]).toSorted(),
    );
    expect(directory.get(id(0))).toBeDefined();
  });

  it('Y1: is not disturbed by a page that is ahead of the facts', async ({ bus }) => {
    const registry = testRegistry(bus);
    registry.decide(id(1), creation());
    const first = registry.decide(id(1), renamed('first'));
    const second = registry.decide(id(1), renamed('second'));
    registry.serve();
    const directory = await openDirectory(bus, 'one');
    const heard: (readonly [number, string])[] = [];
    directory.onChange(({ version }, { name }) => void heard.push([version, name]));
    await registry.tell(...first, ...second); // the relay catches up
    await waitFor(() => heard.length === 2);
    expect(heard).toEqual([
      [2, 'second'],
      [3, 'second'],
    ]);
    expect(directory.get(id(1))?.version).toBe(3);
  });

  it('Y2: closes a hole by asking, and lets the facts of that workspace wait in order', async ({ bus }) => {
    const registry = testRegistry(bus);
    registry.serve();
    await registry.create({ workspaceId: id(1) });
    await registry.create({ workspaceId: id(2) });
    const directory = await openDirectory(bus, 'one');
    const heard: string[] = [];
    const places: FactPlace[] = [];
    directory.onFact(({ workspaceId, version, type }, place) => {
      heard.push(`${workspaceId.at(-1)} ${type} ${version}`);
      places.push(place);
    });
    const { created, state } = await bus.jsm.streams.info(STREAMS.facts);
    registry.decide(id(1), renamed('lost on the way'));
    const next = registry.decide(id(1), renamed('told'));
    const other: AnyRecordedFact = {
      ...fact(id(1), 1, 'workspace.changed', {}),
      stream: 'agent.1',
      type: 'agent.unreachable',
      data: { workspaceId: id(1), error: 'gone' },
    };
    await Promise.all([registry.tell(...next), registry.tell(other as never), registry.say(id(2), renamed('fine'))]);
    await waitFor(() => heard.length === 3);
    expect(registry.asked.resolve).toBe(1);
    expect(directory.get(id(1))).toMatchObject({ name: 'told', version: 3 });
    expect(heard.filter((line) => line.startsWith('1'))).toEqual(['1 workspace.changed 3', '1 agent.unreachable 1']);
    const inOrder = places.toSorted((a, b) => a.sequence - b.sequence);
    expect(inOrder).toEqual(upTo(3).map((n) => ({ epoch: created, sequence: state.last_seq + n })));
    expect(directory.place).toEqual(inOrder[2]);
    for (const [at, line] of heard.entries()) expect(await storedType(bus, places[at]?.sequence ?? 0)).toBe(line.split(' ')[1]);
  });

  it('Y2: reads everything again when the stream of facts has a hole, and tells it', async ({ bus }) => {
    const registry = testRegistry(bus);
    registry.serve();
    await registry.create({ workspaceId: id(1) });
    const directory = await openDirectory(bus, 'one');
    let gaps = 0;
    directory.onGap(() => void gaps++);
    const { config } = await bus.jsm.streams.info(STREAMS.facts);
    await bus.jsm.streams.delete(STREAMS.facts);
    registry.decide(id(2), creation());
    registry.decide(id(1), renamed('never told'));
    await bus.jsm.streams.add(config);
    await bus.nats.reconnect();
    await waitFor(() => directory.get(id(1))?.name === 'never told' && directory.size === 2, { timeoutMs: 15_000 });
    expect(gaps).toBe(1);
    await waitFor(() => directory.healthy().ok);
  });

  it('Y3: tells every fact after it was applied, and survives a listener that throws', async ({ bus }) => {
    const registry = testRegistry(bus);
    registry.serve();
    const directory = await openDirectory(bus, 'one');
    const seen: (string | undefined)[] = [];
    directory.onFact(() => {
      throw new Error('a defect');
    });
    directory.onFact(({ workspaceId }) => void seen.push(directory.get(workspaceId)?.name));
    await registry.create({ workspaceId: id(1) });
    for (const name of ['a', 'b', 'c']) await registry.say(id(1), renamed(name));
    await waitFor(() => seen.length === 4);
    expect(seen).toEqual(['atlas', 'a', 'b', 'c']);
  });

  it('resolves what it does not know by asking once, and remembers no refusal', async ({ bus }) => {
    const registry = testRegistry(bus);
    registry.serve();
    const directory = await openDirectory(bus, 'one');
    expect(await Promise.all([directory.resolve(id(1)), directory.resolve(id(1))])).toEqual([undefined, undefined]);
    expect(registry.asked.resolve).toBe(1);
    registry.decide(id(1), creation());
    expect(await directory.resolve(id(1))).toMatchObject({ workspaceId: id(1) });
    expect(await directory.resolve(id(1))).toBe(directory.get(id(1)));
    expect(registry.asked.resolve).toBe(2);
    expect(await directory.resolve('../etc')).toBeUndefined();
    expect(registry.asked.resolve).toBe(2);
  });

  it('I2: is the same as the registry after NATS was killed while much happened', async () => {
    const nats = await withNats();
    onTestFinished(() => nats.dispose());
    const bus = await openBus({ servers: nats.url, name: 'test', log: silent });
    onTestFinished(() => bus.close());
    await ensureStreams(bus);
    const registry = testRegistry(bus);
    registry.serve();
    const directory = await openDirectory(bus, 'one');
    let last: AnyRecordedFact | undefined;
    directory.onFact((one) => {
      last = one;
    });
    const saying = (async () => {
      for (const n of upTo(30)) await registry.create({ workspaceId: id(n), parentId: n > 1 ? id(1) : null });
      for (const round of upTo(20))
        await Promise.all(upTo(30).map((n) => registry.say(id(n), renamed(`round ${round}`), issued(id(n), 0, n))));
    })();
    for (const kills of upTo(2)) {
      const before = last;
      await waitFor(() => last !== before, { timeoutMs: 20_000 });
      await nats.kill();
      await waitFor(() => bus.counts.reconnects === kills, { timeoutMs: 20_000 });
    }
    await saying;
    await waitFor(() => [...directory.all()].every(({ workspaceId, version }) => version === registry.version(workspaceId)), {
      timeoutMs: 20_000,
    });
    expect(directory.size).toBe(30);
    for (const [workspaceId, row] of registry.entries) expect(directory.get(workspaceId)).toEqual(row);
    expect(registry.asked.resolve).toBe(0);
  });

  it('stops waiting when told to, and when it is stopped is not ready', async ({ bus }) => {
    const stopping = new AbortController();
    const opening = Directory.open(bus, {
      service: 'gateway',
      instance: 'x',
      log: silent,
      clock: systemClock,
      signal: stopping.signal,
    });
    stopping.abort(new Error('stopped'));
    await expect(opening).rejects.toThrow();
    testRegistry(bus).serve();
    const directory = await openDirectory(bus, 'one');
    await directory.stop();
    expect(directory.ready).toBe(false);
    expect(directory.healthy().ok).toBe(false);
  });
});
