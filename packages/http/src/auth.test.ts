import { type Identity, type Principal, Refusal } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import { serviceApp } from './app.ts';
import { adminRefusal, auth, defineAuth, workspaceRefusal } from './auth.ts';
import { json } from './problems.ts';
import { contextOf, principal, recordingLog } from './testing.ts';

const WORKSPACE = '11111111-1111-4111-8111-111111111111';
const OTHER = '22222222-2222-4222-8222-222222222222';
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
const outcome = (refusal: Refusal | null) => (refusal === null ? PASSES : refusal.message);

/** Who gets what, in one situation. */
const table = (
  decide: (principal: Principal) => Refusal | null,
  situation: Partial<Principal>,
  expected: Record<Who, string>,
) => {
  for (const who of Object.keys(identities) as Who[])
    expect({ who, outcome: outcome(decide(principal(identities[who], situation))) }).toEqual({ who, outcome: expected[who] });
};

describe('the admin class (spec 1 §4.2)', () => {
  const everybody = (text: string): Record<Who, string> => ({
    anonymous: text,
    unknown: text,
    admin: text,
    org: text,
    workspace: text,
    other: text,
    service: PASSES,
  });
  const required = 'admin auth required';
  const invalid = 'invalid admin auth token';

  it('step 1: refuses with 503 while tokens cannot be looked up, before everything else', () => {
    table(adminRefusal, { tokensKnown: false }, everybody(UNAVAILABLE));
    table(adminRefusal, { tokensKnown: false, devOpen: true, noLiveToken: true }, everybody(UNAVAILABLE));
  });

  it('step 2: is open on a fresh install without ADMIN_TOKEN', () => {
    table(adminRefusal, { noLiveToken: true }, everybody(PASSES));
  });

  it('step 2: is closed on a fresh install with ADMIN_TOKEN', () => {
    const expected = {
      anonymous: required,
      unknown: invalid,
      admin: PASSES,
      org: PASSES,
      workspace: invalid,
      other: invalid,
      service: PASSES,
    };
    table(adminRefusal, { noLiveToken: true, adminTokenSet: true }, expected);
  });

  it('step 3: is open in development mode, whatever bearer is presented', () => {
    table(adminRefusal, { devOpen: true }, everybody(PASSES));
  });

  it('steps 5 to 7: takes org tokens and ADMIN_TOKEN, and no workspace token, when ADMIN_TOKEN is set', () => {
    const expected = {
      anonymous: required,
      unknown: invalid,
      admin: PASSES,
      org: PASSES,
      workspace: invalid,
      other: invalid,
      service: PASSES,
    };
    table(adminRefusal, { adminTokenSet: true }, expected);
  });

  it('step 8: takes any live workspace token when ADMIN_TOKEN is not set', () => {
    const expected = {
      anonymous: required,
      unknown: invalid,
      admin: invalid,
      org: PASSES,
      workspace: PASSES,
      other: PASSES,
      service: PASSES,
    };
    table(adminRefusal, {}, expected);
  });
});

describe('the workspace class (spec 1 §4.3)', () => {
  const decide = (who: Principal) => workspaceRefusal(who, WORKSPACE);
  const missing = 'missing workspace auth token';
  const invalid = 'invalid workspace auth token';
  const usual = {
    anonymous: missing,
    unknown: invalid,
    admin: PASSES,
    org: PASSES,
    workspace: PASSES,
    other: invalid,
    service: PASSES,
  };

  it('takes ADMIN_TOKEN, an org token, or a token of this workspace', () => {
    table(decide, { adminTokenSet: true }, usual);
    table(decide, {}, usual);
  });

  it('knows no fail-open of a fresh install', () => {
    table(decide, { noLiveToken: true }, usual);
  });

  it('lets whoever has no bearer pass in development mode, and nobody with a wrong one', () => {
    table(decide, { devOpen: true }, { ...usual, anonymous: PASSES });
  });

  it('answers 503 while tokens cannot be looked up, unless no look-up is needed', () => {
    const unavailable = {
      ...usual,
      anonymous: UNAVAILABLE,
      unknown: UNAVAILABLE,
      org: UNAVAILABLE,
      workspace: UNAVAILABLE,
      other: UNAVAILABLE,
    };
    table(decide, { tokensKnown: false }, unavailable);
    table(decide, { tokensKnown: false, devOpen: true }, { ...unavailable, anonymous: PASSES });
  });

  it('takes the id of the path in any case', () => {
    expect(workspaceRefusal(principal(identities.workspace), WORKSPACE.toUpperCase())).toBeNull();
  });
});

describe('a route with an auth class', () => {
  const { log } = recordingLog();
  const app = serviceApp(log)
    .get('/open', auth.none, (c) => json(c, 'open'))
    .get('/admin', auth.admin, (c) => json(c, 'admin'))
    .get('/workspaces/:id/x', auth.workspace, (c) => json(c, 'workspace'))
    .get(
      '/later',
      defineAuth('later', async () => new Refusal('unauthenticated', 'not now')),
      (c) => json(c, 'later'),
    );
  const ask = async (path: string, who?: Who) => {
    const response = await app.request(
      path,
      {},
      who ? { context: contextOf(identities[who], { adminTokenSet: true }) } : undefined,
    );
    return [response.status, await response.text()];
  };

  it('refuses with the status, the type and the text of the spec', async () => {
    expect(await ask('/admin', 'anonymous')).toEqual([401, '{"error":"admin auth required"}']);
    expect(await ask(`/workspaces/${WORKSPACE}/x`, 'other')).toEqual([401, '{"error":"invalid workspace auth token"}']);
    expect(await ask('/later', 'admin')).toEqual([401, '{"error":"not now"}']);
  });

  it('lets pass', async () => {
    expect(await ask('/admin', 'admin')).toEqual([200, '"admin"']);
    expect(await ask(`/workspaces/${WORKSPACE}/x`, 'workspace')).toEqual([200, '"workspace"']);
    expect(await ask('/open', 'unknown')).toEqual([200, '"open"']);
  });

  it('answers 503 to a request without a trusted context (I9)', async () => {
    const unavailable = [503, `{"error":"${UNAVAILABLE}","code":"platform_unavailable"}`];
    expect(await ask('/admin')).toEqual(unavailable);
    expect(await ask(`/workspaces/${WORKSPACE}/x`)).toEqual(unavailable);
    expect(await ask('/open')).toEqual([200, '"open"']);
  });
});
