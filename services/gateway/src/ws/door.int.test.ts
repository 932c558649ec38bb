/** The door of sockets in the order of the edge (spec 1 §4.1), and the end of those whose right ends (S1, S3). */
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { manualClock, waitFor } from '@molecule/testkit';
import { describe, expect, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import { listenTo, openStream } from '../testing/listeners.ts';
import { bearer, call, type Gateway, it, PRODUCTION } from '../testing/world.ts';

interface Knock {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly text: string;
  /** Resolves with the code with which the socket is closed, if it was opened. */
  readonly closed: Promise<number>;
}

/** Asks for a socket, and tells what the answer was. */
function knock({ port }: Gateway, headers: Record<string, string> = {}): Promise<Knock> {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/ws`, { headers });
  onTestFinished(() => socket.terminate());
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  return new Promise((resolve) => {
    socket.on('error', () => undefined);
    socket.once('upgrade', ({ headers }) => resolve({ status: 101, headers, text: '', closed }));
    socket.once('unexpected-response', async (_, response) =>
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text: await text(response), closed }),
    );
  });
}

describe('a socket', () => {
  it('counts against the limit of its address, and is told so, let in or not', async ({ world }) => {
    const { id } = await world.registry.enrol();
    const gateway = await world.gateway({ RATE_LIMIT: '3' }, {}, { clock: manualClock() });
    const left = ({ headers }: Knock) => headers['x-ratelimit-remaining'];
    const open = await knock(gateway);
    expect([open.status, left(open)]).toEqual([101, '2']);
    const refused = await knock(gateway, { 'X-Workspace-ID': id });
    expect([refused.status, left(refused), refused.headers['x-frame-options']]).toEqual([401, '1', 'DENY']);
    await call(gateway, '/health');
    const limited = await knock(gateway);
    expect(limited).toMatchObject({ status: 429, text: '{"error":"rate limit exceeded","retry_after":60}' });
    expect(limited.headers).toMatchObject({ 'retry-after': '60', 'x-ratelimit-limit': '3', 'x-ratelimit-remaining': '0' });
    expect(limited.headers['x-frame-options']).toBeUndefined();
  });

  it('is one of so many that its address may have open; event streams count among them', async ({ world }) => {
    const { id, token } = await world.registry.enrol();
    const gateway = await world.gateway({ CONNECTIONS_PER_ADDRESS: '2' });
    const stream = await openStream(gateway, id, { headers: bearer(token) });
    const { socket } = await listenTo(gateway);
    const refused = { status: 429, text: '{"error":"too many open connections"}' };
    expect(await knock(gateway)).toMatchObject(refused);
    await expect(openStream(gateway, id, { headers: bearer(token) })).rejects.toThrow(`429 ${refused.text}`);
    socket.terminate();
    await waitFor(async () => (await knock(gateway)).status === 101, { what: 'room for one more' });
    expect(await knock(gateway)).toMatchObject(refused);
    stream.response.destroy();
    await waitFor(async () => (await knock(gateway)).status === 101, { what: 'room where a stream was' });
  });

  it('of another tenant is not here', async ({ world }) => {
    const gateway = await world.gateway({ MOLECULE_ORG_ID: 'acme' });
    const refused = await knock(gateway);
    expect(refused).toMatchObject({ status: 404, text: '' });
    expect(refused.headers['x-frame-options']).toBeUndefined();
    expect((await knock(gateway, { 'X-Molecule-Org-Id': 'acme' })).status).toBe(101);
    const { text } = await call(gateway, '/metrics');
    expect(text).toMatch(/^molecule_http_requests_total\{method="GET",path="\/ws",status="404".*\} 1$/m);
    expect(text).toMatch(/^molecule_http_requests_total\{method="GET",path="\/ws",status="101".*\} 1$/m);
    expect(text).toMatch(/^molecule_auth_denials_total\{reason="other-tenant".*\} 1$/m);
  });
});

describe('in production a canvas', () => {
  it('comes in with a session, an org token or the admin’s, and goes when the right ends', async ({ world }) => {
    const org = await world.registry.orgToken();
    const session = await world.registry.session();
    const other = await world.registry.session();
    const agent = await world.registry.enrol();
    const gateway = await world.gateway(PRODUCTION);
    const byOrg = await knock(gateway, bearer(org.token));
    const bySession = await knock(gateway, { cookie: session.cookie });
    const beside = await knock(gateway, { cookie: session.cookie, ...bearer(agent.token) });
    expect((await knock(gateway, bearer(agent.token))).status, 'a workspace is no canvas').toBe(401);
    const byOther = await knock(gateway, { cookie: other.cookie });
    const byAdmin = await knock(gateway, bearer('root'));
    expect([byOrg, bySession, beside, byOther, byAdmin].map(({ status }) => status)).toEqual([101, 101, 101, 101, 101]);
    expect(await knock(gateway)).toMatchObject({ status: 401, text: '{"error":"admin auth required"}' });

    const ended: string[] = [];
    for (const [name, { closed }] of Object.entries({ byOrg, bySession, byOther, byAdmin }))
      void closed.then(() => ended.push(name));
    await world.registry.closeSession(session.id);
    expect(await bySession.closed).toBe(1008);
    expect(await beside.closed, 'the session let it in, not the token beside it').toBe(1008);
    await world.registry.revokeOrgToken(org.id);
    expect(await byOrg.closed).toBe(1008);
    expect(ended).toEqual(['bySession', 'byOrg']);
    expect((await knock(gateway, { cookie: session.cookie })).status).toBe(401);
  });

  it('that guesses is locked out, and a workspace with a live token is not', async ({ world }) => {
    const { id, token } = await world.registry.enrol();
    const gateway = await world.gateway({ ...PRODUCTION, AUTH_FAILURES_PER_MINUTE: '1' }, {}, { clock: manualClock() });
    expect((await knock(gateway, bearer('a'))).status).toBe(401);
    expect((await knock(gateway, { 'X-Workspace-ID': id, ...bearer('b') })).status).toBe(429);
    expect(await knock(gateway, bearer('root'))).toMatchObject({ status: 429, headers: { 'retry-after': '60' } });
    expect((await knock(gateway, { 'X-Workspace-ID': id, ...bearer(token) })).status).toBe(101);
  });
});
