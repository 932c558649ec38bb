/** The six services in one process: which there are, what they need of each other, and in which order they open and close. */
import { Config as A2aProxyConfig, createA2aProxy } from '@molecule/a2a-proxy';
import type { ServiceName } from '@molecule/contracts';
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
  const basics = (name: ServiceName): Basics => createBasics(name, { level, log });
  const [registry, provisioner, a2aProxy, gateway] = [later(), later(), later(), later()];

  const behind = await openTogether<Omit<RunningServices, 'gateway'>>(scope, {
    registry: (own) => registry.keep(createRegistry(configs.registry, basics('registry'), own)),
    provisioner: async (own) => {
      await registry.promise;
      const options = { gatewayPort: async () => (await gateway.promise).port };
      return provisioner.keep(createProvisioner(configs.provisioner, basics('provisioner'), own, options));
    },
    'a2a-proxy': async (own) => {
      await provisioner.promise;
      return a2aProxy.keep(createA2aProxy(configs['a2a-proxy'], basics('a2a-proxy'), own));
    },
    scheduler: async (own) => {
      const A2A_PROXY_URL = [`http://127.0.0.1:${(await a2aProxy.promise).port}`];
      return createScheduler({ ...configs.scheduler, A2A_PROXY_URL }, basics('scheduler'), own);
    },
    sweeper: async (own) => {
      await provisioner.promise;
      return createSweeper(configs.sweeper, basics('sweeper'), own);
    },
  }).catch((error: unknown) => gateway.never(error));
  const local = Object.fromEntries(Object.entries(behind).map(([name, { listener }]) => [name, listener]));
  const door = await gateway.keep(createGateway(configs.gateway, basics('gateway'), scope, { local }));
  return { gateway: door, ...behind };
}

/** A service that others wait for; those who wait learn when it cannot be opened. */
function later() {
  const { promise, resolve, reject } = Promise.withResolvers<RunningService>();
  promise.catch(() => undefined); // nobody may be waiting
  const keep = (opening: Promise<RunningService>): Promise<RunningService> => {
    opening.then(resolve, reject);
    return opening;
  };
  const never = (error: unknown): never => {
    reject(error);
    throw error;
  };
  return { promise, keep, never };
}
