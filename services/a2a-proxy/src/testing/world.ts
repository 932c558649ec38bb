/** Proxies on a real bus and a real database, and everything around them that they talk to. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { BeatPublisher, type Bus, followLive } from '@molecule/bus';
import { HeartbeatBody, type Identity, type LiveEvent, principalOf, type RequestContext, subjects } from '@molecule/contracts';
import { CONTEXT_HEADER, type RunningService, signContext } from '@molecule/http';
import { type Basics, type Clock, createBasics, type Log, readConfig, Scope, systemClock } from '@molecule/service';
import {
  type Agent,
  it as base,
  freePort,
  type NewWorkspace,
  type SignedAnswer,
  type StandInRegistry,
  signedRequest,
  startAgent,
  waitFor,
} from '@molecule/testkit';
import pg from 'pg';
import { Agent as Dialer, request } from 'undici';
import type { Audit } from '../audit/audit.ts';
import { Config } from '../config.ts';
import { createA2aProxy } from '../service.ts';
import { StandInProvisioner, StandInWaker, standInRegistry } from './registry.ts';

const INTERNAL_KEY = 'a key that only our services know';
const MAIN = fileURLToPath(new URL('../main.ts', import.meta.url));
const sign = (context: RequestContext) => ({ [CONTEXT_HEADER]: signContext(context, INTERNAL_KEY) });
const dialer = new Dialer({ keepAliveTimeout: 1_000 });

export interface Running {
  readonly url: string;
  readonly service: RunningService;
  readonly metrics: Basics['metrics'];
  close(): Promise<void>;
}

export interface Call {
  readonly identity?: Identity;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  readonly signal?: AbortSignal;
}

export const message = (text: string, messageId?: string): string =>
  JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'message/send',
    params: { message: { role: 'user', parts: [{ kind: 'text', text }], ...(messageId && { messageId }) } },
  });

export const anonymous: Identity = { kind: 'anonymous' };
export const admin: Identity = { kind: 'admin' };
export const scheduler: Identity = { kind: 'service', service: 'scheduler', as: '' };

export interface Row {
  readonly id: string;
  readonly source_id: string | null;
  readonly target_id: string | null;
  readonly method: string;
  readonly summary: string;
  readonly status: string;
  readonly error_detail: string | null;
  readonly duration_ms: number;
  readonly created_at: string;
  readonly request_body?: unknown;
  readonly response_body?: unknown;
  readonly tool_trace?: unknown;
}

export class World {
  readonly registry: StandInRegistry;
  readonly provisioner: StandInProvisioner;
  readonly waker: StandInWaker;
  /** What was said live, in order. */
  readonly live: LiveEvent[] = [];
  readonly database: pg.Pool;
  readonly #bus: Bus;
  readonly #beats: BeatPublisher;
  readonly #env: Readonly<Record<string, string>>;
  readonly #log: Log;
  readonly #open = new Scope();
  readonly #proxies: Running[] = [];

  constructor({ bus, log, natsUrl, databaseUrl }: { bus: Bus; log: Log; natsUrl: string; databaseUrl: string }) {
    this.#log = log;
    this.#bus = bus;
    this.registry = standInRegistry(bus, log);
    this.provisioner = new StandInProvisioner(bus, log);
    this.waker = new StandInWaker(bus, log);
    this.#beats = new BeatPublisher(bus, { gateway: randomUUID(), clock: systemClock });
    followLive(bus, { log, onEvent: (event) => this.live.push(event) });
    this.database = new pg.Pool({ connectionString: databaseUrl, max: 2, options: '-c search_path=a2a_proxy' });
    this.database.on('error', () => undefined).on('connect', (client) => client.on('error', () => undefined));
    this.#env = {
      NATS_URL: natsUrl,
      DATABASE_URL: databaseUrl,
      MOLECULE_INTERNAL_KEY: INTERNAL_KEY,
      MOLECULE_ENV: 'development',
      MOLECULE_IN_DOCKER: 'false',
      A2A_WORKER_LEASE_SECONDS: '1.5',
      A2A_DRAIN_SECONDS: '1',
    };
  }

  /** Starts a proxy in this process. */
  async proxy(env: Readonly<Record<string, string>> = {}, clock?: Clock): Promise<Running> {
    const config = readConfig(Config, { ...this.#env, PORT: '0', OPS_PORT: '0', ...env });
    const scope = new Scope();
    await this.#open.open(
      () => scope,
      (opened) => opened.close(),
    );
    const basics = createBasics('a2a-proxy', { level: 'info', log: this.#log, ...(clock && { clock }) });
    const service = await createA2aProxy(config, basics, scope);
    const { metrics } = basics;
    const proxy = { url: `http://127.0.0.1:${service.port}`, service, metrics, close: () => scope.close() };
    this.#proxies.push(proxy);
    return proxy;
  }

  /** Starts a proxy as a process of its own, to be killed. */
  async process(env: Readonly<Record<string, string>> = {}): Promise<{ readonly url: string; readonly child: ChildProcess }> {
    const port = await freePort();
    const child = spawn(process.execPath, [MAIN], {
      env: { ...process.env, ...this.#env, PORT: `${port}`, OPS_PORT: '0', LOG_LEVEL: 'warn', ...env },
      stdio: ['ignore', 'ignore', 'ignore'],
    });
    await this.#open.open(
      () => child,
      async (open) => {
        if (open.exitCode !== null || open.signalCode !== null) return;
        open.kill('SIGKILL');
        await once(open, 'exit');
      },
    );
    const url = `http://127.0.0.1:${port}`;
    const isUp = () =>
      request(url, { dispatcher: dialer }).then(
        ({ body }) => body.dump().then(() => true),
        () => false,
      );
    await waitFor(isUp, { what: 'the process to listen', timeoutMs: 15_000 });
    return { url, child };
  }

  agent(options?: Parameters<typeof startAgent>[0]): Promise<Agent> {
    return this.#open.open(
      () => startAgent(options),
      (agent) => agent.stop(),
    );
  }

  /** A workspace with an agent behind it that every proxy knows of. */
  async workspace(agent: Pick<Agent, 'url'>, options: NewWorkspace = {}) {
    const id = await this.registry.create({ at: agent.url, ...options });
    await this.known();
    return id;
  }

  /** Resolves when every proxy in this process knows what the registry has said. */
  async known(): Promise<void> {
    await waitFor(async () => {
      const facts = [...this.registry.entries.values()];
      for (const { url } of this.#proxies) {
        for (const { workspaceId, status, purged } of facts) {
          // A body that is no JSON shows the way without taking it.
          const answer = await this.call(url, workspaceId, { body: 'x' }).catch(() => undefined);
          if (answer?.status === 404 && !purged) return false;
          // Created, and its agent not yet registered: there is more to come.
          if (answer?.status === 503 && answer.json.status === 'provisioning' && status !== 'provisioning') return false;
        }
      }
      return true;
    });
  }

  send(
    proxy: { url: string },
    path: string,
    method: 'GET' | 'POST' | 'DELETE',
    { identity = anonymous, ...call }: Call = {},
  ): Promise<SignedAnswer> {
    const url = `${proxy.url}${path}`;
    return signedRequest({ url, method, as: identity, sign, beats: this.#beats.mark(), ...call });
  }

  /** What a gateway adds to the request of somebody, for clients of their own. */
  signed(identity: Identity): Readonly<Record<string, string>> {
    return sign({ principal: principalOf(identity), peer: '127.0.0.1', requestId: randomUUID(), beats: this.#beats.mark() });
  }

  call(proxy: { url: string } | string, workspaceId: string, call: Call = {}): Promise<SignedAnswer> {
    const to = typeof proxy === 'string' ? { url: proxy } : proxy;
    return this.send(to, `/workspaces/${workspaceId}/a2a`, 'POST', { body: message('hello'), ...call });
  }

  async activity(proxy: { url: string }, workspaceId: string, query = ''): Promise<Row[]> {
    return (await this.send(proxy, `/workspaces/${workspaceId}/activity${query}`, 'GET', { identity: admin })).json;
  }

  /** The activity, once there are that many rows. */
  rows(proxy: { url: string }, workspaceId: string, count = 1, query = ''): Promise<Row[]> {
    return waitFor(
      async () => {
        const rows = await this.activity(proxy, workspaceId, query);
        return rows.length >= count ? rows : false;
      },
      { what: `${count} rows of activity` },
    );
  }

  async audit(proxy: { url: string }): Promise<Audit> {
    return (await this.send(proxy, '/admin/audit', 'GET', { identity: admin })).json;
  }

  /** The audit, once nothing is open. */
  settled(proxy: { url: string }, accepted: number, timeoutMs = 10_000): Promise<Audit> {
    let last: unknown;
    return waitFor(
      async () => {
        const audit = await this.audit(proxy);
        last = audit;
        return audit.open === 0 && audit.accepted >= accepted ? audit : false;
      },
      { what: `${accepted} messages to have ended`, timeoutMs },
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}: ${JSON.stringify(last)}`);
    });
  }

  /** The facts of a message, by type. */
  async facts(messageId: string): Promise<string[]> {
    const { rows } = await this.database.query<{ type: string }>('select type from events where stream = $1 order by version', [
      `message.${messageId}`,
    ]);
    return rows.map(({ type }) => type);
  }

  /** A beat, as a gateway passes it on. */
  beat(workspaceId: string, fields: Record<string, unknown> = {}): void {
    this.#beats.publish(HeartbeatBody.parse({ workspace_id: workspaceId, ...fields }));
  }

  /** What another service says live. */
  say(service: 'registry', event: LiveEvent): void {
    this.#bus.nats.publish(subjects.live(service, 'test'), JSON.stringify([event]));
  }

  /** What was said live of a workspace. */
  said(workspaceId: string, event: LiveEvent['event']): LiveEvent[] {
    return this.live.filter((said) => said.workspaceId === workspaceId && said.event === event);
  }

  /** What a proxy in this process counts; of one sample where there are several, such as `calls_total{outcome="queued"}`. */
  async figure({ metrics }: Pick<Running, 'metrics'>, name: string): Promise<number> {
    const samples = (await metrics.metrics())
      .replaceAll(/,?service="[^"]*"/g, '')
      .replaceAll('{}', '')
      .split('\n');
    return Number(
      samples
        .find((sample) => sample.startsWith(`${name} `))
        ?.split(' ')
        .at(-1),
    );
  }

  onClose(release: () => Promise<unknown>): Promise<unknown> {
    return this.#open.open(() => release, release);
  }

  async close(): Promise<void> {
    await this.#open.close();
    await this.registry.stop();
    await this.provisioner.stop();
    await this.waker.stop();
    this.#beats.close();
    await this.database.end();
  }
}

/** `it` with a world: a bus, a database, a registry that answers, and a way to start proxies and agents. */
export const it = base.extend('world', async ({ natsUrl, postgresUrl, bus, log }, { onCleanup }) => {
  const world = new World({ bus, log, natsUrl, databaseUrl: postgresUrl });
  onCleanup(() => world.close());
  return world;
});
