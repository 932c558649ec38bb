/** P1–P3, and the class RegistryToken of spec 1 §3.1. */
import { describe, expect, it } from 'vitest';
import { bearerOf, judgeRegistryToken, Principals, tokenHash } from './principal.ts';

const owner = { workspaceId: 'w', tokenId: 't' };

const book = (live: Record<string, typeof owner> = { secret: owner }, ready = true) => ({
  ready,
  workspaceOfToken: (hash: string) => Object.entries(live).find(([token]) => tokenHash(token) === hash)?.[1],
  anyLiveToken: () => Object.keys(live).length > 0,
  liveTokens: (id: string) => Object.values(live).filter(({ workspaceId }) => workspaceId === id).length,
});

const principals = (options: { adminToken?: string; development?: boolean; tokens?: ReturnType<typeof book> } = {}) =>
  new Principals({ tokens: book(), adminToken: undefined, development: false, ...options });

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
  it('is anonymous without a bearer, and nobody known with a wrong one', () => {
    expect(principals().of(undefined).identity).toEqual({ kind: 'anonymous' });
    expect(principals().of('Bearer wrong').identity).toEqual({ kind: 'unknown-token' });
    expect(principals({ adminToken: 'root' }).of('Bearer roo').identity).toEqual({ kind: 'unknown-token' });
  });

  it('is the admin or a workspace by its token', () => {
    expect(principals({ adminToken: 'root' }).of('Bearer root').identity).toEqual({ kind: 'admin' });
    expect(principals().of('Bearer secret').identity).toEqual({ kind: 'workspace', ...owner });
    expect(principals({ adminToken: 'root' }).of('Bearer secret').identity).toEqual({ kind: 'workspace', ...owner });
  });

  it('says whether development is open: never once there is an admin token', () => {
    expect(principals({ development: true }).of(undefined).devOpen).toBe(true);
    expect(principals({ development: true, adminToken: 'root' }).of(undefined).devOpen).toBe(false);
    expect(principals().of(undefined).devOpen).toBe(false);
  });

  it('P3: says whether tokens are known, and whether any lives', () => {
    const unknown = principals({ tokens: book({}, false), adminToken: 'root' }).of('Bearer root');
    expect(unknown).toMatchObject({ tokensKnown: false, noLiveToken: true, adminTokenSet: true, identity: { kind: 'admin' } });
    expect(principals().of(undefined)).toMatchObject({ tokensKnown: true, noLiveToken: false, adminTokenSet: false });
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
    expect(judgeRegistryToken(tokens, id, header, { everyoneNeedsToken: true })).toBe(closed);
  });
});
