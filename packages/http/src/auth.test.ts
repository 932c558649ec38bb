import { type Identity, type Principal, Refusal } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import { serviceApp } from './app.ts';
import { adminRefusal, auth, canvasRefusal, defineAuth, workspaceRefusal } from './auth.ts';
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
const session = { kind: 'canvas', id: '33333333-3333-4333-8333-333333333333' } as const;

const PASSES = 'passes';
const UNAVAILABLE = 'platform datastore unavailable — retry shortly';
const outcome = (refusal: Refusal | null) => (refusal === null ? PASSES : refusal.message);

/** The same for everybody but a service of ours. */
const everybody = (text: string): Record<Who, string> => ({
  anonymous: text,
  unknown: text,
  admin: text,
  org: text,
  workspace: text,
  other: text,
  service: PASSES,
});

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

describe('the admin class and sessions (spec 1 §4.2 step 4)', () => {
  const refused = {
    ...everybody('invalid admin auth token'),
    anonymous: 'admin auth required',
    admin: PASSES,
    org: PASSES,
  };

  it('takes one that is good, whatever bearer is presented beside it', () => {
    table(adminRefusal, { adminTokenSet: true, session }, everybody(PASSES));
    table(adminRefusal, { session }, everybody(PASSES));
    table(adminRefusal, { adminTokenSet: true, session: { kind: 'control-plane', id: 'somebody' } }, everybody(PASSES));
  });

  it('goes on to the bearer when one is not good', () =>
    table(adminRefusal, { adminTokenSet: true, invalidSession: true }, refused));

  it('takes none while sessions cannot be looked up', () =>
    table(adminRefusal, { adminTokenSet: true, session, tokensKnown: false }, everybody(UNAVAILABLE)));

  it('takes no page for a credential (spec 1 §4.2)', () =>
    table(adminRefusal, { adminTokenSet: true, sameOrigin: true, allowedOrigin: true }, refused));
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

  it('lets whoever has no bearer pass with a session that is good, or as a page of ours', () => {
    table(decide, { session }, { ...usual, anonymous: PASSES });
    table(decide, { sameOrigin: true }, { ...usual, anonymous: PASSES });
    table(decide, { invalidSession: true }, usual);
    table(decide, { allowedOrigin: true }, usual);
  });

  it('answers 503 to a session that cannot be looked up', () =>
    expect(outcome(decide(principal(identities.anonymous, { session, tokensKnown: false })))).toBe(UNAVAILABLE));

  it('takes the id of the path in any case', () => {
    expect(workspaceRefusal(principal(identities.workspace), WORKSPACE.toUpperCase())).toBeNull();
  });
});

describe('the canvasOrBearer class (spec 1 §4.4)', () => {
  const required = 'admin auth required';
  const invalid = 'invalid admin auth token';
  const usual = {
    anonymous: required,
    unknown: invalid,
    admin: PASSES,
    org: invalid,
    workspace: PASSES,
    other: PASSES,
    service: PASSES,
  };

  it('takes ADMIN_TOKEN or any live workspace token; a bearer decides alone', () => {
    table(canvasRefusal, {}, usual);
    table(canvasRefusal, { adminTokenSet: true, invalidSession: true }, usual);
  });

  it('lets whoever has no bearer pass as a page that is trusted, or with a session that is good', () => {
    for (const trusted of [{ session }, { sameOrigin: true }, { allowedOrigin: true }])
      table(canvasRefusal, trusted, { ...usual, anonymous: PASSES });
  });

  it('is open while no token is live, and in development mode (§9 #23)', () => {
    table(canvasRefusal, { noLiveToken: true }, everybody(PASSES));
    table(canvasRefusal, { devOpen: true }, everybody(PASSES));
  });

  it('answers 503 while tokens cannot be looked up (README choice 11)', () =>
    table(canvasRefusal, { tokensKnown: false, session, noLiveToken: true, allowedOrigin: true }, everybody(UNAVAILABLE)));
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
