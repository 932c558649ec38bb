import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { ConfigError, configPieces, modeOf, readConfig } from './config.ts';

const Config = z.object({
  PORT: configPieces.port(8080),
  OPS_PORT: configPieces.port(9080),
  NATS_URL: configPieces.natsUrl,
  DATABASE_URL: configPieces.databaseUrl,
  LOG_LEVEL: configPieces.logLevel,
  MOLECULE_ENV: configPieces.moleculeEnv,
  MOLECULE_INTERNAL_KEY: configPieces.internalKey,
  LEASE_S: configPieces.seconds(180),
  WORKERS: configPieces.count(4),
  OPEN: configPieces.flag,
  HOST: configPieces.host,
});
const good = { DATABASE_URL: 'postgres://u:p@db/molecule', MOLECULE_INTERNAL_KEY: 'k'.repeat(32) };

const mistakesOf = (env: NodeJS.ProcessEnv): readonly string[] => {
  try {
    readConfig(Config, env);
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
  return [];
};

describe('reading the configuration', () => {
  it('fills in the defaults, and takes an empty value for none', () => {
    expect(readConfig(Config, { ...good, PORT: '', LOG_LEVEL: '', MOLECULE_ENV: '', UNRELATED: 'x' })).toEqual({
      PORT: 8080,
      OPS_PORT: 9080,
      NATS_URL: 'nats://127.0.0.1:4222',
      ...good,
      LOG_LEVEL: 'info',
      MOLECULE_ENV: '',
      LEASE_S: 180,
      WORKERS: 4,
      OPEN: false,
      HOST: '127.0.0.1',
    });
  });

  it('takes what is given', () => {
    const given = { PORT: '0', NATS_URL: 'nats://a:1,tls://b:2', LEASE_S: '0.5', WORKERS: '1', OPEN: 'T' };
    expect(readConfig(Config, { ...good, ...given })).toMatchObject({ ...given, PORT: 0, LEASE_S: 0.5, WORKERS: 1, OPEN: true });
  });

  it('reports every mistake at once, with the value and what is allowed', () => {
    const env = { PORT: '80a', OPS_PORT: '65536', NATS_URL: 'http://x', LOG_LEVEL: 'loud', LEASE_S: '-1', WORKERS: '1.5' };
    expect(mistakesOf(env)).toEqual([
      'PORT: got "80a"; allowed: a port, 0 to 65535; 0 takes any free one',
      'OPS_PORT: got "65536"; allowed: a port, 0 to 65535; 0 takes any free one',
      'NATS_URL: got "http://x"; allowed: a URL such as nats://127.0.0.1:4222',
      'DATABASE_URL: got nothing; allowed: a URL such as postgres://user:password@127.0.0.1:5432/molecule',
      'LOG_LEVEL: got "loud"; allowed: fatal, error, warn, info, debug, trace, silent',
      'MOLECULE_INTERNAL_KEY: got nothing; allowed: at least 32 characters, the same for every service',
      'LEASE_S: got "-1"; allowed: a number of seconds above 0',
      'WORKERS: got "1.5"; allowed: a whole number, 1 or more',
    ]);
  });

  it('shows no value that may be secret', () => {
    const env = { MOLECULE_INTERNAL_KEY: 'hunter2', DATABASE_URL: 'mysql://u:hunter2@db', NATS_URL: 'http://u:hunter2@bus:4222' };
    const text = mistakesOf(env).join('\n');
    expect(text).not.toContain('hunter2');
    expect(text).toContain('MOLECULE_INTERNAL_KEY: got a value that is not shown');
    expect(text).toContain('NATS_URL: got "http://…@bus:4222"');
  });

  it.each(['0x10', '1e3', ' ', 'NaN', 'Infinity', '8080 8081', '+'])('does not take %j for a port', (PORT) => {
    expect(mistakesOf({ ...good, PORT })).toHaveLength(1);
  });

  it('takes a flag that cannot be understood for off (I9)', () => {
    const flag = (OPEN: string) => readConfig(Config, { ...good, OPEN }).OPEN;
    expect(['1', 't', 'true', 'TRUE', ' true '].map(flag)).toEqual([true, true, true, true, true]);
    expect(['0', 'f', 'false', 'yes', 'on', '2', 'tRuE', ' '].map(flag)).toEqual(Array(8).fill(false));
  });

  it('passes on what a rule over several settings says', () => {
    const Production = z
      .object({ ADMIN_TOKEN: z.string().optional() })
      .refine(({ ADMIN_TOKEN }) => ADMIN_TOKEN !== undefined, { path: ['ADMIN_TOKEN'], message: 'must be set in production' });
    expect(() => readConfig(Production, {})).toThrow('ADMIN_TOKEN: got nothing; allowed: must be set in production');
  });
});

describe('addresses of services', () => {
  const Urls = z.object({ REGISTRY_URL: configPieces.serviceUrls('http://127.0.0.1:8081') });

  it('are read as a list', () => {
    expect(readConfig(Urls, {}).REGISTRY_URL).toEqual(['http://127.0.0.1:8081']);
    expect(readConfig(Urls, { REGISTRY_URL: 'http://a:1, https://b' }).REGISTRY_URL).toEqual(['http://a:1', 'https://b']);
    expect(() => readConfig(Urls, { REGISTRY_URL: 'http://a:1,b:2' })).toThrow(
      'REGISTRY_URL: got "http://a:1,b:2"; allowed: a URL such as',
    );
  });
});

describe('the mode', () => {
  it.each([
    [undefined, 'default'],
    ['', 'default'],
    ['staging', 'default'],
    ['Development', 'development'],
    [' dev ', 'development'],
    ['PRODUCTION', 'production'],
    ['prod', 'production'],
  ])('of %j is %s', (env, mode) => {
    expect(modeOf(env)).toBe(mode);
  });
});
