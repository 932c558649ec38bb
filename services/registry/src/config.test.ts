import { ConfigError, readConfig } from '@molecule/service';
import { describe, expect, it } from 'vitest';
import { Config } from './config.ts';

const KEY = Buffer.alloc(32, 9).toString('base64');
const mistakes = (env: Readonly<Record<string, string>>): readonly string[] => {
  try {
    readConfig(Config, { DATABASE_URL: 'postgres://db/molecule', MOLECULE_INTERNAL_KEY: 'k'.repeat(32), ...env });
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.mistakes;
    throw error;
  }
};

describe('SECRETS_ENCRYPTION_KEY', () => {
  it.each(['production', ' PROD '])('must be there in %j, and must be a key', (MOLECULE_ENV) => {
    expect(mistakes({ MOLECULE_ENV })).toEqual([
      'SECRETS_ENCRYPTION_KEY: got nothing; allowed: a key of 32 bytes in base64, because MOLECULE_ENV is production',
    ]);
    expect(mistakes({ MOLECULE_ENV, SECRETS_ENCRYPTION_KEY: 'hunter2' })).toEqual([
      'SECRETS_ENCRYPTION_KEY: got a value that is not shown; allowed: a key of 32 bytes in base64, because MOLECULE_ENV is production',
    ]);
    expect(mistakes({ MOLECULE_ENV, SECRETS_ENCRYPTION_KEY: KEY })).toEqual([]);
  });

  it.each(['', 'development', 'staging'])('may be missing or wrong in %j', (MOLECULE_ENV) => {
    for (const SECRETS_ENCRYPTION_KEY of ['', 'hunter2']) expect(mistakes({ MOLECULE_ENV, SECRETS_ENCRYPTION_KEY })).toEqual([]);
  });

  it('is told with all other mistakes', () =>
    expect(mistakes({ MOLECULE_ENV: 'production', PORT: 'x' }).map((mistake) => mistake.split(':')[0])).toEqual([
      'PORT',
      'SECRETS_ENCRYPTION_KEY',
    ]));
});
