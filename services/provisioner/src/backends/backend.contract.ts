/** What every backend promises (B1 to B5). A backend's own test calls this with a way to make one. */
import { randomUUID } from 'node:crypto';
import { id12, WorkspaceId } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import type { Backend, ConfigFile, StartOutcome, WorkloadSpec } from './backend.ts';

export interface BackendUnderTest {
  readonly backend: Backend;
  readonly installation: string;
  /** A runtime that this backend cannot start. */
  readonly unknownRuntime: string;
  /** Makes something that has the name of a workload but not our label, and says whether it is still there. */
  makeForeign(prefix: string): Promise<{ isThere(): Promise<boolean>; remove(): Promise<void> }>;
  /** Removes what `removeVolume` leaves behind on purpose. */
  discard(workspaceId: string): Promise<void>;
  /** Reads a file of the config volume of a running workload: its text and permission bits. */
  readConfig(prefix: string, path: string): Promise<{ text: string; mode: number }>;
}

/** `open` closes after the suite itself; what a test starts is stopped and removed by the test. */
export const describeBackend = (name: string, open: () => Promise<BackendUnderTest>): void => {
  const signal = AbortSignal.timeout(120_000);
  const file = (path: string, text: string, mode = 0o644): ConfigFile => ({ path, data: Buffer.from(text), mode });
  const config = (agent: string) => file('config.yaml', `name: "${agent}"\nruntime: echo\n`);
  const aWorkload = (change: Partial<WorkloadSpec> = {}): WorkloadSpec => ({
    workspaceId: WorkspaceId.parse(randomUUID()),
    runtime: 'echo',
    tier: 2,
    env: {},
    seed: [config('Ada')],
    files: [],
    resetSession: false,
    mount: null,
    ...change,
  });
  const urlOf = (outcome: StartOutcome): string => {
    if (outcome.outcome === 'failed') throw outcome.cause;
    return outcome.url;
  };

  /** Every test has the backend, and a `start` whose workloads are gone afterwards. */
  const test = it.extend<{ under: BackendUnderTest; start: (spec: WorkloadSpec, given?: AbortSignal) => Promise<StartOutcome> }>({
    // biome-ignore lint/correctness/noEmptyPattern: vitest wants the pattern
    under: async ({}, use) => use(await open()),
    start: async ({ under: { backend, discard } }, use) => {
      const workspaceIds = new Set<string>();
      await use((spec, given = signal) => {
        workspaceIds.add(spec.workspaceId);
        return backend.start(spec, given);
      });
      for (const workspaceId of workspaceIds) {
        await backend.stop(id12(workspaceId), signal);
        await backend.removeVolume(id12(workspaceId), signal);
        await discard(workspaceId);
      }
    },
  });

  const listed = async (backend: Backend, prefix: string) => {
    const list = await backend.listManaged(signal);
    if (list.outcome === 'failed') throw list.cause;
    return list.resources.filter((resource) => resource.prefix === prefix);
  };

  describe(`${name} keeps the promises of a backend`, { timeout: 60_000 }, () => {
    test('starts an agent that answers at the URL it tells', async ({ start }) => {
      const url = urlOf(await start(aWorkload()));
      expect(await cardAt(url)).toMatchObject({ name: 'Ada' });
    });

    test('B1: runs one workload however often it is asked; the later replaces the earlier', async ({ under, start }) => {
      const spec = aWorkload();
      const first = urlOf(await start(spec));
      await cardAt(first);
      const second = urlOf(await start(spec));
      await cardAt(second);
      const resources = await listed(under.backend, id12(spec.workspaceId));
      expect(resources).toMatchObject([{ running: true, installation: under.installation }]);
      if (first !== second) await expect(fetch(first)).rejects.toThrow();
    });

    test('B2: a stop ends it, and a second one finds nothing', async ({ under: { backend }, start }) => {
      const spec = aWorkload();
      const prefix = id12(spec.workspaceId);
      const url = urlOf(await start(spec));
      await cardAt(url);
      expect(await backend.stop(prefix, signal)).toEqual({ outcome: 'stopped' });
      await expect(fetch(url)).rejects.toThrow();
      expect(await backend.stop(prefix, signal)).toEqual({ outcome: 'not-found' });
    });

    test('B3: knows for certain what runs and what does not', async ({ under: { backend }, start }) => {
      const spec = aWorkload();
      const prefix = id12(spec.workspaceId);
      expect(await backend.isRunning(prefix, signal)).toEqual({ running: false, certain: true });
      urlOf(await start(spec));
      expect(await backend.isRunning(prefix, signal)).toEqual({ running: true, certain: true });
      await backend.stop(prefix, signal);
      expect(await backend.isRunning(prefix, signal)).toEqual({ running: false, certain: true });
    });

    test('seeds an empty volume only; what comes with every start is written each time', async ({ under, start }) => {
      const spec = aWorkload({ files: [file('.auth_token', 'first', 0o600)] });
      const prefix = id12(spec.workspaceId);
      urlOf(await start(spec));
      expect(await under.readConfig(prefix, '.auth_token')).toEqual({ text: 'first', mode: 0o600 });
      await under.backend.stop(prefix, signal);

      const url = urlOf(await start({ ...spec, seed: [config('Grace')], files: [file('.auth_token', 'second', 0o600)] }));
      expect(await cardAt(url)).toMatchObject({ name: 'Ada' });
      expect(await under.readConfig(prefix, '.auth_token')).toEqual({ text: 'second', mode: 0o600 });
    });

    test('writes files into directories of the volume', async ({ under, start }) => {
      const spec = aWorkload({ seed: [file('skills/greet/SKILL.md', '# Greet'), config('Ada')] });
      urlOf(await start(spec));
      expect(await under.readConfig(id12(spec.workspaceId), 'skills/greet/SKILL.md')).toMatchObject({ text: '# Greet' });
    });

    test('reads the configuration of what runs, and of nothing else', async ({ under: { backend }, start }) => {
      const spec = aWorkload();
      const prefix = id12(spec.workspaceId);
      expect(await backend.readConfig(prefix, 'config.yaml', signal)).toBeUndefined();
      urlOf(await start(spec));
      expect((await backend.readConfig(prefix, 'config.yaml', signal))?.toString()).toBe('name: "Ada"\nruntime: echo\n');
      expect(await backend.readConfig(prefix, 'no-such.yaml', signal)).toBeUndefined();
      await backend.stop(prefix, signal);
      expect(await backend.readConfig(prefix, 'config.yaml', signal)).toBeUndefined();
    });

    test('removes a volume, and takes an absent one for removed', async ({ under: { backend }, start }) => {
      const spec = aWorkload();
      const prefix = id12(spec.workspaceId);
      urlOf(await start(spec));
      await backend.stop(prefix, signal);
      expect(await listed(backend, prefix)).toMatchObject([{ running: false }]);
      await backend.removeVolume(prefix, signal);
      expect(await listed(backend, prefix)).toEqual([]);
      await backend.removeVolume(prefix, signal);
      expect(await cardAt(urlOf(await start({ ...spec, seed: [config('Grace')] })))).toMatchObject({ name: 'Grace' });
    });

    test('fails for a runtime it does not have, and leaves nothing running', async ({ under, start }) => {
      const spec = aWorkload({ runtime: under.unknownRuntime });
      expect(await start(spec)).toMatchObject({ outcome: 'failed' });
      expect(await under.backend.isRunning(id12(spec.workspaceId), signal)).toEqual({ running: false, certain: true });
    });

    test('leaves nothing running when the start is given up', async ({ under: { backend }, start }) => {
      const spec = aWorkload();
      const giveUp = new AbortController();
      const outcome = start(spec, giveUp.signal);
      setTimeout(() => giveUp.abort(), 40);
      expect(await outcome).toMatchObject({ outcome: 'failed' });
      expect(await backend.isRunning(id12(spec.workspaceId), signal)).toEqual({ running: false, certain: true });
    });

    test('B4: neither lists nor touches what is not ours, whatever its name', async ({ under }) => {
      const prefix = id12(randomUUID());
      const foreign = await under.makeForeign(prefix);
      try {
        expect(await listed(under.backend, prefix)).toEqual([]);
        expect(await under.backend.stop(prefix, signal)).toEqual({ outcome: 'not-found' });
        await under.backend.removeVolume(prefix, signal);
        expect(await foreign.isThere()).toBe(true);
      } finally {
        await foreign.remove();
      }
    });

    test.for(['', 'monorepo', '../..', '%', 'a'.repeat(13)])(
      'takes %j for the name of nothing',
      async (prefix, { under: { backend } }) => {
        expect(await backend.stop(prefix, signal)).toEqual({ outcome: 'not-found' });
        await backend.removeVolume(prefix, signal);
      },
    );
  });
};

/** An agent listens a moment after it was started. */
async function cardAt(url: string): Promise<unknown> {
  const deadline = Date.now() + 15_000;
  for (;;) {
    try {
      const response = await fetch(`${url}/.well-known/agent-card.json`);
      return await response.json();
    } catch (error) {
      if (Date.now() > deadline) throw new Error(`no agent at ${url}`, { cause: error });
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
}
