import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { id12, WorkspaceId } from '@molecule/contracts';
import { createLog } from '@molecule/service';
import { extract, pack } from 'tar-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EchoImage } from '../../images/echo-image.ts';
import { Spool } from '../../spool.ts';
import { at, bytesOf, describeBackend, fileIn } from '../backend.contract.ts';
import { archiveOf } from './archive.ts';
import { DockerBackend, type DockerBackendOptions } from './docker-backend.ts';
import { answers, createEngine, isNotFound } from './engine.ts';

const settings = { DOCKER_HOST: process.env['DOCKER_HOST'] };
const docker = createEngine(settings);
const available = await answers(docker, 2_000);
if (!available && process.env['CI'] === 'true') throw new Error('there is no Docker here; in CI there must be');
if (!available) process.stderr.write('the tests of the Docker backend are left out: no Docker engine answers here\n');

const spoolDirectory = await mkdtemp(join(tmpdir(), 'provisioner-spool-'));
const log = createLog({ service: 'provisioner', level: 'silent' });
const echo = new EchoImage(docker, log);
const caps = { memoryMb: 512, cpuShares: 1024 };
const options: DockerBackendOptions = {
  docker,
  installation: randomUUID(),
  network: `molecule-test-${randomUUID().slice(0, 8)}`,
  platformUrl: async () => 'http://host.docker.internal:1',
  agentEnv: {},
  caps: { standard: caps, privileged: caps, full: caps },
  images: { nowhere: `molecule.invalid/${randomUUID().slice(0, 8)}:none` },
  localImage: (runtime, signal) => (runtime === 'echo' ? echo.ensure(signal) : Promise.resolve(undefined)),
  platform: undefined,
  spool: await Spool.open(spoolDirectory),
  spooledBytes: 1024 * 1024,
  log,
};
afterAll(() => rm(spoolDirectory, { recursive: true }));

/** The files of a workspace outlive it by design (spec 3 §1.8); those of a test need not. */
const removeWorkspaceVolume = async (workspaceId: string): Promise<void> => {
  await docker
    .getVolume(`ws-${workspaceId}-workspace`)
    .remove({ force: true })
    .catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
};

describe.runIf(available)('with an engine', () => {
  for (const [name, network] of [
    ['the Docker backend', options.network],
    ["the Docker backend on the machine's own network", 'host'],
  ] as const) {
    describeBackend(name, async () => ({
      backend: new DockerBackend({ ...options, network }),
      installation: options.installation,
      unknownRuntime: 'nowhere',
      makeForeign: async (prefix) => {
        const Image = await echo.ensure(AbortSignal.timeout(30_000));
        const container = await docker.createContainer({ name: `ws-${prefix}`, Image });
        return {
          isThere: () =>
            container.inspect().then(
              () => true,
              () => false,
            ),
          remove: () => container.remove({ force: true }),
        };
      },
      discard: removeWorkspaceVolume,
      readConfig: async (prefix, path) => {
        const archive = await docker.getContainer(`ws-${prefix}`).getArchive({ path: `/configs/${path}` });
        const tar = extract();
        archive.pipe(tar as unknown as NodeJS.WritableStream);
        for await (const entry of tar)
          return { text: (await buffer(entry)).toString('utf8'), mode: (entry.header.mode ?? 0) & 0o777 };
        throw new Error(`${path} is not there`);
      },
      link: async (prefix, name, linkname) => {
        const tar = pack();
        tar.entry({ name: `workspace/${name}`, type: 'symlink', linkname });
        tar.finalize();
        const archive = tar as unknown as NodeJS.ReadableStream;
        await docker.getContainer(`ws-${prefix}`).putArchive(archive, { path: '/' });
      },
    }));
  }

  it.for([1, 2, 3, 4])('starts a workload of tier %i, also where the engine has no privileges to give', async (tier) => {
    const signal = AbortSignal.timeout(30_000);
    const backend = new DockerBackend({ ...options, network: 'host' });
    const workspaceId = WorkspaceId.parse(randomUUID());
    const seed = [{ path: 'config.yaml', data: Buffer.from('runtime: echo\n'), mode: 0o644 }];
    const outcome = await backend.start(
      { workspaceId, runtime: 'echo', tier, env: {}, seed, files: [], resetSession: false, mount: null },
      signal,
    );
    const running = await backend.isRunning(id12(workspaceId), signal);
    await backend.stop(id12(workspaceId), signal);
    await backend.removeVolume(id12(workspaceId), signal);
    await removeWorkspaceVolume(workspaceId);
    expect(outcome).toMatchObject({ outcome: 'started', url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/) });
    expect(running).toEqual({ running: true, certain: true });
  });

  it('starts several of them at once, although each finds out what the engine cannot give', async () => {
    const signal = AbortSignal.timeout(60_000);
    const backend = new DockerBackend({ ...options, network: 'host' });
    const seed = [{ path: 'config.yaml', data: Buffer.from('runtime: echo\n'), mode: 0o644 }];
    const ids = [1, 2, 3].map(() => WorkspaceId.parse(randomUUID()));
    const outcomes = await Promise.all(
      ids.map((workspaceId) =>
        backend.start(
          { workspaceId, runtime: 'echo', tier: 3, env: {}, seed, files: [], resetSession: false, mount: null },
          signal,
        ),
      ),
    );
    for (const workspaceId of ids) {
      await backend.stop(id12(workspaceId), signal);
      await backend.removeVolume(id12(workspaceId), signal);
      await removeWorkspaceVolume(workspaceId);
    }
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['started', 'started', 'started']);
  });

  it('keeps the sessions of claude-code from one start to the next, and throws them away when it is told to', async () => {
    const signal = AbortSignal.timeout(60_000);
    const backend = new DockerBackend({ ...options, network: 'host', localImage: (_runtime, until) => echo.ensure(until) });
    const workspaceId = WorkspaceId.parse(randomUUID());
    const prefix = id12(workspaceId);
    const container = docker.getContainer(`ws-${prefix}`);
    const seed = [{ path: 'config.yaml', data: Buffer.from('runtime: echo\n'), mode: 0o644 }];
    const start = async (resetSession: boolean) => {
      const spec = { workspaceId, runtime: 'claude-code', tier: 2, env: {}, seed, files: [], resetSession, mount: null };
      expect(await backend.start(spec, signal)).toMatchObject({ outcome: 'started' });
    };
    const remembered = async () =>
      await container.infoArchive({ path: '/root/.claude/sessions/one.json' }).then(
        () => true,
        () => false,
      );
    try {
      await start(false);
      const session = await archiveOf([{ path: 'one.json', data: Buffer.from('{}'), mode: 0o644 }]);
      await container.putArchive(session, { path: '/root/.claude/sessions' });
      await start(false);
      expect(await remembered()).toBe(true);
      await start(true);
      expect(await remembered()).toBe(false);
    } finally {
      await backend.stop(prefix, signal);
      await backend.removeVolume(prefix, signal);
      await removeWorkspaceVolume(workspaceId);
    }
  });

  describe('a container whose files are copied', () => {
    const { signal } = new AbortController();
    const backend = new DockerBackend({ ...options, network: 'host' });
    const workspaceId = WorkspaceId.parse(randomUUID());
    const prefix = id12(workspaceId);
    const container = docker.getContainer(`ws-${prefix}`);
    beforeAll(async () => {
      const seed = [{ path: 'config.yaml', data: Buffer.from('runtime: echo\n'), mode: 0o644 }];
      const spec = { workspaceId, runtime: 'echo', tier: 2, env: {}, seed, files: [], resetSession: false, mount: null };
      expect(await backend.start(spec, signal)).toMatchObject({ outcome: 'started' });
    });
    afterAll(async () => {
      await backend.stop(prefix, signal);
      await backend.removeVolume(prefix, signal);
      await removeWorkspaceVolume(workspaceId);
    });
    const headerOf = async (path: string) => {
      const archive = (await container.getArchive({ path })) as Readable;
      const tar = extract();
      archive.pipe(tar as unknown as NodeJS.WritableStream);
      for await (const entry of tar)
        return { uid: entry.header.uid, gid: entry.header.gid, mode: (entry.header.mode ?? 0) & 0o777 };
      throw new Error(`${path} is not there`);
    };

    it('gets them as its own user would have made them', async () => {
      const tar = pack();
      tar.entry({ name: 'own', type: 'directory', mode: 0o775, uid: 1000, gid: 1001 });
      tar.finalize();
      await container.putArchive(tar as unknown as NodeJS.ReadableStream, { path: '/workspace' });
      expect(await backend.copyIn(prefix, [fileIn('/workspace/own/a/b.txt', 'x')], signal)).toEqual({ outcome: 'copied' });
      expect(await headerOf('/workspace/own')).toEqual({ uid: 1000, gid: 1001, mode: 0o775 });
      expect(await headerOf('/workspace/own/a')).toEqual({ uid: 1000, gid: 1001, mode: 0o775 });
      expect(await headerOf('/workspace/own/a/b.txt')).toEqual({ uid: 1000, gid: 1001, mode: 0o644 });
    });

    it('A2: is free while a client reads slowly what is not too large', async () => {
      await backend.copyIn(prefix, [fileIn('/workspace/small', Buffer.alloc(options.spooledBytes))], signal);
      const unread = await backend.copyOut(prefix, at('/workspace/small'), signal);
      expect(await backend.isRunning(prefix, AbortSignal.timeout(10_000))).toEqual({ running: true, certain: true });
      expect((await bytesOf(unread)).length).toBe(options.spooledBytes);
    });
  });

  it('removes the network it made', async () => {
    await docker.getNetwork(options.network).remove();
  });
});

describe('without an engine', () => {
  const { signal } = new AbortController();
  const backend = new DockerBackend({ ...options, docker: createEngine({ DOCKER_HOST: 'unix:///nowhere/docker.sock' }) });

  it('B3: takes nothing for dead', async () => {
    expect(await backend.isRunning('0b6c2f53-6d5', signal)).toEqual({ running: true, certain: false });
  });
  it('B2: proves no stop', async () => {
    expect(await backend.stop('0b6c2f53-6d5', signal)).toMatchObject({ outcome: 'failed' });
  });
  it('lists nothing, rather than an empty list', async () => {
    expect(await backend.listManaged(signal)).toMatchObject({ outcome: 'failed' });
  });
  it('does not answer', async () => {
    expect(await answers(createEngine({ DOCKER_HOST: 'tcp://127.0.0.1:1' }), 1_000)).toBe(false);
  });
});
