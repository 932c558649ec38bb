/** Y2, when more is missed while the directory is being read again. */
import { STREAMS } from '@molecule/contracts';
import { it, waitFor } from '@molecule/testkit';
import { expect } from 'vitest';
import { id } from './testing/facts.ts';
import { openDirectory, testRegistry } from './testing/registry.ts';

it('Y2: a hole that comes while the pages are read again has them read once more', { timeout: 30_000 }, async ({ bus }) => {
  const registry = testRegistry(bus);
  registry.pageSize = 1;
  registry.serve();
  for (const n of [1, 2]) await registry.create({ workspaceId: id(n) });
  const directory = await openDirectory(bus, 'one');
  let [gaps, rereads] = [0, 0];
  directory.onGap(() => void gaps++);
  directory.onReread(() => void rereads++);
  const { config } = await bus.jsm.streams.info(STREAMS.facts);
  const missed = async (name: string) => {
    await bus.jsm.streams.delete(STREAMS.facts);
    registry.decide(id(1), { type: 'workspace.changed', data: { name } });
    await bus.jsm.streams.add(config);
    await bus.nats.reconnect();
  };
  const second = Promise.withResolvers<void>();
  const read = Promise.withResolvers<void>();
  registry.beforePage = async () => {
    if (registry.asked.directory !== 4) return; // the second page, read again: the first was answered
    read.resolve();
    await second.promise;
  };
  await missed('once');
  await read.promise;
  await missed('twice');
  await waitFor(() => gaps === 2, { timeoutMs: 15_000 });
  second.resolve();
  await waitFor(() => rereads === 1, { timeoutMs: 15_000 });
  expect(directory.get(id(1))?.name).toBe('twice');
  await waitFor(() => directory.healthy().ok);
});
