/** Which backend it is to be. `PROVISIONER_BACKEND` chooses one by its name here. To add one: its file, then a line. */
import { join, resolve } from 'node:path';
import type { Log } from '@molecule/service';
import type { Config } from '../config.ts';
import { EchoImage } from '../images/echo-image.ts';
import type { Spool } from '../spool.ts';
import type { Backend } from './backend.ts';
import { DockerBackend } from './docker/docker-backend.ts';
import { answers, createEngine } from './docker/engine.ts';
import { NoBackend } from './no-backend.ts';
import { ProcessBackend } from './process/process-backend.ts';

export interface BackendParts {
  readonly config: Config;
  readonly installation: string;
  /** The gateway's port, once it is known. */
  readonly gatewayPort: () => number | Promise<number>;
  readonly spool: Spool;
  readonly log: Log;
}

const PING_LIMIT_MS = 1_000;
/** Whatever came in as a chat file is below it. */
const SPOOLED_BYTES = 32 * 1024 * 1024;
const BRIDGE = 'molecule-monorepo-net';

const BACKENDS = {
  docker: openDocker,
  process: openProcess,
  none: async () => new NoBackend(),
} as const satisfies Record<Exclude<Config['PROVISIONER_BACKEND'], 'auto'>, (parts: BackendParts) => Promise<Backend>>;

export async function openBackend(parts: BackendParts): Promise<Backend> {
  const { PROVISIONER_BACKEND: wanted } = parts.config;
  const name = wanted === 'auto' ? await whatIsThere(parts.config) : wanted;
  const backend = await BACKENDS[name](parts);
  parts.log.info({ backend: name, wanted }, 'backend chosen');
  return backend;
}

const whatIsThere = async (config: Config): Promise<'docker' | 'process'> =>
  (await answers(createEngine(config), PING_LIMIT_MS)) ? 'docker' : 'process';

const agentEnv = ({ HEARTBEAT_INTERVAL_SECONDS: interval }: Config): Record<string, string> =>
  interval === undefined ? {} : { HEARTBEAT_INTERVAL_SECONDS: interval };

const explicitUrl = (config: Config): string => (config.AGENT_PLATFORM_URL || config.PLATFORM_URL).replace(/\/+$/, '');

async function openProcess({ config, installation, gatewayPort, log }: BackendParts): Promise<Backend> {
  return await ProcessBackend.open({
    root: join(resolve(config.MOLECULE_HOME), 'workspaces'),
    installation,
    platformUrl: async () => explicitUrl(config) || `http://127.0.0.1:${await gatewayPort()}`,
    agentEnv: agentEnv(config),
    ownEnv: config as Readonly<Record<string, unknown>> as Readonly<Record<string, string | undefined>>,
    stopOnShutdown: config.AGENTS_ON_STOP === 'stop',
    log,
  });
}

/**
 * On Linux a container reaches no loopback address of the machine over a bridge. A gateway that listens on loopback alone, as in
 * development, is reachable only from the machine's own network; everywhere else agents get a network of their own.
 */
export const dockerNetwork = (config: Config, platform: NodeJS.Platform): string => {
  if (config.MOLECULE_DOCKER_NETWORK !== '') return config.MOLECULE_DOCKER_NETWORK;
  const onLoopback =
    config.GATEWAY_HOST === 'localhost' || config.GATEWAY_HOST === '::1' || config.GATEWAY_HOST.startsWith('127.');
  return platform === 'linux' && onLoopback && explicitUrl(config) === '' ? 'host' : BRIDGE;
};

async function openDocker({ config, installation, gatewayPort, spool, log }: BackendParts): Promise<Backend> {
  const docker = createEngine(config);
  const echo = new EchoImage(docker, log);
  const network = dockerNetwork(config, process.platform);
  const host = network === 'host' ? '127.0.0.1' : 'host.docker.internal';
  return new DockerBackend({
    docker,
    installation,
    network,
    platformUrl: async () => explicitUrl(config) || `http://${host}:${await gatewayPort()}`,
    agentEnv: agentEnv(config),
    caps: {
      standard: { memoryMb: config.TIER2_MEMORY_MB, cpuShares: config.TIER2_CPU_SHARES },
      privileged: { memoryMb: config.TIER3_MEMORY_MB, cpuShares: config.TIER3_CPU_SHARES },
      full: { memoryMb: config.TIER4_MEMORY_MB, cpuShares: config.TIER4_CPU_SHARES },
    },
    images: config.WORKSPACE_IMAGES,
    localImage: async (runtime, signal) => (runtime === 'echo' ? await echo.ensure(signal) : undefined),
    platform: imagePlatform(config),
    spool,
    spooledBytes: SPOOLED_BYTES,
    log,
  });
}

/** Spec 3 §1.3. */
const imagePlatform = ({ MOLECULE_IMAGE_PLATFORM: given }: Config): string | undefined =>
  given ?? (process.platform === 'darwin' && process.arch === 'arm64' ? 'linux/amd64' : undefined);
