import { WorkspaceId } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import type { WorkloadSpec } from '../backend.ts';
import { type ContainerSettings, containerOptions, onHostNetwork } from './container-spec.ts';
import { imageFor } from './images.ts';

const workspaceId = WorkspaceId.parse('0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f');
const settings: ContainerSettings = {
  installation: 'here',
  network: 'molecule-monorepo-net',
  platformUrl: 'http://host.docker.internal:8080',
  agentEnv: {},
  cpus: 8,
  privileges: true,
  caps: {
    standard: { memoryMb: 512, cpuShares: 1024 },
    privileged: { memoryMb: 2048, cpuShares: 2048 },
    full: { memoryMb: 4096, cpuShares: 4096 },
  },
};
const workload = (change: Partial<WorkloadSpec> = {}): WorkloadSpec => ({
  workspaceId,
  runtime: 'langgraph',
  tier: 2,
  env: {},
  seed: [],
  files: [],
  resetSession: false,
  mount: null,
  ...change,
});
const made = (change: Partial<WorkloadSpec> = {}, hostPort?: number) =>
  containerOptions(workload(change), 'image', settings, hostPort);

describe('a container (spec 3 §1.2, §1.4)', () => {
  it('has the name, the labels, the port and the network of its workspace', () =>
    expect(made()).toMatchObject({
      name: 'ws-0b6c2f53-6d5',
      Labels: { 'molecule.platform.managed': 'true', 'molecule.platform.installation': 'here' },
      ExposedPorts: { '8000/tcp': {} },
      NetworkingConfig: { EndpointsConfig: { 'molecule-monorepo-net': { Aliases: ['ws-0b6c2f53-6d5'] } } },
      HostConfig: {
        RestartPolicy: { Name: 'unless-stopped' },
        PortBindings: { '8000/tcp': [{ HostIp: '127.0.0.1', HostPort: '' }] },
        Binds: ['ws-0b6c2f53-6d5-configs:/configs', `ws-${workspaceId}-workspace:/workspace`],
      },
    }));
  it('overrides neither command nor user', () => {
    for (const key of ['Cmd', 'Entrypoint', 'User', 'Hostname', 'Healthcheck']) expect(made()).not.toHaveProperty(key);
  });
  it('is told where it is, and what it is given wins (spec 3 §1.6)', () =>
    expect(made({ env: { PYTHONPATH: '/mine', SECRET: 'x' } }).Env).toEqual([
      `WORKSPACE_ID=${workspaceId}`,
      'WORKSPACE_CONFIG_PATH=/configs',
      'PLATFORM_URL=http://host.docker.internal:8080',
      'MOLECULE_URL=http://host.docker.internal:8080',
      'TIER=2',
      'PLUGINS_DIR=/plugins',
      'PYTHONPATH=/mine',
      'AGENT_SELF_URL=http://ws-0b6c2f53-6d5:8000',
      'SECRET=x',
    ]));
  it('of claude-code keeps its sessions', () =>
    expect(made({ runtime: 'claude-code' }).HostConfig?.Binds).toContain(
      'ws-0b6c2f53-6d5-claude-sessions:/root/.claude/sessions',
    ));
  it('may work in a directory of the host', () => {
    expect(made({ mount: { hostPath: '/src', readOnly: true } }).HostConfig?.Binds).toContain('/src:/workspace:ro');
    expect(made({ mount: { hostPath: '/src', readOnly: false } }).HostConfig?.Binds).toContain('/src:/workspace');
  });
});

describe('the tier of a container', () => {
  it('1 sees its configuration and nothing else', () => {
    const { HostConfig } = made({ tier: 1, runtime: 'claude-code', mount: { hostPath: '/src', readOnly: false } });
    expect(HostConfig).toMatchObject({
      Binds: ['ws-0b6c2f53-6d5-configs:/configs'],
      ReadonlyRootfs: true,
      Tmpfs: { '/tmp': 'rw,noexec,nosuid,size=64m' },
      SecurityOpt: ['no-new-privileges'],
      CapDrop: ['ALL'],
    });
    expect(HostConfig).not.toHaveProperty('Memory');
  });
  it.each([2, 0, -1, 5])('%i is standard', (tier) =>
    expect(made({ tier }).HostConfig).toMatchObject({ Memory: 512 * 1024 ** 2, NanoCpus: 1e9, CapDrop: ['ALL'], PidsLimit: 512 }),
  );
  it('3 is privileged', () =>
    expect(made({ tier: 3 }).HostConfig).toMatchObject({
      Privileged: true,
      PidMode: 'host',
      Memory: 2048 * 1024 ** 2,
      NanoCpus: 2e9,
    }));
  it('4 has the machine, and is attached to no network of ours', () => {
    expect(onHostNetwork(workload({ tier: 4 }), settings.network)).toBe(true);
    const options = made({ tier: 4 }, 4100);
    expect(options.HostConfig).toMatchObject({ Privileged: true, NetworkMode: 'host', Memory: 4096 * 1024 ** 2 });
    expect(options.HostConfig?.Binds).toContain('/var/run/docker.sock:/var/run/docker.sock');
    expect(options).not.toHaveProperty('NetworkingConfig');
    expect(options.HostConfig).not.toHaveProperty('PortBindings');
  });
});

describe('an engine that has little itself', () => {
  const onSuch = (tier: number, change: Partial<ContainerSettings>) =>
    containerOptions(workload({ tier }), 'image', { ...settings, ...change }, undefined).HostConfig;
  it('is asked for no more processors than it has', () => expect(onSuch(3, { cpus: 1 })).toMatchObject({ NanoCpus: 1e9 }));
  it('is not asked for privileges that it cannot give', () => {
    expect(onSuch(3, { privileges: false })).toMatchObject({ Memory: 2048 * 1024 ** 2 });
    expect(onSuch(3, { privileges: false })).not.toHaveProperty('Privileged');
  });
});

it("on the machine's own network it has a port of its own, on loopback", () => {
  expect(onHostNetwork(workload(), 'host')).toBe(true);
  expect(made({}, 4100).Env).toEqual(expect.arrayContaining(['A2A_HOST=127.0.0.1', 'A2A_PORT=4100']));
});

it.each([
  ['hermes', 'ghcr.io/molecule-ai/workspace-template-hermes:latest'],
  ['codex', 'ghcr.io/molecule-ai/workspace-template-langgraph:latest'],
  ['', 'ghcr.io/molecule-ai/workspace-template-langgraph:latest'],
  ['mine', 'registry/mine:1'],
])('the image of runtime %j is %s', (runtime, image) => expect(imageFor(runtime, { mine: 'registry/mine:1' })).toBe(image));
