import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { id12, WorkspaceId } from '@molecule/contracts';
import { createLog } from '@molecule/service';
import { afterAll, describe, expect, it } from 'vitest';
import { at, bytesOf, describeBackend, fileIn } from '../backend.contract.ts';
import type { StartOutcome, WorkloadSpec } from '../backend.ts';
import { AgentHome } from './agent-home.ts';
import { ProcessBackend, type ProcessBackendOptions } from './process-backend.ts';
import { startTimeOf } from './process-table.ts';

const root = await mkdtemp(join(tmpdir(), 'provisioner-'));
const options: ProcessBackendOptions = {
  root,
  installation: randomUUID(),
  platformUrl: async () => 'http://127.0.0.1:1',
  agentEnv: { HEARTBEAT_INTERVAL_SECONDS: '1' },
  ownEnv: { PATH: process.env['PATH'], ADMIN_TOKEN: 'not for agents', DATABASE_URL: 'not for agents' },
  stopOnShutdown: true,
  log: createLog({ service: 'provisioner', level: 'silent' }),
};
const backend = await ProcessBackend.open(options);
const { signal } = new AbortController();
afterAll(async () => {
  await backend.shutdown();
  await rm(root, { recursive: true, force: true });
});

describeBackend('the process backend', async () => ({
  backend,
  installation: options.installation,
  unknownRuntime: 'langgraph',
  makeForeign: async (prefix) => {
    const directory = join(root, prefix);
    await mkdir(directory);
    return {
      isThere: () =>
        stat(directory).then(
          () => true,
          () => false,
        ),
      remove: () => rm(directory, { recursive: true }),
    };
  },
  discard: async () => {},
  readConfig: async (prefix, path) => {
    const file = join(root, prefix, 'configs', path);
    return { text: await readFile(file, 'utf8'), mode: (await stat(file)).mode & 0o777 };
  },
  link: (prefix, name, target) => symlink(target, join(root, prefix, 'workspace', name)),
}));

const spec = (): WorkloadSpec => ({
  workspaceId: WorkspaceId.parse(randomUUID()),
  runtime: 'echo',
  tier: 2,
  env: { GREETING: 'hello' },
  seed: [{ path: 'config.yaml', data: Buffer.from('name: Ada\nruntime: echo\n'), mode: 0o644 }],
  files: [],
  resetSession: false,
  mount: null,
});
const started = (outcome: StartOutcome): string => {
  if (outcome.outcome === 'failed') throw outcome.cause;
  return outcome.url;
};
const homeOf = ({ workspaceId }: WorkloadSpec) => new AgentHome(root, id12(workspaceId));
const pidOf = async (workload: WorkloadSpec) => (await homeOf(workload).record())?.pid ?? Number.NaN;
const environmentOf = async (pid: number) =>
  Object.fromEntries((await readFile(`/proc/${pid}/environ`, 'utf8')).split('\0').map((line) => line.split(/=(.*)/s)));

describe('the process backend', { timeout: 30_000 }, () => {
  it('finds its agents again after it was killed, and stops them (P4)', async () => {
    const workload = spec();
    const url = started(await backend.start(workload, signal));
    const next = await ProcessBackend.open(options);
    expect((await fetch(`${url}/.well-known/agent.json`)).status).toBe(200);
    expect(await next.isRunning(id12(workload.workspaceId))).toEqual({ running: true, certain: true });
    expect(await next.stop(id12(workload.workspaceId))).toEqual({ outcome: 'stopped' });
  });

  it('ends an agent that was started without being recorded (P2)', async () => {
    const workload = spec();
    started(await backend.start(workload, signal));
    const pid = await pidOf(workload);
    await homeOf(workload).forget();
    await ProcessBackend.open(options);
    expect(await startTimeOf(pid)).toBeUndefined();
  });

  it('does not take another process for an agent because it has its number (P1)', async () => {
    const workload = spec();
    started(await backend.start(workload, signal));
    await backend.stop(id12(workload.workspaceId));
    await homeOf(workload).remember({ pid: process.pid, startTime: 'another time' });
    expect(await backend.isRunning(id12(workload.workspaceId))).toEqual({ running: false, certain: true });
    expect(await backend.stop(id12(workload.workspaceId))).toEqual({ outcome: 'not-found' });
  });

  it('throws the sessions of the agent away when it is told to, and nothing else', async () => {
    const workload = spec();
    started(await backend.start(workload, signal));
    const sessions = join(homeOf(workload).workspace, '.claude', 'sessions');
    await mkdir(sessions, { recursive: true });
    await writeFile(join(sessions, 'one.json'), '{}');
    await writeFile(join(homeOf(workload).workspace, 'work.txt'), 'mine');
    started(await backend.start(workload, signal));
    expect((await stat(sessions)).isDirectory()).toBe(true);
    started(await backend.start({ ...workload, resetSession: true }, signal));
    await expect(stat(sessions)).rejects.toThrow('ENOENT');
    expect(await readFile(join(homeOf(workload).workspace, 'work.txt'), 'utf8')).toBe('mine');
    await backend.stop(id12(workload.workspaceId));
  });

  it('does not start an agent again that ended by itself (P7)', async () => {
    const workload = spec();
    started(await backend.start(workload, signal));
    const pid = await pidOf(workload);
    process.kill(pid, 'SIGKILL');
    await expect.poll(() => startTimeOf(pid), { interval: 10 }).toBeUndefined();
    await backend.tend();
    expect(await backend.isRunning(id12(workload.workspaceId))).toEqual({ running: false, certain: true });
  });

  it.runIf(process.platform === 'linux')('hands on nothing of our environment but what agents need (P6, I10)', async () => {
    const workload = spec();
    started(await backend.start(workload, signal));
    const home = homeOf(workload);
    const environment = await environmentOf(await pidOf(workload));
    expect(environment).toMatchObject({
      WORKSPACE_ID: workload.workspaceId,
      WORKSPACE_CONFIG_PATH: home.configs,
      CONFIGS_DIR: home.configs,
      PLATFORM_URL: 'http://127.0.0.1:1',
      MOLECULE_URL: 'http://127.0.0.1:1',
      TIER: '2',
      GREETING: 'hello',
      HEARTBEAT_INTERVAL_SECONDS: '1',
    });
    expect(environment).not.toHaveProperty('ADMIN_TOKEN');
    expect(environment).not.toHaveProperty('DATABASE_URL');
  });

  it('has its home where it works, and its plugins with its configuration', async () => {
    const workload = spec();
    started(await backend.start(workload, signal));
    const prefix = id12(workload.workspaceId);
    const files = [fileIn('/home/notes.txt', 'mine'), fileIn('/plugins/greet/plugin.yaml', 'name: greet')];
    expect(await backend.copyIn(prefix, files, signal)).toEqual({ outcome: 'copied' });
    expect(await readFile(join(homeOf(workload).workspace, 'notes.txt'), 'utf8')).toBe('mine');
    expect(await readFile(join(homeOf(workload).configs, 'plugins', 'greet', 'plugin.yaml'), 'utf8')).toBe('name: greet');
    await backend.stop(prefix);
  });

  it('works in the directory of the host that it was started with, also for a platform that was started again', async () => {
    const hostPath = await mkdtemp(join(tmpdir(), 'provisioner-mount-'));
    const workload = { ...spec(), mount: { hostPath, readOnly: false } };
    started(await backend.start(workload, signal));
    const prefix = id12(workload.workspaceId);
    const next = await ProcessBackend.open(options);
    expect(await next.copyIn(prefix, [fileIn('/workspace/a/b.txt', 'here')], signal)).toEqual({ outcome: 'copied' });
    expect(await readFile(join(hostPath, 'a', 'b.txt'), 'utf8')).toBe('here');
    expect((await bytesOf(await next.copyOut(prefix, at('/workspace/a/b.txt'), signal))).toString()).toBe('here');
    await backend.stop(prefix);
    await rm(hostPath, { recursive: true });
  });

  it('leaves nothing of files that could not all be written, nor of those a killed platform was writing (W2, W3)', async () => {
    const workload = spec();
    started(await backend.start(workload, signal));
    const prefix = id12(workload.workspaceId);
    const directory = join(homeOf(workload).workspace, 'in');
    await mkdir(directory);
    const left = join(directory, `.molecule-${'0'.repeat(32)}.part`);
    await writeFile(left, 'half');
    await utimes(left, 0, 0);
    const breaks = async () =>
      Readable.from(
        (async function* () {
          yield Buffer.from('so far');
          throw new Error('and no further');
        })(),
      );
    const broken = { ...fileIn('/workspace/in/two', 'so far, and on'), open: breaks };
    const outcome = await backend.copyIn(prefix, [fileIn('/workspace/in/one', '1'), broken], signal);
    expect(outcome).toMatchObject({ outcome: 'failed', cause: { message: 'and no further' } });
    expect(await readdir(directory)).toEqual([]);
    await backend.stop(prefix);
  });

  it('reads no pipe, which nobody might ever write to', async () => {
    const workload = spec();
    started(await backend.start(workload, signal));
    const prefix = id12(workload.workspaceId);
    execFileSync('mkfifo', [join(homeOf(workload).workspace, 'pipe')]);
    expect(await backend.copyOut(prefix, at('/workspace/pipe'), signal)).toEqual({ outcome: 'not-a-file' });
    await backend.stop(prefix);
  });

  it('stops all agents when the platform ends in order', async () => {
    const workload = spec();
    started(await backend.start(workload, signal));
    const pid = await pidOf(workload);
    await backend.shutdown();
    expect(await startTimeOf(pid)).toBeUndefined();
  });
});
