/**
 * Molecule as a deployment runs it, one process per service, around one PostgreSQL and one NATS: to be killed, stopped and started
 * again from outside. Nothing in here reaches into a service; it knows ports and signals.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SERVICES, type ServiceName } from '@molecule/contracts';
import { type EmbeddedServer, startNats, startPostgres } from '@molecule/embedded-servers';
import { freePort, waitFor } from '@molecule/testkit/outside';
import { pino } from 'pino';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const READY_LIMIT_MS = 60_000;

export interface ClusterOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** How many processes of a service; one where nothing is said. */
  readonly replicas?: Partial<Record<ServiceName, number>>;
}

interface Replica {
  readonly service: ServiceName;
  readonly name: string;
  readonly port: number;
  readonly opsPort: number;
  child: ChildProcess | undefined;
}

export class Cluster {
  readonly home: string;
  readonly postgres: EmbeddedServer;
  readonly nats: EmbeddedServer;
  /** Replicas that ended although nobody here ended them, and how. */
  readonly deaths: string[] = [];
  readonly #env: Readonly<Record<string, string>>;
  readonly #replicas: readonly Replica[];
  readonly #ending = new WeakSet<ChildProcess>();

  private constructor(
    home: string,
    postgres: EmbeddedServer,
    nats: EmbeddedServer,
    env: Readonly<Record<string, string>>,
    replicas: readonly Replica[],
  ) {
    this.home = home;
    this.postgres = postgres;
    this.nats = nats;
    this.#env = env;
    this.#replicas = replicas;
  }

  static async start({ env = {}, replicas: wanted = {} }: ClusterOptions = {}): Promise<Cluster> {
    const home = await mkdtemp(join(tmpdir(), 'molecule-e2e-'));
    await mkdir(join(home, 'logs'));
    const log = pino({ level: 'silent' });
    const [postgres, nats] = await Promise.all([
      startPostgres({ dir: join(home, 'postgres'), log }),
      startNats({ dir: join(home, 'nats'), log }),
    ]);
    const replicas: Replica[] = [];
    for (const service of SERVICES) {
      for (let index = 0; index < (wanted[service] ?? 1); index++) {
        replicas.push({
          service,
          name: `${service}-${index}`,
          port: await freePort(),
          opsPort: await freePort(),
          child: undefined,
        });
      }
    }
    const urls = (service: ServiceName) =>
      replicas.filter((one) => one.service === service).map(({ port }) => `http://127.0.0.1:${port}`);
    const gateway = urls('gateway')[0] as string;
    const cluster = new Cluster(
      home,
      postgres,
      nats,
      {
        DATABASE_URL: postgres.url,
        NATS_URL: nats.url,
        MOLECULE_ENV: 'development',
        MOLECULE_INTERNAL_KEY: 'a key for end-to-end tests, long enough',
        MOLECULE_HOME: home,
        // Of its own: an installation ends agents that it knows nothing of, and several clusters may run at once.
        MOLECULE_INSTALLATION: `e2e-${randomUUID().slice(0, 8)}`,
        PROVISIONER_BACKEND: 'process',
        PLATFORM_URL: gateway,
        HEARTBEAT_INTERVAL_SECONDS: '1',
        LOG_LEVEL: 'info',
        REGISTRY_URL: urls('registry').join(','),
        A2A_PROXY_URL: urls('a2a-proxy').join(','),
        SCHEDULER_URL: urls('scheduler').join(','),
        PROVISIONER_URL: urls('provisioner').join(','),
        SWEEPER_URL: urls('sweeper').join(','),
        ...env,
      },
      replicas,
    );
    try {
      await Promise.all(replicas.map((replica) => cluster.#launch(replica)));
    } catch (error) {
      await cluster.stop();
      throw error;
    }
    return cluster;
  }

  /** The base URL of a gateway. */
  url(index = 0): string {
    return `http://127.0.0.1:${this.#named(`gateway-${index}`).port}`;
  }

  /** Those of all gateways. */
  urls(): string[] {
    return this.#replicas.filter(({ service }) => service === 'gateway').map(({ port }) => `http://127.0.0.1:${port}`);
  }

  /** The process id of a replica, such as `registry-0`. */
  pid(name: string): number {
    return this.#named(name).child?.pid as number;
  }

  /** Ends a replica at once, as a crash would; resolves when it is gone. */
  async kill(name: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const { child } = this.#named(name);
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, 'exit');
    this.#ending.add(child);
    child.kill(signal);
    await gone;
  }

  /** Starts a replica that was killed; resolves when it says that it is ready. */
  restart(name: string): Promise<void> {
    return this.#launch(this.#named(name));
  }

  /** The process ids of everything: services, broker, database. */
  pids(): number[] {
    return [...this.servicePids(), this.nats.pid, this.postgres.pid].filter((pid) => pid !== undefined);
  }

  servicePids(): number[] {
    return this.#replicas.map(({ child }) => child?.pid).filter((pid) => pid !== undefined);
  }

  /** Ends the broker or the database at once; it comes back by itself, and this resolves when everybody can work again. */
  async crash(what: 'postgres' | 'nats', signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.#end(what, signal);
    await this.allReady();
  }

  /** Ends everything at once. The servers come back by themselves; `restartAll` starts the rest. */
  async killAll(): Promise<void> {
    await Promise.all([
      this.#end('postgres', 'SIGKILL'),
      this.#end('nats', 'SIGKILL'),
      ...this.names().map((name) => this.kill(name)),
    ]);
  }

  async restartAll(): Promise<void> {
    await Promise.all(this.names().map((name) => this.restart(name)));
  }

  /**
   * Stops the broker, the database or a replica as it is: connections stay open, and nothing answers on them. Answers the way to let
   * it go on, which may be taken twice.
   */
  async freeze(what: string): Promise<() => void> {
    const first = what === 'postgres' || what === 'nats' ? this[what].pid : this.pid(what);
    if (first === undefined) throw new Error(`${what} does not run`);
    process.kill(first, 'SIGSTOP');
    // Its own processes answer by themselves; it makes no new ones now.
    const pids = [first, ...(await childrenOf(first))];
    for (const pid of pids) signal(pid, 'SIGSTOP');
    return () => {
      for (const pid of pids.splice(0).reverse()) signal(pid, 'SIGCONT');
    };
  }

  /** What a process of its own beside the cluster would be started with. */
  env(): Readonly<Record<string, string>> {
    return this.#env;
  }

  /** What a replica has said so far, line by line. */
  async log(name: string): Promise<string[]> {
    return (await readFile(join(this.home, 'logs', `${name}.log`), 'utf8')).split('\n');
  }

  names(): string[] {
    return this.#replicas.map(({ name }) => name);
  }

  /** Resolves when every replica says that it can work again. */
  async allReady(): Promise<void> {
    await Promise.all(this.#replicas.map((replica) => this.#ready(replica)));
  }

  /** Ends everything, and leaves the logs only when asked to. */
  async stop({ keep = false }: { readonly keep?: boolean } = {}): Promise<void> {
    await Promise.all(this.#replicas.map(({ name }) => this.kill(name, 'SIGTERM')));
    await Promise.all([this.postgres.stop(), this.nats.stop()]);
    if (!keep) await rm(this.home, { recursive: true, force: true });
  }

  /** Ends a server; resolves when there is another in its place. */
  async #end(what: 'postgres' | 'nats', signal: NodeJS.Signals): Promise<void> {
    const pid = this[what].pid;
    if (pid === undefined) throw new Error(`${what} does not run`);
    process.kill(pid, signal);
    await waitFor(() => this[what].pid !== undefined && this[what].pid !== pid, {
      timeoutMs: READY_LIMIT_MS,
      what: `${what} to be started again`,
    });
  }

  async #launch(replica: Replica): Promise<void> {
    const { service, name, port, opsPort } = replica;
    const child = spawn(process.execPath, ['--enable-source-maps', join(ROOT, 'services', service, 'src', 'main.ts')], {
      cwd: this.home,
      env: { ...cleanEnv(), ...this.#env, PORT: String(port), OPS_PORT: String(opsPort) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const log = createWriteStream(join(this.home, 'logs', `${name}.log`), { flags: 'a' });
    child.stdout?.pipe(log, { end: false });
    child.stderr?.pipe(log, { end: false });
    child.once('exit', (code, by) => {
      if (!this.#ending.has(child)) this.deaths.push(`${name} ended by itself (${by ?? `code ${code}`})`);
    });
    replica.child = child;
    await this.#ready(replica);
  }

  async #ready({ name, opsPort, child }: Replica): Promise<void> {
    await waitFor(
      async () => {
        if (child?.exitCode !== null && child?.exitCode !== undefined)
          throw new Error(`${name} ended with code ${child.exitCode}; see ${this.home}/logs`);
        return (await fetch(`http://127.0.0.1:${opsPort}/readyz`).catch(() => undefined))?.ok === true;
      },
      { timeoutMs: READY_LIMIT_MS, what: `${name} to be ready (logs in ${this.home}/logs)` },
    );
  }

  #named(name: string): Replica {
    const replica = this.#replicas.find((one) => one.name === name);
    if (replica === undefined) throw new Error(`there is no replica ${name}`);
    return replica;
  }
}

async function childrenOf(pid: number): Promise<number[]> {
  return (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean).map(Number);
}

/** What ended meanwhile needs no signal. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** What a process needs of ours to run at all, and nothing that would configure it by accident. */
export const cleanEnv = () => ({ PATH: process.env['PATH'], HOME: process.env['HOME'], TMPDIR: process.env['TMPDIR'] });
