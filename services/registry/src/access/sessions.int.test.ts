/** Signing in, being signed in, signing out (design §7). */
import { createHash, randomUUID } from 'node:crypto';
import { ask } from '@molecule/bus';
import { ask as asks, type Identity } from '@molecule/contracts';
import { it as withServers } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { ADMIN, aDirectory, NOBODY, type Registry, startRegistry, withRegistry } from '../fixtures.ts';

const it = withRegistry(withServers);

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const UNAVAILABLE = {
  status: 503,
  body: { error: 'platform datastore unavailable — retry shortly', code: 'platform_unavailable' },
};

async function signIn(registry: Registry, call: Parameters<Registry['call']>[2] = {}) {
  const answer = await registry.call('POST', '/session', call);
  const header = String(answer.headers['set-cookie']);
  return { answer, header, cookie: /^molecule_session=([^;]*)/.exec(header)?.[1] ?? '' };
}

describe('POST /session', () => {
  it('exchanges a credential for a cookie that scripts cannot read', async ({ registry, bus, log, signal }) => {
    const directory = await aDirectory(bus, log, signal);
    const before = Date.now();
    const { answer, header, cookie } = await signIn(registry);
    expect(answer).toMatchObject({ status: 200, body: { status: 'open', expires_at: expect.stringMatching(/Z$/) } });
    expect(Object.keys(answer.body).toSorted()).toEqual(['expires_at', 'status']);
    expect(Date.parse(answer.body.expires_at) - before).toBeGreaterThanOrEqual(12 * 3_600_000);
    expect(cookie).toMatch(/^[\w-]{43}$/);
    expect(header).toBe(`molecule_session=${cookie}; Path=/; Max-Age=43200; HttpOnly; SameSite=Strict`);
    expect(answer.text).not.toContain(cookie);
    expect(directory.accessOf(sha256(cookie))).toMatchObject({ kind: 'session', expiresAt: answer.body.expires_at });
    await directory.stop();
  });

  it('says of a session which admin token it was opened with, told and read; a session of the next one ends it', async ({
    registry,
    bus,
    log,
    signal,
  }) => {
    const hearing = await aDirectory(bus, log, signal);
    const old = await signIn(registry, { as: { kind: 'admin', key: 'old' } });
    const unnamed = await signIn(registry, { as: ADMIN });
    const adminKeys = (directory: typeof hearing) =>
      [old, unnamed].map(({ cookie }) => {
        const entry = directory.accessOf(sha256(cookie));
        return entry?.kind === 'session' ? entry.adminKey : undefined;
      });
    // The second was opened with what is not the first's token any more.
    expect(adminKeys(hearing)).toEqual([undefined, '']);
    const next = await signIn(registry, { as: { kind: 'admin', key: 'new' } });
    const reading = await aDirectory(bus, log, signal);
    for (const directory of [hearing, reading]) {
      expect(adminKeys(directory)).toEqual([undefined, undefined]);
      expect(directory.accessOf(sha256(next.cookie))).toMatchObject({ kind: 'session', adminKey: 'new' });
    }
    await Promise.all([hearing.stop(), reading.stop()]);
  });

  it('is for TLS alone, but on this machine', async ({ registry }) => {
    const { header } = await signIn(registry, { headers: { host: 'molecule.example' } });
    expect(header).toMatch(/; Secure$/);
  });

  it('lasts as long as it is told to', async ({ postgresUrl, natsUrl, log, onTestFinished }) => {
    const registry = await startRegistry({ postgresUrl, natsUrl, log, env: { SESSION_HOURS: '0.5' } });
    onTestFinished(() => registry.scope.close());
    expect((await signIn(registry)).header).toContain('; Max-Age=1800;');
  });

  it('is made of a credential, never of an open door', async ({ registry }) => {
    const refused = async (as: Identity, principal: object = {}) => {
      const { answer } = await signIn(registry, { as, principal });
      expect(answer.headers).not.toHaveProperty('set-cookie');
      return [answer.status, answer.text];
    };
    const open = { noLiveToken: true, adminTokenSet: false, devOpen: true, sameOrigin: true, allowedOrigin: true };
    for (const situation of [{}, open, { session: { kind: 'canvas', id: randomUUID() } }]) {
      expect(await refused(NOBODY, situation)).toEqual([401, '{"error":"admin auth required"}']);
      for (const as of [
        { kind: 'unknown-token' },
        { kind: 'workspace', workspaceId: randomUUID(), tokenId: randomUUID() },
      ] satisfies Identity[])
        expect(await refused(as, situation)).toEqual([401, '{"error":"invalid admin auth token"}']);
    }
    expect((await signIn(registry, { principal: { tokensKnown: false } })).answer).toMatchObject(UNAVAILABLE);
  });

  it('is refused to an org token that was revoked while its request was on the way', async ({ registry }) => {
    const { answer } = await signIn(registry, { as: { kind: 'org', tokenId: randomUUID(), prefix: 'abcdefgh', orgId: '' } });
    expect(answer).toMatchObject({ status: 401, body: { error: 'invalid admin auth token' } });
  });
});

describe('GET and DELETE /session', () => {
  it('say who is signed in, and end it on every gateway before they answer', async ({ registry, bus, log, signal }) => {
    const directory = await aDirectory(bus, log, signal);
    const { answer, cookie } = await signIn(registry);
    const id = directory.accessOf(sha256(cookie))?.id ?? '';
    const call = { as: NOBODY, principal: { session: { kind: 'canvas', id } } } as const;
    expect(await registry.call('GET', '/session', call)).toMatchObject({
      status: 200,
      body: { session: { kind: 'canvas', expires_at: answer.body.expires_at } },
    });

    const ended = await registry.call('DELETE', '/session', call);
    expect(ended).toMatchObject({ status: 200, body: { status: 'closed' } });
    expect(ended.headers['set-cookie']).toBe('molecule_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict');
    expect(directory.accessOf(sha256(cookie))).toBeUndefined();
    expect(await registry.call('GET', '/session', call)).toMatchObject({ status: 401, body: { error: 'invalid session' } });
    expect((await registry.call('DELETE', '/session', call)).status).toBe(200);
    await directory.stop();
  });

  it('know sessions of the control plane, and leave them alone', async ({ registry }) => {
    const call = { as: NOBODY, principal: { session: { kind: 'control-plane', id: 'somebody' } } } as const;
    expect((await registry.call('GET', '/session', call)).body).toEqual({
      session: { kind: 'control-plane', expires_at: null },
    });
    expect(await registry.call('DELETE', '/session', call)).toMatchObject({
      status: 409,
      body: { error: 'this session belongs to the control plane' },
    });
  });

  it.for(['GET', 'DELETE'])('%s says clearly when nobody is signed in', async (method, { registry }) => {
    const ask = (as: Identity, principal: object = {}) => registry.call(method, '/session', { as, principal });
    for (const as of [NOBODY, ADMIN]) expect(await ask(as)).toMatchObject({ status: 401, body: { error: 'not signed in' } });
    expect(await ask(NOBODY, { invalidSession: true })).toMatchObject({ status: 401, body: { error: 'invalid session' } });
    expect(await ask(NOBODY, { tokensKnown: false })).toMatchObject(UNAVAILABLE);
  });
});

it('a directory that opens is told of what is open now, and of no session whose time is over', async ({
  postgresUrl,
  natsUrl,
  bus,
  log,
  onTestFinished,
}) => {
  // Over as soon as it is open: 36 ms.
  const brief = await startRegistry({ postgresUrl, natsUrl, log, env: { SESSION_HOURS: '0.00001' } });
  onTestFinished(() => brief.scope.close());
  const { answer } = await signIn(brief);
  while (Date.now() <= Date.parse(answer.body.expires_at)) await brief.call('GET', '/org/tokens');
  const token = (await brief.call('POST', '/org/tokens')).body;
  const { version, entries, next } = await ask(bus, asks.registry.access, { after: null });
  expect(entries).toEqual([{ kind: 'org', id: token.id, hash: sha256(token.auth_token), prefix: token.prefix, orgId: '' }]);
  expect([version, next]).toEqual([2, null]);
  // The next one to sign in closes it.
  await signIn(brief);
  const types = (await brief.call('GET', '/admin/access')).body.map((entry: { type: string; data: object }) => entry.type);
  expect(types).toEqual(['access.session-opened', 'access.session-closed', 'access.token-issued', 'access.session-opened']);
});
