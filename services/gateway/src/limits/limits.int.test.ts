/** What an address may do, over real HTTP (spec 1 §4.1, §4.12): the order of the edge, its headers, and what production adds. */
import { manualClock, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { bearer, type Call, call, type Gateway, it, PRODUCTION } from '../testing/world.ts';

const limitsOf = ({ headers }: Awaited<ReturnType<typeof call>>) => [
  headers['x-ratelimit-limit'],
  headers['x-ratelimit-remaining'],
  headers['x-ratelimit-reset'],
];

describe('the limit of an address', () => {
  it('is told with every answer, whatever it is, and shared by all that the address asks', async ({ world }) => {
    const clock = manualClock();
    const gateway = await world.gateway({ RATE_LIMIT: '8', ADMIN_TOKEN: 'root' }, {}, { clock });
    const answers = [];
    for (const [path, options] of [
      ['/health', {}],
      ['/nothing', {}],
      ['/health/', {}],
      ['/admin/liveness', {}],
      ['/registry/heartbeat', { method: 'POST', body: '{}' }],
      ['/registry/heartbeat', { method: 'POST', body: '{"workspace_id":"nobody"}' }],
      ['/events', {}],
    ] as [string, Call][])
      answers.push(await call(gateway, path, options));
    expect(answers.map(({ status }) => status)).toEqual([200, 404, 301, 401, 400, 200, 503]);
    expect(answers.map(limitsOf)).toEqual([7, 6, 5, 4, 3, 2, 1].map((left) => ['8', String(left), '60']));
    for (const { headers } of answers) expect(headers['x-frame-options']).toBe('DENY');

    clock.advance(20_500);
    expect(limitsOf(await call(gateway, '/health'))).toEqual(['8', '0', '40']);
    const refused = await call(gateway, '/health', { headers: { 'x-forwarded-for': '192.0.2.1' } });
    expect(refused).toMatchObject({
      status: 429,
      text: '{"error":"rate limit exceeded","retry_after":40}',
      headers: { 'content-type': 'application/json; charset=utf-8', 'retry-after': '40' },
    });
    expect(limitsOf(refused)).toEqual(['8', '0', '40']);
    expect(refused.headers['x-frame-options']).toBeUndefined();
    const beat = await call(gateway, '/registry/heartbeat', { method: 'POST', body: '{"workspace_id":"nobody"}' });
    expect(beat.status).toBe(429);

    clock.advance(39_500);
    const { text, ...again } = await call(gateway, '/metrics');
    expect(limitsOf({ text, ...again })).toEqual(['8', '7', '60']);
    expect(text, 'what was refused is no request').toMatch(
      /^molecule_http_requests_total\{.*path="\/health",status="200".*\} 2$/m,
    );
    expect(text).not.toMatch(/status="429"/);
    expect(text).toMatch(/^molecule_auth_denials_total\{reason="rate-limited".*\} 2$/m);
  });

  it('does not hold where development is open, and that is told', async ({ world }) => {
    const gateway = await world.gateway({ RATE_LIMIT: '1', MOLECULE_ENV: 'development' });
    for (let n = 0; n < 3; n++) expect(limitsOf(await call(gateway, '/health'))).toEqual(['unlimited', undefined, undefined]);
  });

  it('comes after CORS: who is refused there uses up nothing and is told nothing', async ({ world }) => {
    const gateway = await world.gateway({ RATE_LIMIT: '1' });
    const foreign = await call(gateway, '/health', { headers: { origin: 'https://evil.example' } });
    expect(foreign).toMatchObject({ status: 403, text: '' });
    expect(limitsOf(foreign)).toEqual([undefined, undefined, undefined]);
    const headers = { origin: 'http://localhost:3000' };
    expect((await call(gateway, '/health', { headers })).status).toBe(200);
    const limited = await call(gateway, '/health', { headers });
    expect(limited).toMatchObject({ status: 429, headers: { 'access-control-allow-origin': 'http://localhost:3000' } });
  });
});

describe('new org tokens', () => {
  const mint = (gateway: Gateway, headers = bearer('root')) => call(gateway, '/org/tokens', { method: 'POST', headers });
  const registry = (_: unknown, response: { end(text: string): void }) => response.end('minted');

  it('are ten in an hour for one address, counted once it may have any', async ({ world }) => {
    const clock = manualClock();
    const gateway = await world.gateway({ ADMIN_TOKEN: 'root', RATE_LIMIT: 'default' }, { registry }, { clock });
    for (let n = 0; n < 3; n++)
      expect(limitsOf(await mint(gateway, bearer('wrong'))), 'not the admin').toEqual(['600', String(599 - n), '60']);
    for (let left = 9; left >= 0; left--) {
      const answer = await mint(gateway);
      expect([answer.text, ...limitsOf(answer)]).toEqual(['minted', '10', String(left), '3600']);
    }
    const refused = await mint(gateway);
    expect(refused).toMatchObject({
      status: 429,
      text: '{"error":"rate limit exceeded","retry_after":3600}',
      headers: { 'retry-after': '3600', 'x-frame-options': 'DENY' },
    });
    expect(limitsOf(refused)).toEqual(['10', '0', '3600']);
    for (const detour of ['/org/tokens/../tokens', '/org/tokens/%2e%2e/tokens', '/org/tokens#'])
      expect((await call(gateway, detour, { method: 'POST', headers: bearer('root') })).status, detour).toBe(429);
    expect((await call(gateway, '/org/tokens', { headers: bearer('root') })).text).toBe('minted');
    clock.advance(3_600_000);
    expect((await mint(gateway)).status).toBe(200);
  });

  it('are not limited where development is open', async ({ world }) => {
    const gateway = await world.gateway({ MOLECULE_ENV: 'development' }, { registry });
    for (let n = 0; n < 12; n++) expect(limitsOf(await mint(gateway, bearer('x')))).toEqual(['unlimited', undefined, undefined]);
  });
});

describe('guessing in production', () => {
  const guess = (gateway: Gateway, token: string) => call(gateway, '/admin/liveness', { headers: bearer(token) });

  it('ends with 429 for every credential but a live workspace token, until the minute is over', async ({ world }) => {
    const clock = manualClock();
    const { id, token } = await world.registry.enrol();
    const { token: orgToken } = await world.registry.orgToken();
    const { cookie } = await world.registry.session();
    const answered: string[] = [];
    const gateway = await world.gateway(
      { ...PRODUCTION, AUTH_FAILURES_PER_MINUTE: '3' },
      { registry: (_, response) => response.end(String(answered.push('x'))) },
      { clock },
    );
    const beat = (headers = {}) =>
      call(gateway, '/registry/heartbeat', { method: 'POST', headers, body: JSON.stringify({ workspace_id: id }) });
    for (const wrong of ['a', 'a', 'a', 'a', 'b']) expect((await guess(gateway, wrong)).status).toBe(401);
    expect((await beat(bearer('c'))).status, 'a beat guesses too').toBe(401);
    expect((await guess(gateway, 'root')).status).toBe(200);

    clock.advance(10_000);
    const lockedOut = await guess(gateway, 'd');
    expect(lockedOut).toMatchObject({
      status: 429,
      text: '{"error":"too many failed authentications","retry_after":50}',
      headers: { 'retry-after': '50', 'content-type': 'application/json; charset=utf-8' },
    });
    const answers = [
      await guess(gateway, 'root'),
      await guess(gateway, orgToken),
      await call(gateway, '/admin/liveness', { headers: { cookie } }),
      await call(gateway, '/admin/liveness', { headers: { authorization: 'root' } }),
      await beat(bearer('e')),
      await beat(bearer('root')),
    ];
    expect(answers.map(({ status, text }) => [status, text])).toEqual(answers.map(() => [429, lockedOut.text]));

    expect((await beat(bearer(token))).status).toBe(200);
    expect((await call(gateway, `/workspaces/${id}`, { headers: bearer(token) })).status).toBe(200);
    expect(answered, 'nobody else got to an owner').toEqual(['x']);
    expect((await call(gateway, '/health')).status).toBe(200);
    expect((await call(gateway, '/admin/liveness')).status, 'who shows nothing hears what is wanted').toBe(401);

    clock.advance(50_000);
    expect((await guess(gateway, 'root')).status).toBe(200);
    const { text } = await call(gateway, '/metrics', { headers: bearer('root') });
    expect(text).toMatch(/^molecule_auth_denials_total\{reason="locked-out".*\} 7$/m);
    expect(text).toMatch(/^molecule_auth_denials_total\{reason="invalid".*\} 6$/m);
    expect(text).toMatch(/^molecule_auth_denials_total\{reason="missing".*\} 1$/m);
  });

  it('is not limited elsewhere', async ({ world }) => {
    const gateway = await world.gateway({ ADMIN_TOKEN: 'root', AUTH_FAILURES_PER_MINUTE: '1' });
    for (const wrong of ['a', 'b', 'c']) expect((await guess(gateway, wrong)).status).toBe(401);
    expect((await guess(gateway, 'root')).status).toBe(200);
  });

  it('opens nothing while tokens are not known: the admin hears what everybody hears', async ({ world }) => {
    await world.registry.stop();
    const gateway = await world.gateway(PRODUCTION);
    const [right, wrong] = [await guess(gateway, 'root'), await guess(gateway, 'wrong')];
    expect([right.status, right.text]).toEqual([wrong.status, wrong.text]);
    expect(right.status).toBe(503);
  });
});

describe('who asks', () => {
  it('may be an organisation or a session, as long as it opens doors', async ({ world }) => {
    const org = await world.registry.orgToken();
    const session = await world.registry.session();
    const gateway = await world.gateway(PRODUCTION);
    const see = async (headers: Record<string, string>) => (await call(gateway, '/admin/health', { headers })).status;
    expect(await see(bearer(org.token))).toBe(200);
    expect(await see({ cookie: session.cookie })).toBe(200);
    await world.registry.revokeOrgToken(org.id);
    await waitFor(async () => (await see(bearer(org.token))) === 401, { what: 'the org token to end' });
    expect(await see({ cookie: session.cookie })).toBe(200);
    await world.registry.closeSession(session.id);
    await waitFor(async () => (await see({ cookie: session.cookie })) === 401, { what: 'the session to end' });
  });
});
