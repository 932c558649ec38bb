/** A real bus, a real database, a stand-in for the registry, and a gateway that agents report to: what the provisioner works in. */
import { type ChildProcess, spawn } from 'node:child_process';
import { hash, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { type Bus, followFacts, ask as request } from '@molecule/bus';
import {
  type AnyRecordedFact,
  ask,
  type StartOptions,
  type WorkspaceFact,
  type WorkspaceId,
  type WorkspaceStatus,
} from '@molecule/contracts';
import { applyFact } from '@molecule/directory';
import { createBasics, type Log, readConfig, Scope } from '@molecule/service';
import { it as base, type NewWorkspace, StandInRegistry, temporaryDir, waitFor } from '@molecule/testkit';
import pg from 'pg';
import { Config } from '../config.ts';
import { createProvisioner } from '../service.ts';

/** Often, so that nobody waits for a look. */
const HEALTH_EVERY_MS = 50;
const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));

/** One that agents register with: it remembers by which token's hash they came. */
interface Registration {
  readonly workspaceId: string;
  readonly url: string;
  readonly tokenHash: string;
}

export class World {
  readonly bus: Bus;
  readonly home: string;
  readonly installation = randomUUID();
  /** What the provisioner told everybody. */
  readonly facts: AnyRecordedFact[] = [];
  readonly registrations: Registration[] = [];
  readonly registry: StandInRegistry;
  readonly #natsUrl: string;
  readonly #postgresUrl: string;
  readonly #log: Log;
  readonly #scope = new Scope();
  readonly #pool: pg.Pool;
  #gatewayPort = 0;

  constructor(bus: Bus, { natsUrl, postgresUrl, home, log }: { natsUrl: string; postgresUrl: string; home: string; log: Log }) {
    this.bus = bus;
    this.home = home;
    this.#natsUrl = natsUrl;
    this.#postgresUrl = postgresUrl;
    this.#log = log;
    this.registry = new StandInRegistry({ bus, log, applyFact });
    this.#pool = new pg.Pool({ connectionString: postgresUrl, max: 2, options: '-c search_path=provisioner' });
    this.#pool.on('error', () => {});
  }

  async open(): Promise<void> {
    await this.#scope.open(
      () => this.#pool,
      (pool) => pool.end(),
    );
    const following = await followFacts(this.bus, {
      log: this.#log,
      onFact: (fact) => this.facts.push(fact),
      onGap: () => {},
    });
    await this.#scope.open(
      () => following,
      (open) => open.stop(),
    );
    await this.#scope.open(
      () => this.registry.serve(),
      (open) => open.stop(),
    );
    await this.#scope.open(
      () => this.#openGateway(),
      (open) => open.close(),
    );
  }

  /** Closes in reverse: provisioners first. */
  async close(): Promise<void> {
    await this.#scope.close();
    await rm(this.home, { recursive: true, force: true, maxRetries: 5 });
  }

  environment(env: Readonly<Record<string, string>> = {}): Record<string, string> {
    return {
      PATH: process.env['PATH'] ?? '',
      NATS_URL: this.#natsUrl,
      DATABASE_URL: this.#postgresUrl,
      MOLECULE_INTERNAL_KEY: 'a key that only our services know',
      MOLECULE_HOME: this.home,
      MOLECULE_INSTALLATION: this.installation,
      PROVISIONER_BACKEND: 'process',
      GATEWAY_PORT: `${this.#gatewayPort}`,
      PORT: '0',
      OPS_PORT: '0',
      LOG_LEVEL: 'error',
      ...env,
    };
  }

  /** A provisioner in this process. Returns the way to stop it in order; it is stopped with the world at the latest. */
  async provisioner(env: Readonly<Record<string, string>> = {}): Promise<() => Promise<void>> {
    const scope = new Scope();
    await this.#scope.open(
      () => scope,
      (open) => open.close(),
    );
    const config = readConfig(Config, this.environment(env));
    await createProvisioner(config, createBasics('provisioner', { level: 'info', log: this.#log }), scope, {
      healthEveryMs: HEALTH_EVERY_MS,
    });
    return () => scope.close();
  }

  /** A provisioner in a process of its own, to be killed. */
  async provisionerProcess(env: Readonly<Record<string, string>> = {}): Promise<ChildProcess> {
    const child = spawn(process.execPath, [MAIN], { env: this.environment(env), stdio: ['ignore', 'inherit', 'inherit'] });
    await this.#scope.open(
      () => child,
      async () => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        child.kill('SIGKILL');
        await once(child, 'exit');
      },
    );
    await waitFor(
      () =>
        request(this.bus, ask.provisioner.backend, {}).then(
          () => true,
          () => false,
        ),
      {
        timeoutMs: 15_000,
        what: 'the provisioner to answer',
      },
    );
    return child;
  }

  /** The hash of the token that lives. */
  token(workspaceId: string): string | undefined {
    return this.registry.entries.get(workspaceId)?.tokens[0]?.hash;
  }

  create(change: NewWorkspace = {}): Promise<WorkspaceId> {
    return this.registry.create({ name: 'Ada', role: 'Mathematician', tier: 2, ...change });
  }

  async remove(workspaceId: WorkspaceId): Promise<void> {
    await this.say(workspaceId, { type: 'workspace.removed', data: { from: 'provisioning' } });
  }

  async setStatus(workspaceId: WorkspaceId, from: 'provisioning' | 'online', to: 'provisioning' | 'online'): Promise<void> {
    const data = { from, to, reason: 'restart', clearsUrl: to === 'provisioning', event: null } as const;
    await this.say(workspaceId, { type: 'workspace.status', data });
  }

  /** As a restart, a pause or a wake moves it: its place is forgotten. */
  async move(workspaceId: WorkspaceId, to: WorkspaceStatus, start?: StartOptions): Promise<void> {
    const from = this.registry.entries.get(workspaceId)?.status ?? 'online';
    const data = { from, to, reason: 'restart', clearsUrl: true, event: null, ...(start && { start }) } as const;
    await this.say(workspaceId, { type: 'workspace.status', data });
  }

  async say(workspaceId: WorkspaceId, fact: WorkspaceFact): Promise<void> {
    await this.registry.say(workspaceId, fact);
  }

  /** The next fact of these types about a workspace, or the one that was told already. */
  told<Type extends AnyRecordedFact['type']>(workspaceId: string, ...types: Type[]) {
    type Told = Extract<AnyRecordedFact, { type: Type }>;
    const find = () =>
      this.facts.find((fact): fact is Told => fact.workspaceId === workspaceId && types.some((type) => type === fact.type));
    return waitFor(find, { timeoutMs: 15_000, what: `${types.join(' or ')} of ${workspaceId}` });
  }

  registered(workspaceId: string): Promise<Registration> {
    return waitFor(() => this.registrations.findLast((one) => one.workspaceId === workspaceId), {
      timeoutMs: 15_000,
      what: 'the agent to register',
    });
  }

  /** The types of the facts in the provisioner's own log, in order. */
  async log(workspaceId: string): Promise<string[]> {
    const rows = await this.#pool.query<{ type: string }>('select type from events where stream = $1 order by version', [
      `container.${workspaceId}`,
    ]);
    return rows.rows.map(({ type }) => type);
  }

  logHas(workspaceId: string, type: string): Promise<true> {
    const has = async () => (await this.log(workspaceId)).includes(type);
    return waitFor(has, { timeoutMs: 15_000, what: `${type} in the log` }) as Promise<true>;
  }

  async row(workspaceId: string): Promise<{ state: string; run: number; url: string; backend: string } | undefined> {
    const rows = await this.#pool.query('select state, run, url, backend from containers where workspace_id = $1', [workspaceId]);
    return rows.rows[0];
  }

  configs(workspaceId: string): string {
    return join(this.home, 'workspaces', workspaceId.slice(0, 12), 'configs');
  }

  async #openGateway(): Promise<Server> {
    const server = createServer(async (incoming, outgoing) => {
      const body = JSON.parse(await text(incoming)) as { id?: string; url?: string };
      const token = (incoming.headers.authorization ?? '').replace(/^Bearer /, '');
      if (incoming.url === '/registry/register' && body.id !== undefined) {
        this.registrations.push({ workspaceId: body.id, url: body.url ?? '', tokenHash: hash('sha256', token) });
      }
      outgoing.writeHead(200, { 'content-type': 'application/json' }).end('{"status":"ok"}');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.#gatewayPort = (server.address() as { port: number }).port;
    return server;
  }
}

export const it = base.extend('world', async ({ bus, natsUrl, postgresUrl, log }, { onCleanup }) => {
  const { dir, remove } = temporaryDir();
  const world = new World(bus, { natsUrl, postgresUrl, home: dir, log });
  onCleanup(async () => {
    await world.close();
    remove();
  });
  await world.open();
  return world;
});
