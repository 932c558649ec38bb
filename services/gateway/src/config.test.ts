/** What the gateway refuses to start with, and that it says all of it at once. */
import { ConfigError, readConfig } from '@molecule/service';
import { describe, expect, it } from 'vitest';
import { Config } from './config.ts';

const KEY = Buffer.alloc(32, 'k').toString('base64');
const key = { MOLECULE_INTERNAL_KEY: 'k'.repeat(32) };

const mistakes = (env: Record<string, string>): readonly string[] => {
  try {
    readConfig(Config, { ...key, ...env });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes.map((mistake) => mistake.split(':')[0] as string);
    throw error;
  }
};

describe('the configuration', () => {
  it('has defaults for everything but the internal key', () => {
    const config = readConfig(Config, key);
    expect(config).toMatchObject({ HOST: '127.0.0.1', PORT: 8080, OPS_PORT: 9080, REGISTRY_URL: ['http://127.0.0.1:8081'] });
    expect(config.ADMIN_TOKEN).toBeUndefined();
  });

  it('takes several base URLs for a service', () =>
    expect(readConfig(Config, { ...key, REGISTRY_URL: 'http://a:1, https://b' }).REGISTRY_URL).toEqual([
      'http://a:1',
      'https://b',
    ]));

  it('reports every mistake', () =>
    expect(
      mistakes({
        PORT: 'eighty',
        REGISTRY_URL: 'registry:8081',
        LOG_LEVEL: 'loud',
        HOST: '0.0.0.0',
        MOLECULE_INTERNAL_KEY: 'short',
      }).toSorted(),
    ).toEqual(['ADMIN_TOKEN', 'LOG_LEVEL', 'MOLECULE_INTERNAL_KEY', 'PORT', 'REGISTRY_URL']));
});

describe('limits and upstreams', () => {
  it.each([
    [undefined, 600],
    ['5', 5],
    [' +5 ', 5],
    ['0', 600],
    ['-1', 600],
    ['1.5', 600],
    ['many', 600],
  ])('RATE_LIMIT=%j is %d', (given, limit) =>
    expect(readConfig(Config, { ...key, ...(given === undefined ? {} : { RATE_LIMIT: given }) }).RATE_LIMIT).toBe(limit),
  );

  it.each([
    [{ CP_UPSTREAM_URL: 'control-plane' }, ['CP_UPSTREAM_URL']],
    [{ CP_UPSTREAM_URL: 'ftp://control-plane' }, ['CP_UPSTREAM_URL']],
    [{ CANVAS_PROXY_URL: 'localhost:3000' }, ['CANVAS_PROXY_URL']],
    [{ AUTH_FAILURES_PER_MINUTE: '0' }, ['AUTH_FAILURES_PER_MINUTE']],
    [{ CP_UPSTREAM_URL: 'https://control-plane.example/base', CANVAS_PROXY_URL: 'http://127.0.0.1:3000' }, []],
  ])('%j: %j', (env, wrong) => expect(mistakes(env as unknown as Record<string, string>)).toEqual(wrong));
});

describe('where it may listen', () => {
  it.each([
    [{ HOST: '0.0.0.0' }, ['ADMIN_TOKEN']],
    [{ HOST: '::' }, ['ADMIN_TOKEN']],
    [{ HOST: '0.0.0.0', MOLECULE_ALLOW_OPEN: 'maybe' }, ['ADMIN_TOKEN']],
    [{ HOST: '0.0.0.0', MOLECULE_ALLOW_OPEN: '1' }, []],
    [{ HOST: '0.0.0.0', ADMIN_TOKEN: 'secret' }, []],
    [{ HOST: '127.0.0.2' }, []],
    [{ HOST: 'localhost', MOLECULE_ENV: 'dev' }, []],
    [{ HOST: '0.0.0.0', MOLECULE_ENV: ' Development ' }, ['HOST']],
    [{ HOST: '0.0.0.0', MOLECULE_ENV: 'development', MOLECULE_ALLOW_OPEN: '1' }, ['HOST']],
    [{ MOLECULE_ENV: 'production' }, ['ADMIN_TOKEN', 'SECRETS_ENCRYPTION_KEY']],
    [{ MOLECULE_ENV: 'production', ADMIN_TOKEN: 'a', SECRETS_ENCRYPTION_KEY: 'short' }, ['SECRETS_ENCRYPTION_KEY']],
    [{ MOLECULE_ENV: 'production', HOST: '0.0.0.0', ADMIN_TOKEN: 'a', SECRETS_ENCRYPTION_KEY: KEY }, []],
  ])('%j: %j', (env, missing) => expect(mistakes(env as unknown as Record<string, string>)).toEqual(missing));

  it('shows no secret', () => {
    try {
      readConfig(Config, { ...key, MOLECULE_ENV: 'production', ADMIN_TOKEN: 'hush-hush' });
    } catch (error) {
      expect(String(error)).toContain('SECRETS_ENCRYPTION_KEY: got nothing');
      expect(String(error)).not.toContain('hush-hush');
    }
  });
});
