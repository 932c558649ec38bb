/** Schedulers on a real bus and a real database, and in the place of the a2a-proxy one that does with messages what it is told. */
import type { Identity, RequestContext } from '@molecule/contracts';
import { applyFact } from '@molecule/directory';
import { CONTEXT_HEADER, type RunningService, signContext, verifyContext } from '@molecule/http';
import { createBasics, type Log, readConfig, Scope } from '@molecule/service';
import {
  type Agent,
  it as base,
  type Received,
  type SignedAnswer,
  type SignedRequest,
  Surroundings,
  signedRequest,
  startAgent,
  waitFor,
} from '@molecule/testkit';
import { Config } from '../config.ts';
import type { TickOptions } from '../schedule/tick.ts';
import { createScheduler } from '../service.ts';

const INTERNAL_KEY = 'a key that only our services know';
const sign = (context: RequestContext) => ({ [CONTEXT_HEADER]: signContext(context, INTERNAL_KEY) });

export const EVERY_MINUTE = '* * * * *';
export const MINUTE_MS = 60_000;

export interface Running {
  readonly service: RunningService;
  readonly worker: string;
  close(): Promise<void>;
}

/** An element of `GET /workspaces/:id/schedules`. */
export interface Listed {
  readonly id: string;
  readonly enabled: boolean;
  readonly prompt: string;
  readonly last_run_at: string | null;
  readonly next_run_at: string;
  readonly run_count: number;
  readonly last_status: string;
  readonly last_error: string;
}

export class World {
  readonly around: Surroundings;
  readonly proxy: Agent;
  readonly #env: Readonly<Record<string, string>>;
  readonly #log: Log;

  constructor(around: Surroundings, proxy: Agent, env: Readonly<Record<string, string>>, log: Log) {
    this.around = around;
    this.proxy = proxy;
    this.#env = env;
    this.#log = log;
  }

  /** Starts a replica. It looks for what is due all the time, by the world's clock. */
  async scheduler(options: TickOptions = {}, env: Readonly<Record<string, string>> = {}): Promise<Running> {
    const scope = new Scope();
    await this.around.scope.open(
      () => scope,
      (open) => open.close(),
    );
    const basics = createBasics('scheduler', { level: 'info', log: this.#log, clock: this.around.clock });
    const service = await createScheduler(readConfig(Config, { ...this.#env, ...env }), basics, scope, options);
    return { service, worker: basics.instance, close: () => scope.close() };
  }

  send(
    { service }: Running,
    method: string,
    path: string,
    { as = { kind: 'admin' }, ...more }: Partial<SignedRequest> & { readonly as?: Identity } = {},
  ): Promise<SignedAnswer> {
    return signedRequest({ ...more, url: `http://127.0.0.1:${service.port}${path}`, method, as, sign });
  }

  create(running: Running, workspaceId: string, body: unknown): Promise<SignedAnswer> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return this.send(running, 'POST', `/workspaces/${workspaceId}/schedules`, { body: text });
  }

  /** Creates one, and answers its id. */
  async schedule(running: Running, workspaceId: string, change: object = {}): Promise<string> {
    const answer = await this.create(running, workspaceId, { cron_expr: EVERY_MINUTE, prompt: 'stand up', ...change });
    if (answer.status !== 201) throw new Error(answer.text);
    return answer.json.id;
  }

  async list(running: Running, workspaceId: string, more: Partial<SignedRequest> = {}): Promise<Listed[]> {
    return (await this.send(running, 'GET', `/workspaces/${workspaceId}/schedules`, more)).json;
  }

  /** The first of a workspace, once it ran so often. */
  ran(running: Running, workspaceId: string, count: number): Promise<Listed> {
    const often = async () => (await this.list(running, workspaceId)).find(({ run_count }) => run_count >= count);
    return waitFor(often, { what: `a schedule to have run ${count} times`, timeoutMs: 10_000 });
  }

  /** Every schedule that runs each minute is due. */
  aMinuteLater(): void {
    this.around.clock.advance(MINUTE_MS);
  }

  /** How often each type of fact is in the log. */
  async log(): Promise<Record<string, number>> {
    const rows = await this.around.rows<{ type: string; count: number }>(
      'select type, count(*)::integer as count from events group by type order by type',
    );
    return Object.fromEntries(rows.map(({ type, count }) => [type, count]));
  }

  /** Who asked the proxy, as the signature of the request proves. */
  askedBy(received: Received | undefined): Identity | undefined {
    return verifyContext(received?.headers[CONTEXT_HEADER] as string, INTERNAL_KEY)?.principal.identity;
  }
}

/** `it` with a world: a bus, a database, a registry that answers, a proxy, and a way to start schedulers. */
export const it = base.extend('world', async ({ natsUrl, postgresUrl, bus, log }, { onCleanup }) => {
  const around = await Surroundings.open({ bus, log, postgresUrl, schema: 'scheduler', applyFact });
  onCleanup(() => around.close());
  const proxy = await around.scope.open(
    () => startAgent(),
    (open) => open.stop(),
  );
  const env = {
    NATS_URL: natsUrl,
    DATABASE_URL: postgresUrl,
    MOLECULE_INTERNAL_KEY: INTERNAL_KEY,
    A2A_PROXY_URL: proxy.url,
    SCHEDULER_TICK_SECONDS: '0.02',
    PORT: '0',
    OPS_PORT: '0',
  };
  return new World(around, proxy, env, log);
});
