/** C1–C3: what a control plane is asked, how often, and what counts as an answer. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { it, testLog } from '@molecule/testkit';
import { describe, expect, onTestFinished } from 'vitest';
import { ControlPlaneSessions } from './sessions.ts';

const MEMBER = JSON.stringify({ member: true, user_id: 'user-1' });

async function setUp(log: ConstructorParameters<typeof ControlPlaneSessions>[0]['log'], { maxEntries = 10_000, path = '' } = {}) {
  const asked: { url: string | undefined; cookie: string | undefined; method: string | undefined }[] = [];
  const world = {
    now: 0,
    asked,
    answer: (_: IncomingMessage, response: ServerResponse): unknown => response.end(MEMBER),
  };
  const server = createServer((request, response) => {
    asked.push({ url: request.url, cookie: request.headers.cookie, method: request.method });
    world.answer(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const upstream = `http://127.0.0.1:${(server.address() as AddressInfo).port}${path}`;
  const sessions = new ControlPlaneSessions({ upstream, slug: 'ac&me', nowMs: () => world.now, log, maxEntries });
  onTestFinished(async () => {
    await sessions.close();
    server.closeAllConnections();
    server.close();
  });
  return { world, sessions };
}

const silent = testLog();
const USER = { kind: 'control-plane', id: 'user-1' };

describe('a cookie', () => {
  it('is asked about once, by every request that brings it, and again after 30 s', async ({ log }) => {
    const { world, sessions } = await setUp(log, { path: '/base/' });
    const answers = await Promise.all([sessions.verify('a=b'), sessions.verify('a=b'), sessions.verify('a=b')]);
    expect(answers).toEqual([USER, USER, USER]);
    expect(world.asked).toEqual([{ url: '/base/cp/auth/tenant-member?slug=ac%26me', cookie: 'a=b', method: 'GET' }]);
    world.now = 29_999;
    expect(sessions.verify('a=b'), 'at once').toEqual(USER);
    world.now = 30_000;
    expect(await sessions.verify('a=b')).toEqual(USER);
    expect(world.asked).toHaveLength(2);
    await sessions.verify('other');
    expect(world.asked).toHaveLength(3);
  });

  it.each<[string, (response: ServerResponse) => unknown]>([
    ['says no', (response) => response.end('{"member":false,"user_id":"user-1"}')],
    ['says somebody else is', (response) => response.end('{"member":true,"user_id":""}')],
    ['says true in another way', (response) => response.end('{"member":"true","user_id":"user-1"}')],
    ['says nothing that can be read', (response) => response.end('<html>')],
    ['refuses', (response) => response.writeHead(401).end(MEMBER)],
    ['sends us elsewhere', (response) => response.writeHead(302, { location: '/elsewhere' }).end(MEMBER)],
    ['does not stop', (response) => response.end(`{"member":true,"user_id":"user-1","x":"${'x'.repeat(70_000)}"}`)],
  ])('is none when the control plane %s; asked again after 5 s', async (_, answer) => {
    const { world, sessions } = await setUp(silent);
    world.answer = (_request, response) => answer(response);
    expect(await sessions.verify('a=b')).toBeNull();
    world.now = 4_999;
    expect(sessions.verify('a=b'), 'at once').toBeNull();
    world.now = 5_000;
    expect(await sessions.verify('a=b')).toBeNull();
    expect(world.asked).toHaveLength(2);
  });

  it('is none while the control plane cannot be reached, and asked about again at once', async ({ log }) => {
    const { world, sessions } = await setUp(log);
    world.answer = (request) => request.socket.destroy();
    expect(await sessions.verify('a=b')).toBeNull();
    world.answer = (_, response) => response.end(MEMBER);
    expect(await sessions.verify('a=b')).toEqual(USER);
  });

  it('is none when no answer comes within 3 s', { timeout: 15_000 }, async ({ log }) => {
    const { world, sessions } = await setUp(log);
    world.answer = () => undefined;
    expect(await sessions.verify('a=b')).toBeNull();
    expect(sessions.size).toBe(0);
  });

  it('is asked about within a bound: one too many is none for now', async ({ log }) => {
    const { world, sessions } = await setUp(log, { maxEntries: 2 });
    const asking = [sessions.verify('a'), sessions.verify('b')];
    expect(sessions.verify('c'), 'at once').toBeNull();
    expect(await Promise.all(asking)).toEqual([USER, USER]);
    expect(await sessions.verify('c')).toEqual(USER);
    expect(world.asked).toHaveLength(3);
  });

  it('is remembered within a bound: the oldest is forgotten', async ({ log }) => {
    const { world, sessions } = await setUp(log, { maxEntries: 3 });
    for (const cookie of ['a', 'b', 'c', 'd']) await sessions.verify(cookie);
    expect(sessions.size).toBe(3);
    expect(sessions.verify('d')).toEqual(USER);
    await sessions.verify('a');
    expect(world.asked).toHaveLength(5);
  });
});
