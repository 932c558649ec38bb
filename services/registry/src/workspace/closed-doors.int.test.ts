/** What stays shut: to strangers in production, and to who is not the admin the gateway knows of. */
import { randomUUID } from 'node:crypto';
import type { Identity } from '@molecule/contracts';
import { it } from '@molecule/testkit';
import { describe, expect, onTestFinished } from 'vitest';
import { NOBODY, type Registry, startRegistry } from '../fixtures.ts';

const UNKNOWN: Identity = { kind: 'unknown-token' };
const ORG: Identity = { kind: 'org', tokenId: randomUUID(), prefix: 'abcdefgh', orgId: '' };
const session = { kind: 'canvas', id: randomUUID() } as const;
const WORKSPACE: Identity = { kind: 'workspace', workspaceId: randomUUID(), tokenId: randomUUID() };

interface Servers {
  readonly postgresUrl: string;
  readonly natsUrl: string;
  readonly log: Parameters<typeof startRegistry>[0]['log'];
}

const open = async ({ postgresUrl, natsUrl, log }: Servers, env: Record<string, string>): Promise<Registry> => {
  const registry = await startRegistry({ postgresUrl, natsUrl, log, env });
  onTestFinished(() => registry.scope.close());
  return registry;
};

describe('POST /registry/check-access', () => {
  it('in production is answered to who shows a credential that is known', async ({ postgresUrl, natsUrl, log, bus: _ }) => {
    const registry = await open({ postgresUrl, natsUrl, log }, { MOLECULE_ENV: 'production' });
    const ask = (as: Identity, tokensKnown = true) =>
      registry.call('POST', '/registry/check-access', {
        as,
        principal: { tokensKnown },
        body: { caller_id: 'a', target_id: 'a' },
      });
    for (const as of [NOBODY, UNKNOWN])
      expect(await ask(as)).toMatchObject({ status: 401, body: { error: 'missing workspace auth token' } });
    const service: Identity = { kind: 'service', service: 'scheduler', as: 'scheduler' };
    for (const as of [{ kind: 'admin' } as const, ORG, WORKSPACE, service])
      expect(await ask(as)).toMatchObject({ status: 200, body: { allowed: true } });
    expect((await ask(WORKSPACE, false)).status).toBe(503);
  });
});

describe('GET /workspaces/:id', () => {
  it('in production is answered to who may act as the workspace, or is signed in', async ({
    postgresUrl,
    natsUrl,
    log,
    bus: _,
  }) => {
    const registry = await open({ postgresUrl, natsUrl, log }, { MOLECULE_ENV: 'production' });
    const id = await registry.create();
    const look = (as: Identity, principal: object = {}) => registry.call('GET', `/workspaces/${id}`, { as, principal });
    const own: Identity = { kind: 'workspace', workspaceId: id, tokenId: randomUUID() };
    for (const as of [{ kind: 'admin' } as const, ORG, own]) expect((await look(as)).body).toMatchObject({ id });
    expect((await look(NOBODY, { session })).body).toMatchObject({ id });
    expect(await look(NOBODY)).toMatchObject({ status: 401, body: { error: 'missing workspace auth token' } });
    for (const as of [UNKNOWN, WORKSPACE])
      expect(await look(as, { session })).toMatchObject({ status: 401, body: { error: 'invalid workspace auth token' } });
    expect((await look(NOBODY, { session, tokensKnown: false })).status).toBe(503);
  });

  it('is answered to anybody otherwise', async ({ postgresUrl, natsUrl, log, bus: _ }) => {
    const registry = await open({ postgresUrl, natsUrl, log }, {});
    const id = await registry.create();
    for (const as of [NOBODY, UNKNOWN, WORKSPACE])
      expect((await registry.call('GET', `/workspaces/${id}`, { as, principal: { tokensKnown: false } })).status).toBe(200);
  });
});

describe('GET /admin/workspaces/:id/test-token', () => {
  const door = async (registry: Registry, as: Identity, adminTokenSet: boolean, authorization?: string) =>
    (
      await registry.call('GET', `/admin/workspaces/${randomUUID()}/test-token`, {
        as,
        principal: { adminTokenSet },
        ...(authorization !== undefined && { headers: { authorization } }),
      })
    ).status;

  it('takes the admin token with and without `Bearer `, and nothing that only begins like it', async ({
    postgresUrl,
    natsUrl,
    log,
    bus: _,
  }) => {
    const registry = await open({ postgresUrl, natsUrl, log }, { ADMIN_TOKEN: 'root' });
    for (const shown of ['root', 'Bearer root', ' root ']) expect(await door(registry, NOBODY, true, shown)).toBe(404);
    for (const shown of ['', 'roo', 'roots', 'bearer root', 'Bearer roots', 'Basic root'])
      expect(await door(registry, NOBODY, true, shown)).toBe(401);
  });

  it('asks for the admin the gateway knows of, also when only the gateway was given the admin token', async ({
    postgresUrl,
    natsUrl,
    log,
    bus: _,
  }) => {
    const registry = await open({ postgresUrl, natsUrl, log }, {});
    for (const as of [NOBODY, UNKNOWN, WORKSPACE, ORG]) expect(await door(registry, as, true)).toBe(401);
    const signedIn = { as: NOBODY, principal: { session, devOpen: true, sameOrigin: true } };
    expect(await registry.call('GET', `/admin/workspaces/${randomUUID()}/test-token`, signedIn)).toMatchObject({
      status: 401,
      body: { error: 'admin auth required' },
    });
    expect(await door(registry, { kind: 'admin' }, true)).toBe(404); // let in: there is no such workspace
    expect(await door(registry, NOBODY, true, 'root')).toBe(401);
    expect(await door(registry, NOBODY, false)).toBe(404);
  });

  it('is not there for a workspace that was removed', async ({ postgresUrl, natsUrl, log, bus: _ }) => {
    const registry = await open({ postgresUrl, natsUrl, log }, {});
    const id = await registry.create();
    const door = () => registry.call('GET', `/admin/workspaces/${id}/test-token`);
    expect((await door()).status).toBe(200);
    await registry.call('DELETE', `/workspaces/${id}`);
    expect(await door()).toMatchObject({ status: 404, body: { error: 'workspace not found' } });
  });

  it.for(['production', 'prod', 'Production'])(
    'is not there with MOLECULE_ENV=%s, unless switched on',
    async (env, { postgresUrl, natsUrl, log, bus: _ }) => {
      const text = async (more: Record<string, string>) => {
        const registry = await open({ postgresUrl, natsUrl, log }, { MOLECULE_ENV: env, ...more });
        return (await registry.call('GET', `/admin/workspaces/${randomUUID()}/test-token`)).text;
      };
      expect(await text({})).toBe('{"error":"not found"}');
      expect(await text({ MOLECULE_ENABLE_TEST_TOKENS: '1' })).toBe('{"error":"workspace not found"}');
    },
  );
});
