import { readConfig } from '@molecule/service';
import { describe, expect, it } from 'vitest';
import { dockerNetwork } from './backends/choose.ts';
import { Config } from './config.ts';

const needed = { DATABASE_URL: 'postgres://u:p@127.0.0.1:5432/m', MOLECULE_INTERNAL_KEY: 'a key that only our services know' };
const read = (env: Record<string, string> = {}) => readConfig(Config, { ...needed, ...env });

describe('the configuration', () => {
  it('has defaults', () =>
    expect(read()).toMatchObject({
      PROVISIONER_BACKEND: 'auto',
      PORT: 8084,
      WORKSPACE_IMAGES: {},
      TIER2_MEMORY_MB: 512,
      AGENTS_ON_STOP: 'stop',
    }));
  it('takes images by runtime', () =>
    expect(read({ WORKSPACE_IMAGES: '{"echo":"registry/echo:1"}' }).WORKSPACE_IMAGES).toEqual({ echo: 'registry/echo:1' }));
  it.each(['0', '-1', 'many', '1.5', ''])('takes the cap %j for its default (spec 3 §8)', (value) =>
    expect(read({ TIER3_CPU_SHARES: value }).TIER3_CPU_SHARES).toBe(2048),
  );
  it('tells all mistakes at once, with name, value and what is allowed', () => {
    const mistakes = () => read({ PROVISIONER_BACKEND: 'podman', WORKSPACE_IMAGES: 'echo', PORT: 'x' });
    expect(mistakes).toThrow(/PROVISIONER_BACKEND: got "podman"; allowed: auto, docker, process, none/);
    expect(mistakes).toThrow(/WORKSPACE_IMAGES: got "echo"; allowed: a JSON object of runtime names and images/);
    expect(mistakes).toThrow(/PORT: got "x"/);
  });
});

describe('the network of containers', () => {
  it.each([
    ['a gateway on loopback, on Linux', {}, 'linux', 'host'],
    ['a gateway on loopback, elsewhere', {}, 'darwin', 'molecule-monorepo-net'],
    ['a gateway that listens to others', { GATEWAY_HOST: '0.0.0.0' }, 'linux', 'molecule-monorepo-net'],
    ['a gateway at a known URL', { PLATFORM_URL: 'http://platform:8080' }, 'linux', 'molecule-monorepo-net'],
    ['a network that is named', { MOLECULE_DOCKER_NETWORK: 'mine' }, 'linux', 'mine'],
  ] as const)('with %s', (_, env, platform, network) => expect(dockerNetwork(read(env), platform)).toBe(network));
});
