/** What the engine is asked to make of a workspace (spec 3 §1.2–1.7). Pure. */
import { id12 } from '@molecule/contracts';
import type Docker from 'dockerode';
import { LABELS, NAME_PREFIX, type WorkloadSpec } from '../backend.ts';

export const AGENT_PORT = 8000;
const PORT_KEY = `${AGENT_PORT}/tcp`;
const MIB = 1024 * 1024;

export interface Caps {
  readonly memoryMb: number;
  /** 1024 is one CPU. */
  readonly cpuShares: number;
}

export interface ContainerSettings {
  readonly installation: string;
  readonly network: string;
  readonly platformUrl: string;
  readonly agentEnv: Readonly<Record<string, string>>;
  /** How many the engine has: it refuses a limit above that, which would be none. */
  readonly cpus: number;
  /** `false` where the engine cannot give privileges, being without them itself (rootless, nested). */
  readonly privileges: boolean;
  readonly caps: { readonly standard: Caps; readonly privileged: Caps; readonly full: Caps };
}

export const containerName = (prefix: string): string => `${NAME_PREFIX}${prefix}`;
export const configVolume = (prefix: string): string => `${NAME_PREFIX}${prefix}-configs`;
export const sessionVolume = (prefix: string): string => `${NAME_PREFIX}${prefix}-claude-sessions`;
export const internalUrl = (prefix: string): string => `http://${containerName(prefix)}:${AGENT_PORT}`;

export const labelsOf = (installation: string): Record<string, string> => ({
  [LABELS.managed]: 'true',
  [LABELS.installation]: installation,
});

/** Tiers 3 and 4 have the machine's privileges. */
export const wantsPrivileges = ({ tier }: WorkloadSpec): boolean => tier === 3 || tier === 4;

/** Whether the agent shares the network of the machine: tier 4, and everyone on the network `host`. */
export const onHostNetwork = (spec: WorkloadSpec, network: string): boolean => spec.tier === 4 || network === 'host';

/** `hostPort`: where it is to listen when it is on the machine's own network. */
export function containerOptions(
  spec: WorkloadSpec,
  image: string,
  settings: ContainerSettings,
  hostPort: number | undefined,
): Docker.ContainerCreateOptions {
  const prefix = id12(spec.workspaceId);
  const name = containerName(prefix);
  return {
    name,
    Image: image,
    Env: environment(spec, settings, hostPort),
    Labels: labelsOf(settings.installation),
    ...(hostPort === undefined ? { ExposedPorts: { [PORT_KEY]: {} } } : {}),
    HostConfig: {
      RestartPolicy: { Name: 'unless-stopped' },
      Binds: binds(spec),
      ...(hostPort === undefined ? onBridge(settings.network) : { NetworkMode: 'host' }),
      ...tierLimits(spec.tier, settings),
    },
    ...(hostPort === undefined ? { NetworkingConfig: { EndpointsConfig: { [settings.network]: { Aliases: [name] } } } } : {}),
  };
}

const onBridge = (network: string): Docker.HostConfig => ({
  NetworkMode: network,
  PortBindings: { [PORT_KEY]: [{ HostIp: '127.0.0.1', HostPort: '' }] },
  // Docker Desktop knows this name by itself, an engine on Linux does not.
  ExtraHosts: ['host.docker.internal:host-gateway'],
});

/** In the order of spec 3 §1.6: what comes later wins. */
function environment(spec: WorkloadSpec, { platformUrl, agentEnv }: ContainerSettings, hostPort: number | undefined): string[] {
  const address: Record<string, string> =
    hostPort === undefined
      ? { AGENT_SELF_URL: internalUrl(id12(spec.workspaceId)) }
      : { A2A_HOST: '127.0.0.1', A2A_PORT: `${hostPort}` };
  const variables: Record<string, string> = {
    WORKSPACE_ID: spec.workspaceId,
    WORKSPACE_CONFIG_PATH: '/configs',
    PLATFORM_URL: platformUrl,
    MOLECULE_URL: platformUrl,
    TIER: `${spec.tier}`,
    PLUGINS_DIR: '/plugins',
    PYTHONPATH: '/app',
    ...address,
    ...agentEnv,
    ...spec.env,
  };
  return Object.entries(variables).map(([name, value]) => `${name}=${value}`);
}

function binds(spec: WorkloadSpec): string[] {
  const prefix = id12(spec.workspaceId);
  const configs = `${configVolume(prefix)}:/configs`;
  if (spec.tier === 1) return [configs];
  const workspace =
    spec.mount === null
      ? `${NAME_PREFIX}${spec.workspaceId}-workspace:/workspace`
      : `${spec.mount.hostPath}:/workspace${spec.mount.readOnly ? ':ro' : ''}`;
  const session = spec.runtime === 'claude-code' ? [`${sessionVolume(prefix)}:/root/.claude/sessions`] : [];
  const engine = spec.tier === 4 ? ['/var/run/docker.sock:/var/run/docker.sock'] : [];
  return [configs, workspace, ...session, ...engine];
}

function tierLimits(tier: number, settings: ContainerSettings): Docker.HostConfig {
  const { caps, privileges } = settings;
  const limits = ({ memoryMb, cpuShares }: Caps): Docker.HostConfig => ({
    Memory: memoryMb * MIB,
    NanoCpus: Math.min(Math.trunc((cpuShares * 1e9) / 1024), settings.cpus * 1e9),
  });
  const privileged: Docker.HostConfig = privileges ? { Privileged: true, PidMode: 'host' } : {};
  switch (tier) {
    case 1:
      return { ReadonlyRootfs: true, Tmpfs: { '/tmp': 'rw,noexec,nosuid,size=64m' }, ...confined };
    case 3:
      return { ...privileged, ...limits(caps.privileged) };
    case 4:
      return { ...privileged, ...limits(caps.full) };
    default:
      return { ...limits(caps.standard), ...confined };
  }
}

/** Our addition for tiers 1 and 2: what an entry point needs to fix ownership and step down to its user, and no more. */
const confined: Docker.HostConfig = {
  SecurityOpt: ['no-new-privileges'],
  CapDrop: ['ALL'],
  CapAdd: ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'KILL', 'SETGID', 'SETUID'],
  PidsLimit: 512,
};
