/** Agent cards, served where A2A looks for them. */
import { randomUUID } from 'node:crypto';
import { removed, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { status } from '../testing/registry.ts';
import { admin, anonymous, it, type World } from '../testing/world.ts';

const WELL_KNOWN = '/.well-known/agent-card.json';
const cardOf = (world: World, proxy: { url: string }, id: string, call: Parameters<World['send']>[3] = {}, path = WELL_KNOWN) =>
  world.send(proxy, `/workspaces/${id}/a2a${path}`, 'GET', call);

describe('the card of an agent', () => {
  it.for(['', WELL_KNOWN, '/.well-known/agent.json'])(
    'is answered at a2a%s, with the address of the platform',
    async (path, { world }) => {
      const proxy = await world.proxy();
      const id = await world.workspace({ url: 'http://127.0.0.1:9' });
      world.registry.cards.set(id, { name: 'borealis', url: 'http://127.0.0.1:9', skills: [] });
      const answer = await cardOf(world, proxy, id, {}, path);
      expect(answer.status).toBe(200);
      expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
      expect(answer.text).toBe(`{"name":"borealis","url":"${proxy.url}/workspaces/${id}/a2a","skills":[]}`);
      const forwarded = { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'm.example' };
      expect((await cardOf(world, proxy, id, { headers: forwarded }, path)).json.url).toBe(
        `https://m.example/workspaces/${id}/a2a`,
      );
    },
  );

  it('has the address that the platform is told to have', async ({ world }) => {
    const proxy = await world.proxy({ EXTERNAL_PLATFORM_URL: 'https://platform.example/' });
    const id = await world.workspace({ url: 'http://127.0.0.1:9' });
    world.registry.cards.set(id, { name: 'borealis' });
    expect((await cardOf(world, proxy, id.toUpperCase())).json).toEqual({
      name: 'borealis',
      url: `https://platform.example/workspaces/${id}/a2a`,
    });
  });

  it('is not sent again to who has it, and sent when it has changed', async ({ world }) => {
    const proxy = await world.proxy();
    const id = await world.workspace({ url: 'http://127.0.0.1:9' });
    world.registry.cards.set(id, { name: 'one' });
    const { etag, 'cache-control': caching } = (await cardOf(world, proxy, id)).headers;
    expect([etag, caching]).toEqual([expect.stringMatching(/^"[\w-]{22}"$/), 'private, no-cache']);
    for (const known of [`${etag}`, `W/${etag}`, `"x", ${etag}`, '*']) {
      const same = await cardOf(world, proxy, id, { headers: { 'if-none-match': known } });
      expect([same.status, same.text, same.headers['etag']]).toEqual([304, '', etag]);
    }
    world.registry.cards.set(id, { name: 'two' });
    const changed = await cardOf(world, proxy, id, { headers: { 'if-none-match': `${etag}` } });
    expect([changed.status, changed.json.name]).toEqual([200, 'two']);
    expect(changed.headers['etag']).not.toBe(etag);
  });

  it('is there while its agent is asleep, and wakes nobody', async ({ world }) => {
    const proxy = await world.proxy();
    const id = await world.workspace({ url: 'http://127.0.0.1:9' });
    world.registry.cards.set(id, { name: 'sleeper' });
    await world.registry.say(id, status('hibernated'));
    expect((await cardOf(world, proxy, id)).status).toBe(200);
    expect(world.waker.asked).toEqual([]);
  });

  it('is none of a workspace that is not there, is gone, or has none', async ({ world }) => {
    const proxy = await world.proxy();
    const bare = await world.workspace({ url: 'http://127.0.0.1:9' });
    const odd = await world.workspace({ url: 'http://127.0.0.1:9' });
    const gone = await world.workspace({ url: 'http://127.0.0.1:9' });
    world.registry.cards.set(odd, 'a text');
    world.registry.cards.set(gone, { name: 'gone' });
    await world.registry.say(gone, removed);
    const told = async (id: string) => {
      const { status: code, text } = await cardOf(world, proxy, id);
      return [code, text];
    };
    const none = [404, '{"error":"workspace has no agent card"}'];
    expect([await told(bare), await told(odd)]).toEqual([none, none]);
    const notFound = [404, '{"error":"workspace not found"}'];
    expect([await told(randomUUID()), await told(gone)]).toEqual([notFound, notFound]);
    expect(await told('no-id')).toEqual([500, '{"error":"lookup failed"}']);
  });

  it('is read by who may call its agent, and by nobody else', async ({ world }) => {
    const [open, closed] = [await world.proxy(), await world.proxy({ MOLECULE_ENV: 'production' })];
    const id = await world.workspace({ url: 'http://127.0.0.1:9' });
    const peer = await world.workspace({ url: 'http://127.0.0.1:9' });
    const stranger = await world.workspace({ url: 'http://127.0.0.1:9' }, { parentId: peer });
    const nephew = await world.workspace({ url: 'http://127.0.0.1:9' }, { parentId: stranger });
    world.registry.cards.set(id, { name: 'borealis' });
    const as = (workspace: string, more = {}) => ({ headers: { 'x-workspace-id': workspace }, ...more });
    const denied = '{"error":"access denied: workspaces cannot communicate per hierarchy rules"}';
    expect((await cardOf(world, open, id, as(peer))).status).toBe(200);
    expect(await cardOf(world, open, id, as(nephew))).toMatchObject({ status: 403, text: denied });
    expect(await cardOf(world, open, randomUUID(), as(peer))).toMatchObject({ status: 403, text: denied });
    expect(await cardOf(world, open, id, as('system:x'))).toMatchObject({ status: 403, text: '{"error":"invalid caller ID"}' });

    const tokenId = await world.registry.issueToken(peer);
    const shown = as(peer, { identity: { kind: 'workspace', workspaceId: peer, tokenId } });
    await waitFor(async () => (await cardOf(world, open, id, as(peer))).status === 401);
    expect(await cardOf(world, open, id, as(peer))).toMatchObject({ text: '{"error":"missing caller auth token"}' });
    expect((await cardOf(world, open, id, shown)).status).toBe(200);
    expect(await cardOf(world, closed, id, { identity: anonymous })).toMatchObject({
      status: 401,
      text: '{"error":"missing workspace auth token"}',
    });
    expect((await cardOf(world, closed, id, { identity: admin })).status).toBe(200);
  });
});
