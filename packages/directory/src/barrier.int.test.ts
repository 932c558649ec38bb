import { type Bus, ensureStreams, openBus } from '@molecule/bus';
import type { WorkspaceFact } from '@molecule/contracts';
import { createBasics, createLog } from '@molecule/service';
import { it, waitFor, withNats } from '@molecule/testkit';
import { describe, expect, onTestFinished } from 'vitest';
import { Barrier } from './barrier.ts';
import { creation, id } from './testing/facts.ts';
import { openDirectory, silent, testRegistry } from './testing/registry.ts';

function aBarrier(bus: Bus) {
  const lines: string[] = [];
  const log = createLog({ service: 'test', level: 'warn', destination: { write: (line) => void lines.push(line) } });
  const { metrics } = createBasics('registry', { level: 'error', log: silent });
  const barrier = new Barrier(bus, { log, metrics });
  onTestFinished(() => barrier.close());
  return { barrier, metrics, lines };
}

const pause: WorkspaceFact = {
  type: 'workspace.status',
  data: { from: 'online', to: 'paused', reason: 'pause', clearsUrl: true, event: null },
};

describe('a barrier (I4)', () => {
  it('is passed at once when nobody is there', async ({ bus }) => {
    const { barrier } = aBarrier(bus);
    expect(await barrier.passed(id(1), 1)).toBe(true);
  });

  it('B1: waits until every directory has applied the version', async ({ bus, natsUrl }) => {
    const registry = testRegistry(bus);
    registry.serve();
    await registry.create({ workspaceId: id(1) });
    const second = await openBus({ servers: natsUrl, name: 'second', log: silent });
    onTestFinished(() => second.close());
    const { barrier, metrics } = aBarrier(bus);
    const directories = [await openDirectory(bus, 'one'), await openDirectory(second, 'two')];
    await waitFor(() => barrier.present().length === 2);

    const decided = registry.decide(id(1), pause);
    let passed = false;
    const waiting = barrier.passed(id(1), 2, { timeoutMs: 5_000 }).then((yes) => {
      passed = yes;
    });
    await bus.nats.flush();
    expect(passed).toBe(false); // decided, and not told yet
    await registry.tell(...decided);
    await waiting;
    expect(passed).toBe(true);
    for (const directory of directories) expect(directory.get(id(1))?.status).toBe('paused');
    expect(await barrier.passed(id(1), 2)).toBe(true);
    expect(barrier.late).toBe(0);
    expect(await metrics.metrics()).toContain('molecule_barrier_late_total{service="registry"} 0');
  });

  it('B2: does not wait for a directory that said bye', async ({ bus }) => {
    const registry = testRegistry(bus);
    registry.serve();
    await registry.create({ workspaceId: id(1) });
    const { barrier } = aBarrier(bus);
    await openDirectory(bus, 'one');
    const stopped = await openDirectory(bus, 'two');
    await waitFor(() => barrier.present().length === 2);
    await stopped.stop();
    await registry.say(id(1), pause);
    const began = performance.now();
    expect(await barrier.passed(id(1), 2)).toBe(true);
    expect(performance.now() - began).toBeLessThan(400);
  });

  it('B2, B3: waits 500 ms for one that was killed, says so and counts it, until it is forgotten', async ({ bus, natsUrl }) => {
    const registry = testRegistry(bus);
    registry.serve();
    await registry.create({ workspaceId: id(1) });
    const { barrier, metrics, lines } = aBarrier(bus);
    await openDirectory(bus, 'one');
    const dies = await openBus({ servers: natsUrl, name: 'dies', log: silent });
    await openDirectory(dies, 'two');
    await waitFor(() => barrier.present().length === 2);
    await dies.nats.close(); // no bye
    await registry.say(id(1), pause);
    const began = performance.now();
    expect(await barrier.passed(id(1), 2)).toBe(false);
    expect(performance.now() - began).toBeGreaterThanOrEqual(490);
    expect(lines.join()).toContain('a write was answered before everybody had applied it');
    expect(lines.join()).toContain('"missing":["two"]');
    expect(await metrics.metrics()).toContain('molecule_barrier_late_total{service="registry"} 1');
    await waitFor(() => barrier.present().length === 1, { timeoutMs: 10_000, what: 'the dead directory to be forgotten' });
    expect(await barrier.passed(id(1), 2)).toBe(true);
  });

  it('knows who is there without waiting for the next beat, also in a registry that comes later', async ({ bus }) => {
    testRegistry(bus).serve();
    await openDirectory(bus, 'one');
    const { barrier } = aBarrier(bus);
    await bus.nats.flush();
    await waitFor(() => barrier.present().length === 1, { timeoutMs: 500 });
  });

  it('B1: waits also for a directory that comes while it waits', async ({ bus, natsUrl }) => {
    const registry = testRegistry(bus);
    registry.serve();
    await registry.create({ workspaceId: id(1) });
    const { barrier } = aBarrier(bus);
    await openDirectory(bus, 'one');
    await waitFor(() => barrier.present().length === 1);
    const decided = registry.decide(id(1), pause);
    const waiting = barrier.passed(id(1), 2, { timeoutMs: 10_000 });
    const second = await openBus({ servers: natsUrl, name: 'second', log: silent });
    onTestFinished(() => second.close());
    const late = await openDirectory(second, 'two');
    await waitFor(() => barrier.present().length === 2);
    await registry.tell(...decided);
    expect(await waiting).toBe(true);
    expect(late.get(id(1))?.status).toBe('paused');
  });

  it('B2: takes nobody for gone because NATS was away', async () => {
    const nats = await withNats();
    onTestFinished(() => nats.dispose());
    const bus = await openBus({ servers: nats.url, name: 'test', log: silent });
    onTestFinished(() => bus.close());
    await ensureStreams(bus);
    const registry = testRegistry(bus);
    registry.serve();
    registry.decide(id(1), creation());
    const { barrier } = aBarrier(bus);
    await openDirectory(bus, 'one');
    await waitFor(() => barrier.present().length === 1);
    await nats.stop();
    await waitFor(() => !bus.connected);
    expect(barrier.present()).toEqual(['one']);
    const decided = registry.decide(id(1), pause);
    expect(await barrier.passed(id(1), 2)).toBe(false); // nobody can have heard of it
    const waiting = barrier.passed(id(1), 2, { timeoutMs: 15_000 });
    await nats.start();
    await registry.tell(...decided);
    expect(await waiting).toBe(true);
  });
});
