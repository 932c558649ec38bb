/** The six services in one process: which there are, what they need of each other, and in which order they open and close. */
import { Config as A2aProxyConfig, createA2aProxy } from '@molecule/a2a-proxy';
import { SERVICES, type ServiceName } from '@molecule/contracts';
import { createGateway, Config as GatewayConfig } from '@molecule/gateway';
import type { RunningService } from '@molecule/http';
import { createProvisioner, Config as ProvisionerConfig } from '@molecule/provisioner';
import { createRegistry, Config as RegistryConfig } from '@molecule/registry';
import { createScheduler, Config as SchedulerConfig } from '@molecule/scheduler';
import { type Basics, createBasics, type Log, type LogLevel, type Scope } from '@molecule/service';
import { createSweeper, Config as SweeperConfig } from '@molecule/sweeper';
import type { z } from 'zod';
import { openTogether } from './together.ts';

export const CONFIGS = {
  gateway: GatewayConfig,
  registry: RegistryConfig,
  'a2a-proxy': A2aProxyConfig,
  scheduler: SchedulerConfig,
  provisioner: ProvisionerConfig,
  sweeper: SweeperConfig,
} as const satisfies Record<ServiceName, z.ZodType>;

export type Composed = { readonly [Name in ServiceName]: z.infer<(typeof CONFIGS)[Name]> };
export type RunningServices = Readonly<Record<ServiceName, RunningService>>;

/**
 * Opens all six, each after those that it asks as it starts (apart they wait for each other; here nobody has to). The gateway
 * comes last, and is closed first: nobody is let in before, or after, there is somebody to answer.
 */
export async function openServices(
  configs: Composed,
  { log, level }: { readonly log: Log; readonly level: LogLevel },
  scope: Scope,
): Promise<RunningServices> {
  const given = Object.fromEntries(SERVICES.map((name) => [name, createBasics(name, { level, log })])) as Record<
    ServiceName,
    Basics
  >;
  const basics = (name: ServiceName): Basics => given[name];
  const [registry, provisioner, a2aProxy, gateway] = [later(), later(), later(), later()];

  const behind = await openTogether<Omit<RunningServices, 'gateway'>>(scope, {
    registry: registry.as((own) => {
      const a2aProxyUrls = async () => [`http://127.0.0.1:${(await a2aProxy.promise).port}`];
      return createRegistry(configs.registry, basics('registry'), own, { a2aProxyUrls });
    }),
    provisioner: provisioner.as(async (own) => {
      await registry.promise;
      const options = { gatewayPort: async () => (await gateway.promise).port };
      return createProvisioner(configs.provisioner, basics('provisioner'), own, options);
    }),
    'a2a-proxy': a2aProxy.as(async (own) => {
      await provisioner.promise;
      return createA2aProxy(configs['a2a-proxy'], basics('a2a-proxy'), own);
    }),
    scheduler: async (own) => {
      const A2A_PROXY_URL = [`http://127.0.0.1:${(await a2aProxy.promise).port}`];
      return createScheduler({ ...configs.scheduler, A2A_PROXY_URL }, basics('scheduler'), own);
    },
    sweeper: async (own) => {
      await provisioner.promise;
      return createSweeper(configs.sweeper, basics('sweeper'), own);
    },
  }).catch((error: unknown) => {
    gateway.reject(error);
    throw error;
  });

  const local = Object.fromEntries(Object.entries(behind).map(([name, { listener }]) => [name, listener]));
  const beside = SERVICES.filter((name) => name !== 'gateway').map((name) => basics(name).metrics);
  const open = gateway.as((own) => createGateway(configs.gateway, basics('gateway'), own, { local, beside }));
  return { gateway: await open(scope), ...behind };
}

/** A service that others wait for. Whatever keeps it from opening, those who wait learn it. */
function later() {
  const { promise, resolve, reject } = Promise.withResolvers<RunningService>();
  promise.catch(() => undefined); // nobody may be waiting
  const as = (create: (own: Scope) => Promise<RunningService>) => (own: Scope) => {
    const opening = create(own);
    opening.then(resolve, reject);
    return opening;
  };
  return { promise, reject, as };
}
