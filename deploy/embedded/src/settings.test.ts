/** The environment is read once, for all six services, and every mistake in it is told at once. */
import { tmpdir } from 'node:os';
import { ConfigError } from '@molecule/service';
import { describe, expect, it } from 'vitest';
import { forServices, readSettings } from './settings.ts';

const found = { databaseUrl: 'postgres://u:p@127.0.0.1:1/m', natsUrl: 'nats://127.0.0.1:2', internalKey: 'k'.repeat(32) };
const services = (env: NodeJS.ProcessEnv) => {
  const settings = readSettings(env);
  return forServices({ env: settings.env, home: settings.MOLECULE_HOME }, found);
};
const mistakes = (env: NodeJS.ProcessEnv): readonly string[] => {
  try {
    readSettings(env);
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.mistakes;
  }
};

describe('the mode', () => {
  it('is development when nobody says anything', () => {
    expect(readSettings({}).mode).toBe('development');
    expect(services({}).gateway.MOLECULE_ENV).toBe('development');
  });
  it('is the default one when somebody says: nothing', () => {
    expect(readSettings({ MOLECULE_ENV: '' }).mode).toBe('default');
    expect(services({ MOLECULE_ENV: '' }).gateway.MOLECULE_ENV).toBe('');
  });
});

describe('what the services are told', () => {
  it('is where the servers are, and that each listens on a free loopback port', () => {
    const { gateway, registry, scheduler, provisioner } = services({ PORT: '9000', HOST: '127.0.0.2' });
    expect(gateway).toMatchObject({ PORT: 9000, HOST: '127.0.0.2', OPS_PORT: 0, NATS_URL: found.natsUrl });
    expect(registry).toMatchObject({ PORT: 0, HOST: '127.0.0.1', OPS_PORT: 0, DATABASE_URL: found.databaseUrl });
    expect(scheduler).toMatchObject({ MOLECULE_INTERNAL_KEY: found.internalKey });
    expect(provisioner).toMatchObject({ GATEWAY_HOST: '127.0.0.2' });
  });
  it('are the settings of the issue', () => {
    const { sweeper, scheduler, provisioner } = services({
      LIVENESS_LEASE_SECONDS: '2',
      SWEEP_INTERVAL_SECONDS: '3',
      SCHEDULER_TICK_SECONDS: '4',
      PROVISIONER_BACKEND: 'process',
      CONFIGS_DIR: tmpdir(),
    });
    expect(sweeper).toMatchObject({ LIVENESS_LEASE_SECONDS: 2, SWEEP_INTERVAL_SECONDS: 3 });
    expect(scheduler).toMatchObject({ SCHEDULER_TICK_SECONDS: 4, LIVENESS_LEASE_SECONDS: 2 });
    expect(provisioner).toMatchObject({ PROVISIONER_BACKEND: 'process', CONFIGS_DIR: tmpdir() });
  });
  it('are the same templates, runtimes and key for whoever reads them', () => {
    const given = {
      CONFIGS_DIR: tmpdir(),
      ORG_TEMPLATES_DIR: tmpdir(),
      WORKSPACE_MANIFEST_PATH: '/m.json',
      SECRETS_ENCRYPTION_KEY: Buffer.alloc(32).toString('base64'),
    };
    const { SECRETS_ENCRYPTION_KEY: _, ...places } = given;
    const { registry, provisioner } = services(given);
    expect(registry).toMatchObject(given);
    expect(provisioner).toMatchObject(places);
  });
});

describe('mistakes', () => {
  it('are told all at once, each once, over all services', () => {
    expect(
      mistakes({
        PORT: 'http',
        LIVENESS_LEASE_SECONDS: '-1',
        PROVISIONER_BACKEND: 'podman',
        CONFIGS_DIR: '/not/there',
        LOG_LEVEL: 'loud',
      }),
    ).toEqual([
      'PORT: got "http"; allowed: a port, 0 to 65535; 0 takes any free one',
      'LOG_LEVEL: got "loud"; allowed: fatal, error, warn, info, debug, trace, silent',
      'CONFIGS_DIR: got "/not/there"; allowed: a directory that exists',
      expect.stringContaining('LIVENESS_LEASE_SECONDS: got "-1"'),
      'PROVISIONER_BACKEND: got "podman"; allowed: auto, docker, process, none',
    ]);
  });
  it('show no password', () => {
    const [mistake, ...others] = mistakes({ DATABASE_URL: 'mysql://root:hunter2@db/x' });
    expect(others).toEqual([]);
    expect(mistake).toMatch(/^DATABASE_URL: /);
    expect(mistake).not.toContain('hunter2');
  });
  it('are doors left open, too', () => {
    expect(mistakes({ HOST: '0.0.0.0' })).toEqual([expect.stringMatching(/^HOST: .*loopback/)]);
    expect(mistakes({ MOLECULE_ENV: 'production' }).map((mistake) => mistake.split(':')[0])).toEqual([
      'ADMIN_TOKEN',
      'SECRETS_ENCRYPTION_KEY',
    ]);
  });
});
