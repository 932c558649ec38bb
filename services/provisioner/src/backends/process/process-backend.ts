/**
 * Each workspace is a child process with directories of its own: a first agent on a bare machine, without containers.
 *
 *   P4. An agent is the leader of its own process group, writes to a file, and does not end when we do: the next start of the
 *       platform finds it again by its record and its command line (P1, P2).
 *   P5. Ending an agent ends its whole group: first asked, then forced.
 *   P6. An agent inherits nothing of our environment but what is listed here (I10).
 *   P7. It is not restarted when it ends: that a workspace went offline is for the platform to see and to decide on.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { id12 } from '@molecule/contracts';
import type { Log } from '@molecule/service';
import type { AgentPath } from '../agent-path.ts';
import {
  aborted,
  type Backend,
  type CopyInOutcome,
  type CopyOutOutcome,
  type FileIn,
  isPrefix,
  type ListOutcome,
  MAX_READ_BYTES,
  type StartOutcome,
  type StopOutcome,
  type WorkloadSpec,
} from '../backend.ts';
import { readFile, writeFiles } from './agent-files.ts';
import { AgentHome } from './agent-home.ts';
import { findByArgument, groupIsStillTheirs, startTimeOf } from './process-table.ts';

export interface ProcessBackendOptions {
  /** `<MOLECULE_HOME>/workspaces` */
  readonly root: string;
  readonly installation: string;
  /** Where agents reach the gateway; asked for at each start. */
  readonly platformUrl: () => Promise<string>;
  /** Passed on to every agent, e.g. HEARTBEAT_INTERVAL_SECONDS. */
  readonly agentEnv: Readonly<Record<string, string>>;
  /** Where what may be inherited is taken from. */
  readonly ownEnv: Readonly<Record<string, string | undefined>>;
  /** Whether agents end with the platform. */
  readonly stopOnShutdown: boolean;
  readonly log: Log;
}

/** P6. What finds programs, speaks the user's language, and gets out through a proxy. */
const INHERITED = [
  'PATH',
  'LANG',
  'LC_ALL',
  'TZ',
  'TMPDIR',
  'HTTP_PROXY',
  'HTTPS_PROXY',
  'NO_PROXY',
  'NODE_EXTRA_CA_CERTS',
] as const;

/** The runtimes that can run as a process here, and their adapters. Others need an image. */
const ADAPTERS: ReadonlyMap<string, string> = new Map([['echo', 'echo']]);

const RUNTIME_MAIN = fileURLToPath(new URL('../../../../../packages/runtime/src/main.ts', import.meta.url));
const READY_LIMIT_MS = 20_000;
const ASKED_MS = 5_000;
const FORCED_MS = 3_000;
const LOOK_EVERY_MS = 15;

export class ProcessBackend implements Backend {
  readonly name = 'process';
  readonly #options: ProcessBackendOptions;

  private constructor(options: ProcessBackendOptions) {
    this.#options = options;
  }

  /** Ends agents of this installation that no record speaks of: started by a platform that was killed in that very moment. */
  static async open(options: ProcessBackendOptions): Promise<ProcessBackend> {
    const backend = new ProcessBackend(options);
    const homes = await AgentHome.all(options.root);
    const records = await Promise.all(homes.map((home) => home.record()));
    const recorded = new Set(records.map((record) => record?.pid));
    const strays = (await findByArgument(`${backend.#marker('')}`)).filter((pid) => !recorded.has(pid));
    for (const pid of strays) {
      options.log.warn({ pid }, 'an agent without a record is ended');
      await backend.#endGroup(pid);
    }
    return backend;
  }

  cannotRun({ runtime, mount }: Pick<WorkloadSpec, 'runtime' | 'mount'>): Error | null {
    if (!ADAPTERS.has(runtime)) return new Error(`runtime ${runtime} cannot run as a process, it needs Docker`);
    if (mount?.readOnly) return new Error('a process cannot be kept from writing to its directory, that needs Docker');
    return null;
  }

  async start(spec: WorkloadSpec, signal: AbortSignal): Promise<StartOutcome> {
    const prefix = id12(spec.workspaceId);
    const adapter = ADAPTERS.get(spec.runtime);
    const obstacle = this.cannotRun(spec);
    if (obstacle !== null || adapter === undefined) return { outcome: 'failed', cause: obstacle };
    try {
      return await this.#start(spec, adapter, signal);
    } catch (error) {
      const stopped = await this.stop(prefix);
      if (stopped.outcome === 'failed') this.#options.log.error({ err: stopped.cause, prefix }, 'a failed start left a process');
      return { outcome: 'failed', cause: error };
    }
  }

  async #start(spec: WorkloadSpec, adapter: string, signal: AbortSignal): Promise<StartOutcome> {
    const home = this.#home(id12(spec.workspaceId));
    const stopped = await this.stop(home.prefix);
    if (stopped.outcome === 'failed') throw stopped.cause;
    await home.create(
      {
        'molecule.platform.managed': true,
        'molecule.platform.installation': this.#options.installation,
        workspaceId: spec.workspaceId,
        runtime: spec.runtime,
        ...(spec.mount && { mount: spec.mount.hostPath }),
      },
      new Date(),
    );
    if (spec.resetSession) await home.forgetSessions();
    if (!(await home.hasConfig())) await home.write(spec.seed);
    await home.write(spec.files);
    await home.forget();
    await home.boundLog();
    if (signal.aborted) throw aborted(signal);

    const workspace = spec.mount?.hostPath ?? home.workspace;
    const log = home.openLog();
    let child: ChildProcess;
    try {
      child = spawn(process.execPath, [RUNTIME_MAIN, this.#marker(home.prefix)], {
        cwd: workspace,
        env: await this.#env(spec, home, workspace, adapter),
        detached: true, // P4
        stdio: ['ignore', log.descriptor, log.descriptor],
      });
    } finally {
      log.close();
    }
    const ended = new Promise<Error>((resolve) => {
      child.once('error', resolve);
      child.once('exit', (code, by) => resolve(new Error(`the agent ended at its start (${code ?? by}); see ${home.log}`)));
    });
    child.unref();
    if (child.pid !== undefined) await home.remember({ pid: child.pid, startTime: (await startTimeOf(child.pid)) ?? '' });
    return { outcome: 'started', url: await this.#untilReady(home, ended, signal) };
  }

  async stop(prefix: string): Promise<StopOutcome> {
    if (!isPrefix(prefix)) return { outcome: 'not-found' };
    try {
      const home = this.#home(prefix);
      const pids = new Set(await findByArgument(this.#marker(prefix)));
      const running = await this.#running(home);
      if (running !== undefined) pids.add(running.pid);
      await Promise.all([...pids].map((pid) => this.#endGroup(pid)));
      // P5: those whom a leader left behind that has ended by itself.
      const record = await home.record();
      if (record !== undefined && (await groupIsStillTheirs(record.pid, record.startTime))) signalGroup(record.pid, 'SIGKILL');
      await home.forget();
      return { outcome: pids.size > 0 ? 'stopped' : 'not-found' };
    } catch (error) {
      return { outcome: 'failed', cause: error };
    }
  }

  async isRunning(prefix: string): Promise<{ running: boolean; certain: boolean }> {
    if (!isPrefix(prefix)) return { running: false, certain: true };
    try {
      const recorded = (await this.#running(this.#home(prefix))) !== undefined;
      const running = recorded || (await findByArgument(this.#marker(prefix))).length > 0;
      return { running, certain: true };
    } catch (error) {
      this.#options.log.warn({ err: error, prefix }, 'could not tell whether an agent runs');
      return { running: true, certain: false };
    }
  }

  async readConfig(prefix: string, path: string): Promise<Buffer | undefined> {
    return await (await this.#homeOfRunning(prefix))?.read(path, MAX_READ_BYTES);
  }

  async copyIn(prefix: string, files: readonly FileIn[], signal: AbortSignal): Promise<CopyInOutcome> {
    const home = await this.#homeOfRunning(prefix);
    if (home === undefined) return { outcome: 'not-running' };
    try {
      await writeFiles(await Promise.all(files.map(async (file) => ({ file, place: await home.place(file.path) }))), signal);
      return { outcome: 'copied' };
    } catch (error) {
      return { outcome: 'failed', cause: error };
    }
  }

  async copyOut(prefix: string, path: AgentPath, signal: AbortSignal): Promise<CopyOutOutcome> {
    const home = await this.#homeOfRunning(prefix);
    if (home === undefined) return { outcome: 'not-running' };
    try {
      return await readFile(await home.place(path), signal);
    } catch (error) {
      return { outcome: 'failed', cause: error };
    }
  }

  async removeVolume(prefix: string): Promise<void> {
    if (!isPrefix(prefix)) return;
    const home = this.#home(prefix);
    if ((await home.label()) !== undefined) await home.remove(); // B4
  }

  async listManaged(): Promise<ListOutcome> {
    try {
      const homes = await AgentHome.all(this.#options.root);
      const resources = await Promise.all(
        homes.map(async (home) => {
          const label = await home.label();
          if (label === undefined) return [];
          const running = (await this.#running(home)) !== undefined;
          return [
            { prefix: home.prefix, running, installation: label['molecule.platform.installation'], createdAt: label.createdAt },
          ];
        }),
      );
      return { outcome: 'listed', resources: resources.flat() };
    } catch (error) {
      return { outcome: 'failed', cause: error };
    }
  }

  async tend(): Promise<void> {
    for (const home of await AgentHome.all(this.#options.root)) await home.boundLog();
  }

  async shutdown(): Promise<void> {
    if (!this.#options.stopOnShutdown) return;
    const homes = await AgentHome.all(this.#options.root);
    await Promise.all(homes.map(({ prefix }) => this.stop(prefix)));
  }

  async healthy(): Promise<{ ok: boolean; detail: string }> {
    return { ok: true, detail: `process: agents run as you do, below ${this.#options.root}` };
  }

  #home(prefix: string): AgentHome {
    return new AgentHome(this.#options.root, prefix);
  }

  async #homeOfRunning(prefix: string): Promise<AgentHome | undefined> {
    if (!isPrefix(prefix)) return undefined;
    const home = this.#home(prefix);
    return (await this.#running(home)) === undefined ? undefined : home;
  }

  /** P2. An agent of workspace `prefix`; with `''`, what all of this installation begin with. */
  #marker(prefix: string): string {
    return `--workspace=${this.#options.installation}/${prefix}`;
  }

  /** The recorded process, if it still is that one (P1). */
  async #running(home: AgentHome): Promise<{ pid: number } | undefined> {
    const record = await home.record();
    if (record === undefined) return undefined;
    const startTime = await startTimeOf(record.pid);
    return startTime !== undefined && startTime === record.startTime ? record : undefined;
  }

  /** P5. @throws when its leader still runs after all. */
  async #endGroup(pid: number): Promise<void> {
    signalGroup(pid, 'SIGTERM');
    if (!(await gone(pid, ASKED_MS))) {
      signalGroup(pid, 'SIGKILL');
      if (!(await gone(pid, FORCED_MS))) throw new Error(`process ${pid} could not be ended`);
    }
    // Those whom its leader left behind. Its number is nobody else's while the group has members.
    signalGroup(pid, 'SIGKILL');
  }

  async #env(spec: WorkloadSpec, home: AgentHome, workspace: string, adapter: string): Promise<Record<string, string>> {
    const { ownEnv, agentEnv } = this.#options;
    const platformUrl = await this.#options.platformUrl();
    const inherited = INHERITED.flatMap((name) => (ownEnv[name] === undefined ? [] : [[name, ownEnv[name]] as const]));
    return {
      ...Object.fromEntries(inherited),
      HOME: workspace,
      WORKSPACE_ID: spec.workspaceId,
      WORKSPACE_CONFIG_PATH: home.configs,
      CONFIGS_DIR: home.configs,
      WORKSPACE_PATH: workspace,
      PLATFORM_URL: platformUrl,
      MOLECULE_URL: platformUrl,
      TIER: `${spec.tier}`,
      PLUGINS_DIR: join(home.configs, 'plugins'),
      ADAPTER_MODULE: adapter,
      A2A_HOST: '127.0.0.1',
      A2A_PORT: '0',
      A2A_READY_FILE: home.readyFile,
      ...agentEnv,
      ...spec.env,
    };
  }

  async #untilReady(home: AgentHome, ended: Promise<Error>, signal: AbortSignal): Promise<string> {
    const deadline = performance.now() + READY_LIMIT_MS;
    while (performance.now() < deadline) {
      const ready = await home.ready();
      if (ready !== undefined) return ready.url;
      if (signal.aborted) throw aborted(signal);
      const failure = await Promise.race([ended, delay(LOOK_EVERY_MS, undefined)]);
      if (failure !== undefined) throw failure;
    }
    throw new Error(`the agent did not listen within ${READY_LIMIT_MS} ms; see ${home.log}`);
  }
}

/** "No such group" is what we want. */
function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

async function gone(pid: number, withinMs: number): Promise<boolean> {
  const deadline = performance.now() + withinMs;
  const startTime = await startTimeOf(pid);
  if (startTime === undefined) return true;
  while (performance.now() < deadline) {
    await delay(LOOK_EVERY_MS);
    if ((await startTimeOf(pid)) !== startTime) return true;
  }
  return false;
}
