/** A registry over real servers, and a gateway's side of it: requests in somebody's name, and beats. For tests. */

import { randomUUID } from 'node:crypto';
import { BeatPublisher, type Bus, RequestServer } from '@molecule/bus';
import { type AnyFact, ask, HeartbeatBody, type Identity, type RequestContext, subjects } from '@molecule/contracts';
import { Directory } from '@molecule/directory';
import { CONTEXT_HEADER, type RunningService, signContext } from '@molecule/http';
import { type Clock, createBasics, Scope, systemClock } from '@molecule/service';
import { recordedFact, signedRequest, type it as withServers } from '@molecule/testkit';
import pg from 'pg';
import { Config } from './config.ts';
import { createRegistry, type RegistryOptions } from './service.ts';

export const KEY = 'a key that only tests use, long enough';
/** A key for secrets that only tests use. */
export const SECRETS_KEY = Buffer.alloc(32, 7).toString('base64');
const sign = (context: RequestContext) => ({ [CONTEXT_HEADER]: signContext(context, KEY) });
type Log = Parameters<typeof createBasics>[1]['log'];

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what a route answered, looked at by tests
  readonly body: any;
  readonly text: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface Call {
  readonly as?: Identity;
  readonly body?: unknown;
  readonly raw?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly principal?: Partial<RequestContext['principal']>;
  /** Which gateway's beats the registry must have seen. */
  readonly after?: BeatPublisher;
}

export const ADMIN: Identity = { kind: 'admin' };
export const NOBODY: Identity = { kind: 'anonymous' };

export class Registry {
  readonly service: RunningService;
  readonly scope: Scope;

  constructor(service: RunningService, scope: Scope) {
    this.service = service;
    this.scope = scope;
  }

  async call(
    method: string,
    path: string,
    { as = ADMIN, body, raw, headers = {}, principal = {}, after }: Call = {},
  ): Promise<Answer> {
    const {
      status,
      text,
      headers: answered,
    } = await signedRequest({
      url: `http://127.0.0.1:${this.service.port}${path}`,
      method,
      as,
      sign,
      principal,
      beats: after?.mark() ?? null,
      headers,
      body: raw ?? (body === undefined ? undefined : JSON.stringify(body)),
    });
    return { status, text, headers: answered, body: `${answered['content-type']}`.includes('json') ? JSON.parse(text) : null };
  }

  /** Creates a workspace and answers its id. */
  async create(body: object = {}): Promise<string> {
    const answer = await this.call('POST', '/workspaces', { body: { name: 'atlas', runtime: 'echo', ...body } });
    if (answer.status !== 201) throw new Error(answer.text);
    return answer.body.id;
  }

  async status(id: string, after?: BeatPublisher): Promise<string> {
    return (await this.call('GET', `/workspaces/${id}`, after ? { after } : {})).body.status;
  }

  async register(id: string, differs: object = {}, call: Call = { as: NOBODY }): Promise<Answer> {
    return this.call('POST', '/registry/register', {
      ...call,
      body: { id, url: 'http://localhost:8001', agent_card: { name: 'card' }, ...differs },
    });
  }

  async events(id: string): Promise<[type: string, payload: unknown][]> {
    const { body } = await this.call('GET', `/events/${id}`);
    return body.map((event: { event_type: string; payload: unknown }) => [event.event_type, event.payload]).toReversed();
  }
}

export async function startRegistry({
  postgresUrl,
  natsUrl,
  log,
  env = {},
  clock,
  options = {},
}: {
  readonly postgresUrl: string;
  readonly natsUrl: string;
  readonly log: NonNullable<Log>;
  readonly env?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  readonly options?: RegistryOptions;
}): Promise<Registry> {
  const scope = new Scope();
  const config = Config.parse({
    DATABASE_URL: postgresUrl,
    NATS_URL: natsUrl,
    MOLECULE_INTERNAL_KEY: KEY,
    PORT: '0',
    OPS_PORT: '0',
    SECRETS_ENCRYPTION_KEY: SECRETS_KEY,
    ...env,
  });
  const basics = createBasics('registry', { level: 'silent', log, ...(clock && { clock }) });
  const service = await createRegistry(config, basics, scope, options);
  return new Registry(service, scope);
}

/** The other services, as far as the registry asks them. */
export class Others {
  readonly stopped: string[] = [];
  readonly disabled: string[] = [];
  backend: 'process' | 'none' = 'process';
  /** What the configuration of running workspaces says. */
  configuredRuntime: string | null = null;
  /** Calls to workspaces that are open; absent: the proxy does not say. */
  openCalls: number | undefined = 0;
  /** How often the proxy was asked for them. */
  asked = 0;
  /** Whether it has told of an open call. */
  openSeen = false;
  /** What was asked of the provisioner when it stopped something. */
  readonly stops: { readonly workspaceId: string; readonly removeVolume: boolean; readonly commandId: string }[] = [];
  /** Waited for before a stop is answered. */
  beforeStop: (workspaceId: string) => Promise<unknown> = async () => undefined;
  stop: (workspaceId: string) => 'stopped' | 'not-found' | 'failed' = () => 'stopped';
  lastOutboundAt: string | null = null;
  readonly #servers: RequestServer[];

  constructor(bus: Bus, log: NonNullable<Log>) {
    const provisioner = new RequestServer(bus, 'provisioner', log);
    provisioner.serve(ask.provisioner.backend, () => ({ backend: this.backend, installation: 'test' }));
    provisioner.serve(ask.provisioner.configuredRuntime, () => ({ runtime: this.configuredRuntime }));
    provisioner.serve(ask.provisioner.stop, async (order) => {
      const { workspaceId } = order;
      this.stops.push(order);
      this.stopped.push(workspaceId);
      await this.beforeStop(workspaceId);
      const outcome = this.stop(workspaceId);
      return { outcome, volumeRemoved: outcome === 'stopped' };
    });
    const scheduler = new RequestServer(bus, 'scheduler', log);
    scheduler.serve(ask.scheduler.disableFor, ({ workspaceIds }) => {
      this.disabled.push(...workspaceIds);
      return { disabled: 0 };
    });
    const proxy = new RequestServer(bus, 'a2a-proxy', log);
    proxy.serve(ask['a2a-proxy'].traffic, () => {
      this.asked++;
      if (this.openCalls === undefined) throw new Error('the proxy does not say, as it was told to');
      this.openSeen ||= this.openCalls > 0;
      return { openCalls: this.openCalls, lastOutboundAt: this.lastOutboundAt };
    });
    this.#servers = [provisioner, scheduler, proxy];
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.drain()));
  }
}

/** What a gateway knows of tokens and sessions. The one that opened it stops it. */
export const aDirectory = (bus: Bus, log: NonNullable<Log>, signal: AbortSignal): Promise<Directory> =>
  Directory.open(bus, { service: 'gateway', instance: randomUUID(), log, clock: systemClock, signal });

/** A gateway that accepts beats. */
export const aGateway = (bus: Bus, name = 'gateway-test') => new BeatPublisher(bus, { gateway: name, clock: systemClock });

export const beat = (gateway: BeatPublisher, workspaceId: string, differs: object = {}) =>
  gateway.publish(HeartbeatBody.parse({ workspace_id: workspaceId, ...differs }));

let versions = 0;
/** Another service's fact, published as its relay would. */
export async function publish(
  bus: Bus,
  fact: AnyFact & { readonly recordedAt?: string },
  id: string = randomUUID(),
): Promise<string> {
  const workspaceId = 'workspaceId' in fact.data ? fact.data.workspaceId : 'platform';
  const recorded = recordedFact(fact, {
    workspaceId,
    version: ++versions,
    stream: `${fact.type.split('.')[0]}.${workspaceId}`,
    id,
    ...(fact.recordedAt !== undefined && { recordedAt: fact.recordedAt }),
  });
  await bus.nats.request(subjects.fact(fact.type, workspaceId), JSON.stringify(recorded));
  return id;
}

/** What the registry's tables hold, for what no route shows. */
export async function rowsOf(postgresUrl: string, query: string, values: unknown[] = []): Promise<pg.QueryResultRow[]> {
  const client = new pg.Client({ connectionString: postgresUrl, options: '-c search_path=registry' });
  await client.connect();
  try {
    return (await client.query(query, values)).rows;
  } finally {
    await client.end();
  }
}

interface Fixtures {
  readonly others: Others;
  readonly registry: Registry;
}

/** `it` with a running registry and the others it asks. */
export const withRegistry = (it: typeof withServers) =>
  it
    .extend('others', async ({ bus, log }, { onCleanup }): Promise<Fixtures['others']> => {
      const others = new Others(bus, log);
      onCleanup(() => others.close());
      return others;
    })
    .extend(
      'registry',
      async ({ postgresUrl, natsUrl, log, bus: _, others: __ }, { onCleanup }): Promise<Fixtures['registry']> => {
        const registry = await startRegistry({ postgresUrl, natsUrl, log });
        onCleanup(() => registry.scope.close());
        return registry;
      },
    );
