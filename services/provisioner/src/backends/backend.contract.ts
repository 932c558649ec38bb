/** What every backend promises (B1 to B8). A backend's own test calls this with a way to make one. */
import { randomBytes, randomUUID } from 'node:crypto';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { id12, WorkspaceId } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import { type AgentPath, parseAgentPath } from './agent-path.ts';
import type { Backend, ConfigFile, CopyOutOutcome, FileIn, StartOutcome, WorkloadSpec } from './backend.ts';

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
  /** Makes a link in the work directory of a running workload, as its agent might. */
  link(prefix: string, name: string, target: string): Promise<void>;
}

export const at = (text: string): AgentPath => {
  const path = parseAgentPath(text);
  if (typeof path === 'string') throw new TypeError(`${text} is ${path}`);
  return path;
};

/** A file for `copyIn`. */
export const fileIn = (path: string, data: Buffer | string, mode = 0o644): FileIn => ({
  path: at(path),
  mode,
  size: Buffer.byteLength(data),
  open: async () => Readable.from([Buffer.from(data)], { objectMode: false }),
});

/** The bytes of what `copyOut` gave. */
export const bytesOf = async (outcome: CopyOutOutcome): Promise<Buffer> => {
  if (outcome.outcome !== 'file') throw new Error(`no file: ${outcome.outcome}`, { cause: 'cause' in outcome && outcome.cause });
  const bytes = await buffer(outcome.content);
  expect(bytes.length).toBe(outcome.size);
  return bytes;
};

/** `open` closes after the suite itself; what a test starts is stopped and removed by the test. */
export const describeBackend = (name: string, open: () => Promise<BackendUnderTest>): void => {
  const signal = AbortSignal.timeout(600_000);
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

    describe('files', () => {
      const textAt = async (backend: Backend, prefix: string, path: string) =>
        (await bytesOf(await backend.copyOut(prefix, at(path), signal))).toString();

      test('B6: carries them in and out as they are, and makes directories on the way', async ({ under: { backend }, start }) => {
        const spec = aWorkload();
        const prefix = id12(spec.workspaceId);
        urlOf(await start(spec));
        const large = randomBytes(3 * 1024 * 1024 + 17);
        const files = [
          fileIn('/workspace/.molecule/chat-uploads/large.bin', large),
          fileIn('/workspace/.molecule/chat-uploads/empty', ''),
          fileIn('/workspace/Ünïcode/a b.txt', 'zwei'),
          fileIn('/configs/notes.md', '# Notes'),
        ];
        expect(await backend.copyIn(prefix, files, signal)).toEqual({ outcome: 'copied' });
        const out = await bytesOf(await backend.copyOut(prefix, at('/workspace/.molecule/chat-uploads/large.bin'), signal));
        expect(out.equals(large)).toBe(true);
        expect(await textAt(backend, prefix, '/workspace/.molecule/chat-uploads/empty')).toBe('');
        expect(await textAt(backend, prefix, '/workspace/Ünïcode/a b.txt')).toBe('zwei');
        expect(await textAt(backend, prefix, '/configs/notes.md')).toBe('# Notes');
      });

      test('are there with the permissions asked for, over what was there', async ({ under, start }) => {
        const spec = aWorkload();
        const prefix = id12(spec.workspaceId);
        urlOf(await start(spec));
        expect(await under.backend.copyIn(prefix, [fileIn('/configs/a', 'first', 0o600)], signal)).toEqual({ outcome: 'copied' });
        expect(await under.readConfig(prefix, 'a')).toEqual({ text: 'first', mode: 0o600 });
        expect(await under.backend.copyIn(prefix, [fileIn('/configs/a', 'second')], signal)).toEqual({ outcome: 'copied' });
        expect(await under.readConfig(prefix, 'a')).toEqual({ text: 'second', mode: 0o644 });
      });

      test('B7: a link in the place of a file is replaced, and what it led to stays as it is', async ({ under, start }) => {
        const spec = aWorkload();
        const prefix = id12(spec.workspaceId);
        urlOf(await start(spec));
        await under.link(prefix, 'bait', '../configs/config.yaml');
        expect(await under.backend.copyOut(prefix, at('/workspace/bait'), signal)).toEqual({ outcome: 'not-a-file' });
        expect(await under.backend.copyIn(prefix, [fileIn('/workspace/bait', 'fish')], signal)).toEqual({ outcome: 'copied' });
        expect(await textAt(under.backend, prefix, '/workspace/bait')).toBe('fish');
        expect(await textAt(under.backend, prefix, '/configs/config.yaml')).toContain('Ada');
      });

      test('B7: no link on the way is followed, neither in nor out', async ({ under, start }) => {
        const spec = aWorkload();
        const prefix = id12(spec.workspaceId);
        urlOf(await start(spec));
        await under.link(prefix, 'way', '../configs');
        const stolen = fileIn('/workspace/way/chat-uploads/a', 'stolen');
        expect(await under.backend.copyIn(prefix, [stolen], signal)).toMatchObject({ outcome: 'failed' });
        expect(await under.backend.copyOut(prefix, at('/configs/chat-uploads/a'), signal)).toEqual({ outcome: 'not-found' });
        const out = at('/workspace/way/config.yaml');
        expect(await under.backend.copyOut(prefix, out, signal)).toEqual({ outcome: 'not-found' });
      });

      test('are regular files and nothing else', async ({ under: { backend }, start }) => {
        const spec = aWorkload();
        const prefix = id12(spec.workspaceId);
        urlOf(await start(spec));
        await backend.copyIn(prefix, [fileIn('/workspace/directory/file', 'stays')], signal);
        expect(await backend.copyOut(prefix, at('/workspace/nowhere'), signal)).toEqual({ outcome: 'not-found' });
        expect(await backend.copyOut(prefix, at('/workspace/directory/file/below'), signal)).toEqual({ outcome: 'not-found' });
        expect(await backend.copyOut(prefix, at('/workspace/directory'), signal)).toEqual({ outcome: 'not-a-file' });
        expect(await backend.copyOut(prefix, at('/workspace'), signal)).toEqual({ outcome: 'not-a-file' });
        for (const path of ['/workspace/directory', '/workspace/directory/file/below', '/workspace'])
          expect(await backend.copyIn(prefix, [fileIn(path, 'x')], signal)).toMatchObject({ outcome: 'failed' });
        expect(await textAt(backend, prefix, '/workspace/directory/file')).toBe('stays');
      });

      test('B8: none is written when one of them cannot be read', async ({ under: { backend }, start }) => {
        const spec = aWorkload();
        const prefix = id12(spec.workspaceId);
        urlOf(await start(spec));
        const unreadable = { ...fileIn('/workspace/two', '2'), open: () => Promise.reject(new Error('it is gone')) };
        const outcome = await backend.copyIn(prefix, [fileIn('/workspace/one', '1'), unreadable], signal);
        expect(outcome).toMatchObject({ outcome: 'failed', cause: { message: 'it is gone' } });
        expect(await backend.copyOut(prefix, at('/workspace/one'), signal)).toEqual({ outcome: 'not-found' });
      });

      test('a copy that is given up ends, and lets go of what it read from', async ({ under: { backend }, start }) => {
        const spec = aWorkload();
        const prefix = id12(spec.workspaceId);
        urlOf(await start(spec));
        const giveUp = new AbortController();
        const source = new Readable({ read: () => giveUp.abort(new Error('enough')) }); // has nothing, ever
        const endless = { ...fileIn('/workspace/endless', 'never'), open: async () => source };
        expect(await backend.copyIn(prefix, [endless], giveUp.signal)).toMatchObject({ outcome: 'failed' });
        expect(source.destroyed).toBe(true);
      });

      test('a source that has less or more than it says is no file', async ({ under: { backend }, start }) => {
        const spec = aWorkload();
        const prefix = id12(spec.workspaceId);
        urlOf(await start(spec));
        for (const size of [4, 6]) {
          const lying = { ...fileIn('/workspace/lying', 'five!'), size };
          expect(await backend.copyIn(prefix, [lying], signal)).toMatchObject({ outcome: 'failed' });
        }
      });

      test('a content that nobody wants keeps nothing from being stopped', async ({ under: { backend }, start }) => {
        const spec = aWorkload();
        const prefix = id12(spec.workspaceId);
        urlOf(await start(spec));
        const large = randomBytes(24 * 1024 * 1024);
        await backend.copyIn(prefix, [fileIn('/workspace/large', large)], signal);
        const open = async () => {
          const outcome = await backend.copyOut(prefix, at('/workspace/large'), signal);
          if (outcome.outcome !== 'file') throw new Error(outcome.outcome);
          return outcome.content;
        };
        (await open()).destroy();
        const unread = (await open()).on('error', () => {});
        expect(await backend.stop(prefix, signal)).toEqual({ outcome: 'stopped' });
        unread.destroy();
      });

      test('are those of a workload that runs', async ({ under: { backend }, start }) => {
        const spec = aWorkload();
        const prefix = id12(spec.workspaceId);
        const copies = async (given: string) => [
          await backend.copyIn(given, [fileIn('/workspace/a', 'a')], signal),
          await backend.copyOut(given, at('/configs/config.yaml'), signal),
        ];
        const neither = [{ outcome: 'not-running' }, { outcome: 'not-running' }];
        expect(await copies(prefix)).toEqual(neither);
        urlOf(await start(spec));
        await backend.stop(prefix, signal);
        expect(await copies(prefix)).toEqual(neither);
        expect(await copies('../..')).toEqual(neither);
      });
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
