/** P1–P5, and the class RegistryToken of spec 1 §3.1. */
import type { Principal, TokenId } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import { Cors } from './cors.ts';
import { bearerOf, judgeRegistryToken, type PrincipalParts, Principals, type SessionVerifier, tokenHash } from './principal.ts';

const owner = { workspaceId: 'w', tokenId: 't' };
const orgToken = { kind: 'org', id: 'o1', prefix: 'abcdefgh', orgId: 'acme' } as const;
const open = { kind: 'session', id: 's1', expiresAt: '2026-01-01T00:00:00Z', adminKey: null as string | null } as const;

const book = (
  live: Record<string, typeof owner> = { secret: owner },
  { ready = true, access = {} as Record<string, typeof orgToken | typeof open> } = {},
) => ({
  ready,
  workspaceOfToken: (hash: string) => Object.entries(live).find(([token]) => tokenHash(token) === hash)?.[1],
  accessOf: (hash: string) =>
    Object.entries(access)
      .map(([token, entry]) => ({ ...entry, id: entry.id as TokenId, hash: tokenHash(token) }))
      .find((entry) => entry.hash === hash),
  anyLiveToken: () => Object.keys(live).length > 0,
  liveTokens: (id: string) => Object.values(live).filter(({ workspaceId }) => workspaceId === id).length,
});

const principals = (options: Partial<PrincipalParts> = {}) =>
  new Principals({
    tokens: book(),
    adminToken: undefined,
    internalKey: 'k',
    mode: 'default',
    cors: new Cors('https://canvas.example'),
    canvasProxied: false,
    controlPlane: null,
    ...options,
  });

/** Who sent these headers, when nobody has to be asked. */
const who = (parts: Partial<PrincipalParts>, headers: Record<string, string> = {}): Principal => {
  const principal = principals(parts).of({ headers });
  if (principal instanceof Promise) throw new Error('somebody was asked');
  return principal;
};
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('P1: a bearer', () => {
  it.each([
    ['Bearer abc', 'abc'],
    ['Bearer   abc  ', 'abc'],
    ['bearer abc', undefined],
    ['BEARER abc', undefined],
    ['Bearer', undefined],
    ['Bearer ', undefined],
    ['Bearer\tabc', undefined],
    ['Basic abc', undefined],
    [undefined, undefined],
  ])('%j → %j', (header, bearer) => expect(bearerOf(header)).toBe(bearer));
});

describe('the principal of a request', () => {
  const access = { org: orgToken, cookie: open };

  it('is anonymous without a bearer, and nobody known with a wrong one', () => {
    expect(who({}).identity).toEqual({ kind: 'anonymous' });
    expect(who({}, bearer('wrong')).identity).toEqual({ kind: 'unknown-token' });
    expect(who({ adminToken: 'root' }, bearer('roo')).identity).toEqual({ kind: 'unknown-token' });
  });

  it('is the admin, an organisation or a workspace by its token', () => {
    const parts = { adminToken: 'root', tokens: book(undefined, { access }) };
    expect(who(parts, bearer('root')).identity).toMatchObject({ kind: 'admin' });
    expect(who(parts, bearer('secret')).identity).toEqual({ kind: 'workspace', ...owner });
    expect(who(parts, bearer('org')).identity).toEqual({ kind: 'org', tokenId: 'o1', prefix: 'abcdefgh', orgId: 'acme' });
    expect(who(parts, bearer('cookie')).identity, 'the value of a cookie is no bearer').toEqual({ kind: 'unknown-token' });
  });

  it.each([
    ['a=b; molecule_session=cookie; c=d', { kind: 'canvas', id: 's1' }, false],
    ['molecule_session="cookie"', { kind: 'canvas', id: 's1' }, false],
    ['molecule_session=old', null, true],
    ['molecule_session=org', null, true],
    ['molecule_session=', null, true],
    ['another_molecule_session=cookie', null, false],
    ['a=b', null, false],
  ])('has a session by the cookie %j: %j', (cookie, session, invalidSession) =>
    expect(who({ tokens: book(undefined, { access }) }, { cookie })).toMatchObject({
      session,
      invalidSession,
      identity: { kind: 'anonymous' },
    }),
  );

  it('has both where both are good: the route decides which counts', () =>
    expect(
      who({ tokens: book(undefined, { access }) }, { ...bearer('secret'), cookie: 'molecule_session=cookie' }),
    ).toMatchObject({
      identity: { kind: 'workspace' },
      session: { id: 's1' },
    }));

  it('says whether development is open: never once there is an admin token', () => {
    expect(who({ mode: 'development' }).devOpen).toBe(true);
    expect(who({ mode: 'development', adminToken: 'root' }).devOpen).toBe(false);
    expect(who({}).devOpen).toBe(false);
  });

  it('P3: says whether tokens are known, and whether any lives', () => {
    const unknown = who({ tokens: book({}, { ready: false }), adminToken: 'root' }, bearer('root'));
    expect(unknown).toMatchObject({ tokensKnown: false, noLiveToken: true, adminTokenSet: true, identity: { kind: 'admin' } });
    expect(who({})).toMatchObject({ tokensKnown: true, noLiveToken: false, adminTokenSet: false });
    expect(who({ tokens: book({}, { ready: false }) }, { cookie: 'molecule_session=x' }).invalidSession).toBe(false);
  });

  it.each([
    [{ origin: 'https://canvas.example' }, true],
    [{ origin: 'http://localhost:3000' }, true],
    [{ origin: 'http://localhost:3001' }, true],
    [{ origin: 'https://Canvas.example' }, false],
    [{ origin: 'https://canvas.example.evil.com' }, false],
    [{}, false],
  ])('of %j is of an allowed origin: %s', (headers, allowed) =>
    expect(who({}, headers as Record<string, string>).allowedOrigin).toBe(allowed),
  );

  it('is of our own origin only where a canvas is proxied', () => {
    const headers = { host: 'molecule.example', origin: 'https://molecule.example' };
    expect(who({ canvasProxied: true }, headers).sameOrigin).toBe(true);
    expect(who({}, headers).sameOrigin).toBe(false);
  });
});

describe('P4: in production', () => {
  it('nothing that anybody can write, nor that there is no token yet, is a credential', () =>
    expect(
      who(
        { mode: 'production', adminToken: 'root', canvasProxied: true, tokens: book({}) },
        { host: 'h', origin: 'http://h', referer: 'http://h/' },
      ),
    ).toMatchObject({ sameOrigin: false, allowedOrigin: false, noLiveToken: false, devOpen: false }));

  it('the admin is nobody while tokens are not known', () => {
    const parts = { mode: 'production', adminToken: 'root' } as const;
    expect(who({ ...parts, tokens: book({}, { ready: false }) }, bearer('root')).identity).toEqual({ kind: 'unknown-token' });
    expect(who(parts, bearer('root')).identity).toMatchObject({ kind: 'admin' });
  });
});

describe('P6: a session that was opened with an admin token', () => {
  const admin = (token: string) => who({ adminToken: token }, bearer(token)).identity;
  const openedWith = (adminKey: string | null) => book(undefined, { access: { cookie: { ...open, adminKey } } });
  const session = (adminToken: string | undefined, adminKey: string | null) =>
    who({ adminToken, tokens: openedWith(adminKey) }, { cookie: 'molecule_session=cookie' });
  const keyOf = (token: string): string => (admin(token) as { key: string }).key;

  it('lasts while that token does, and not under another, or none', () => {
    expect(session('root', keyOf('root')).session).toEqual({ kind: 'canvas', id: 's1' });
    for (const adminToken of ['other', undefined])
      expect(session(adminToken, keyOf('root'))).toMatchObject({ session: null, invalidSession: true });
  });

  it('of which it is not known which one, is over', () => expect(session('root', '').session).toBeNull());

  it('tells of the token nothing that could be tried without the key of the services', () => {
    expect(keyOf('root')).toMatch(/^[0-9a-f]{32}$/);
    expect(tokenHash('root')).not.toContain(keyOf('root'));
    expect(who({ adminToken: 'root', internalKey: 'other' }, bearer('root')).identity).not.toEqual(admin('root'));
  });
});

describe('P5: a cookie that nobody here knows', () => {
  const asked: string[] = [];
  const controlPlane: SessionVerifier = {
    verify: async (cookie) => {
      asked.push(cookie);
      return cookie === 'cp=good' ? { kind: 'control-plane', id: 'user' } : null;
    },
  };
  const parts = { adminToken: 'root', controlPlane, tokens: book(undefined, { access: { org: orgToken, cookie: open } }) };

  it.each([
    [
      '/admin/liveness',
      { cookie: 'cp=good' },
      { session: { kind: 'control-plane', id: 'user' }, invalidSession: false },
      ['cp=good'],
    ],
    ['/admin/liveness', { cookie: 'cp=bad' }, { session: null, invalidSession: true }, ['cp=bad']],
    ['/admin/liveness', { cookie: 'cp=good', ...bearer('wrong') }, { session: { id: 'user' } }, ['cp=good']],
    ['/admin/liveness', { cookie: 'cp=good', ...bearer('root') }, { session: null, invalidSession: false }, []],
    ['/admin/liveness', { cookie: 'cp=good', ...bearer('org') }, { session: null, invalidSession: false }, []],
    ['/registry/w/peers', { cookie: 'cp=good', ...bearer('root') }, { session: { id: 'user' } }, ['cp=good']],
    ['/health', { cookie: 'cp=good' }, { session: null, invalidSession: false }, []],
    ['/registry/register', { cookie: 'cp=good' }, { session: null, invalidSession: false }, []],
    ['/admin/liveness', {}, { session: null, invalidSession: false }, []],
    ['/admin/liveness', { cookie: 'molecule_session=cookie; cp=good' }, { session: { kind: 'canvas' } }, []],
    ['/admin/liveness', { cookie: 'molecule_session=old; cp=good' }, { session: { kind: 'control-plane' } }, ['cp=good']],
    ['/admin/liveness', { cookie: 'molecule_session=old' }, { session: null, invalidSession: true }, []],
  ])('%s with %j: %j', async (path, headers, expected, questions) => {
    asked.length = 0;
    expect(await principals(parts).of({ headers }, { path })).toMatchObject(expected);
    expect(asked).toEqual(questions);
  });
});

describe('the token of a registering or beating agent', () => {
  it.each([
    ['w', 'Bearer secret', 'allowed'],
    ['w', undefined, 'missing'],
    ['w', 'bearer secret', 'missing'],
    ['w', 'Bearer other', 'invalid'],
    ['v', 'Bearer secret', 'invalid'],
    ['tokenless', undefined, 'allowed'],
    ['tokenless', 'Bearer anything', 'allowed'],
  ])('%s with %j is %s', (id, header, verdict) => {
    const tokens = book({ secret: owner, other: { workspaceId: 'v', tokenId: 'u' } });
    expect(judgeRegistryToken(tokens, id, header, { everyoneNeedsToken: false })).toBe(verdict);
    const closed = id === 'tokenless' ? 'missing' : verdict;
    const opened: string[] = [];
    const rules = { everyoneNeedsToken: true, opened: (tokenId: string) => void opened.push(tokenId) };
    expect(judgeRegistryToken(tokens, id, header, rules)).toBe(closed);
    expect(opened, 'the token that was used').toEqual(closed === 'allowed' ? ['t'] : []);
  });
});
