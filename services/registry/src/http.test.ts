/** The classes that are decided here, as tables: who gets what, in one situation after the other. */
import { type Identity, type Principal, principalOf, type Refusal } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import { discoveryRefusal, strangerRefusal } from './http.ts';

const WORKSPACE = '11111111-1111-4111-8111-111111111111';
const OTHER = '22222222-2222-4222-8222-222222222222';
const session = { kind: 'canvas', id: '33333333-3333-4333-8333-333333333333' } as const;
const identities = {
  anonymous: { kind: 'anonymous' },
  unknown: { kind: 'unknown-token' },
  admin: { kind: 'admin' },
  org: { kind: 'org', tokenId: 't', prefix: 'abcdefgh', orgId: '' },
  workspace: { kind: 'workspace', workspaceId: WORKSPACE, tokenId: 't' },
  other: { kind: 'workspace', workspaceId: OTHER, tokenId: 't' },
  service: { kind: 'service', service: 'scheduler', as: '' },
} as const satisfies Record<string, Identity>;
type Who = keyof typeof identities;

const PASSES = 'passes';
const UNAVAILABLE = 'platform datastore unavailable — retry shortly';
const MISSING = 'missing workspace auth token';
const INVALID = 'invalid workspace auth token';

const table = (
  decide: (principal: Principal) => Refusal | null,
  situation: Partial<Principal>,
  expected: Record<Who, string>,
): void => {
  for (const who of Object.keys(identities) as Who[]) {
    const refusal = decide(principalOf(identities[who], situation));
    expect({ who, outcome: refusal?.message ?? PASSES }).toEqual({ who, outcome: expected[who] });
  }
};
const all = (text: string): Record<Who, string> => ({
  anonymous: text,
  unknown: text,
  admin: text,
  org: text,
  workspace: text,
  other: text,
  service: PASSES,
});

describe('the discovery class (spec 1 §4.4), for a workspace with a live token', () => {
  const decide = (principal: Principal) => discoveryRefusal(principal, { id: WORKSPACE, openByState: false });
  const usual = { ...all(INVALID), anonymous: MISSING, workspace: PASSES };

  it('takes its own token: neither the admin token, nor an org token, nor a page of ours', () => {
    table(decide, {}, usual);
    table(decide, { sameOrigin: true, allowedOrigin: true, noLiveToken: true }, usual);
  });

  it('takes a session that is good, and says so when one is not', () => {
    table(decide, { session }, all(PASSES));
    table(decide, { invalidSession: true }, all('invalid session'));
  });

  it('is open in development mode, before a session is looked at', () => {
    table(decide, { devOpen: true }, all(PASSES));
    table(decide, { devOpen: true, invalidSession: true }, all(PASSES));
  });

  it('answers 503 while tokens cannot be looked up (README choice 11)', () => {
    table(decide, { tokensKnown: false }, all(UNAVAILABLE));
    table(decide, { tokensKnown: false, devOpen: true, session }, all(UNAVAILABLE));
  });

  it('takes the id in any case', () =>
    expect(discoveryRefusal(principalOf(identities.workspace), { id: WORKSPACE.toUpperCase(), openByState: false })).toBeNull());
});

describe('the discovery class, for a workspace without a live token', () => {
  const decide = (principal: Principal) => discoveryRefusal(principal, { id: WORKSPACE, openByState: true });

  it('is open to anybody, also to who shows a session that is not good', () => {
    table(decide, {}, all(PASSES));
    table(decide, { invalidSession: true }, all(PASSES));
  });

  it('answers 503 while tokens cannot be looked up', () => table(decide, { tokensKnown: false }, all(UNAVAILABLE)));
});

describe('what only strangers are kept from, in production', () => {
  const usual = { ...all(PASSES), anonymous: MISSING, unknown: MISSING };

  it('takes every credential of the platform, and a session', () => {
    table(strangerRefusal, {}, usual);
    table(strangerRefusal, { session }, all(PASSES));
    table(strangerRefusal, { invalidSession: true }, usual);
  });

  it('answers 503 to what cannot be looked up', () => {
    const unknowable = { ...all(UNAVAILABLE), anonymous: MISSING, admin: PASSES };
    table(strangerRefusal, { tokensKnown: false }, unknowable);
    table(strangerRefusal, { tokensKnown: false, session }, { ...unknowable, anonymous: UNAVAILABLE });
  });
});
