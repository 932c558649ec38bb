/** The documents of `docs/reference` say what the six services answer, no more and no less. */
import { ownersOf } from '@molecule/gateway';
import { type DocumentedService, gapsOf } from '@molecule/reference';
import { Scope } from '@molecule/service';
import { it as base, temporaryDir } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { documented, referenceFiles } from './reference.ts';
import { openServices } from './services.ts';
import { forServices } from './settings.ts';

const it = base.extend('services', async ({ postgresUrl, natsUrl, log }, { onCleanup }): Promise<DocumentedService[]> => {
  const { dir, remove } = temporaryDir();
  const scope = new Scope();
  onCleanup(async () => {
    await scope.close();
    remove();
  });
  const env = { PORT: '0', PROVISIONER_BACKEND: 'none' };
  const internalKey = 'a key that only tests use, long enough';
  const configs = forServices({ env, home: dir }, { databaseUrl: postgresUrl, natsUrl, internalKey });
  return documented(await openServices(configs, { log, level: 'silent' }, scope));
});

describe('the reference', () => {
  it('has an owner for every route', ({ services }) => {
    const routes = services.flatMap(({ service, routes }) => routes.map(({ method, path }) => ({ service, method, path })));
    expect(routes.length).toBeGreaterThan(25);
    expect(ownersOf(routes)).toEqual([]);
    // Until every route is described, this only tells which are not.
    for (const gap of gapsOf(services)) process.stderr.write(`${gap}\n`);
    expect(Object.keys(referenceFiles(services))).toEqual(['openapi.json', 'asyncapi.json']);
  });
});
