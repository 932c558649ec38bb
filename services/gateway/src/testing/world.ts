/** A gateway with a real bus, and somebody on it who answers what the registry would: what the tests of the edge stand on. */
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import type { RunningService } from '@molecule/http';
import { type Clock, createBasics, type Log, readConfig, Scope, systemClock } from '@molecule/service';
import { it as base } from '@molecule/testkit';
import { Config } from '../config.ts';
import { createGateway, type GatewayOptions, type LocalListeners } from '../service.ts';
import { TokenRegistry } from './registry.ts';

export const INTERNAL_KEY = 'a key that only our services know';

/** What production does not start without. */
export const PRODUCTION = {
  MOLECULE_ENV: 'production',
  ADMIN_TOKEN: 'root',
  SECRETS_ENCRYPTION_KEY: Buffer.alloc(32, 'k').toString('base64'),
} as const;

export type Env = Readonly<Record<string, string>>;

export interface Gateway {
  readonly url: string;
  readonly port: number;
  readonly service: RunningService;
  close(): Promise<void>;
}

export class World {
  readonly registry: TokenRegistry;
  readonly #natsUrl: string;
  readonly #log: Log;
  readonly #open = new Scope();

  constructor(registry: TokenRegistry, natsUrl: string, log: Log) {
    this.registry = registry;
    this.#natsUrl = natsUrl;
    this.#log = log;
  }

  /** Starts a gateway; what is not set has its default. */
  async gateway(
    env: Env = {},
    local: LocalListeners = {},
    { clock = systemClock, beside = [] }: { clock?: Clock } & Pick<GatewayOptions, 'beside'> = {},
  ): Promise<Gateway> {
    const config = readConfig(Config, {
      MOLECULE_INTERNAL_KEY: INTERNAL_KEY,
      NATS_URL: this.#natsUrl,
      PORT: '0',
      OPS_PORT: '0',
      // A test that waits asks more often than anybody may.
      RATE_LIMIT: '1000000',
      // Nobody listens there.
      ...Object.fromEntries(
        ['REGISTRY', 'A2A_PROXY', 'SCHEDULER', 'PROVISIONER', 'SWEEPER'].map((name) => [`${name}_URL`, NOBODY]),
      ),
      ...env,
    });
    const scope = new Scope();
    await this.#open.open(
      () => scope,
      (opened) => opened.close(),
    );
    const service = await createGateway(config, createBasics('gateway', { level: 'info', log: this.#log, clock }), scope, {
      local,
      beside,
    });
    return { url: `http://127.0.0.1:${service.port}`, port: service.port, service, close: () => scope.close() };
  }

  async close(): Promise<void> {
    await this.#open.close();
    await this.registry.stop();
  }
}

const NOBODY = 'http://127.0.0.1:1';

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface Call {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** One request, with the path as it is written. */
export async function call({ port }: { readonly port: number }, path: string, { method = 'GET', headers = {}, body }: Call = {}) {
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, path, method, headers: { ...headers } }, resolve);
    request.on('error', reject).end(body);
  });
  return { status: response.statusCode ?? 0, headers: response.headers, text: await text(response) } satisfies Answer;
}

export const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

/** `it` with a world: a bus, a registry that answers, and a way to start gateways. */
export const it = base.extend('world', async ({ natsUrl, bus, log }, { onCleanup }) => {
  const world = new World(new TokenRegistry(bus, log), natsUrl, log);
  onCleanup(() => world.close());
  return world;
});
