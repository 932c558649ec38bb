/** Org tokens over HTTP (spec 1 §4.8), body by body, and what every gateway makes of them. */
import { createHash, randomUUID } from 'node:crypto';
import { type Identity, subjects } from '@molecule/contracts';
import { waitFor, it as withServers } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { ADMIN, aDirectory, NOBODY, type Registry, startRegistry, withRegistry } from '../fixtures.ts';

const it = withRegistry(withServers);

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const NOT_FOUND = { status: 404, body: { error: 'token not found or already revoked' } };
const mint = (registry: Registry, body?: object, call: Parameters<Registry['call']>[2] = {}) =>
  registry.call('POST', '/org/tokens', { ...call, ...(body && { body }) });
const asOrg = ({ id, prefix }: { id: string; prefix: string }, orgId = ''): Identity => ({
  kind: 'org',
  tokenId: id,
  prefix,
  orgId,
});

describe('POST /org/tokens', () => {
  it('shows the plaintext once, and keeps its hash', async ({ registry, bus, log, signal }) => {
    const directory = await aDirectory(bus, log, signal);
    const answer = await mint(registry, { name: 'ci' });
    expect(answer).toMatchObject({
      status: 200,
      body: {
        id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        prefix: answer.body.auth_token.slice(0, 8),
        name: 'ci',
        auth_token: expect.stringMatching(/^[\w-]{43}$/),
        warning: 'copy this token now; it will not be shown again',
      },
    });
    expect(Object.keys(answer.body).toSorted()).toEqual(['auth_token', 'id', 'name', 'prefix', 'warning']);
    // I4: known to the gateway when the answer is there.
    expect(directory.accessOf(sha256(answer.body.auth_token))).toMatchObject({ kind: 'org', id: answer.body.id });
    for (const path of ['/org/tokens', '/admin/access']) {
      const { text } = await registry.call('GET', path);
      expect(text).toContain(answer.body.id);
      expect(text).not.toContain(answer.body.auth_token);
      expect(text).not.toContain(sha256(answer.body.auth_token));
    }
    await directory.stop();
  });

  it('needs no body, and takes no name that is too long', async ({ registry }) => {
    for (const call of [{}, { raw: '{}' }, { raw: '{"name":null}' }, { raw: '{"name":""}' }]) {
      const { status, body } = await mint(registry, undefined, call);
      expect(status).toBe(200);
      expect(body).not.toHaveProperty('name');
    }
    expect((await mint(registry, { name: 'n'.repeat(100) })).status).toBe(200);
    for (const name of ['n'.repeat(101), 'ü'.repeat(51)])
      expect(await mint(registry, { name })).toMatchObject({ status: 400, body: { error: 'name too long (max 100 chars)' } });
    for (const raw of ['{', '[]', '{"name":7}'])
      expect(await mint(registry, undefined, { raw })).toMatchObject({ status: 400, body: { error: 'invalid request body' } });
  });

  it('remembers who minted it', async ({ registry }) => {
    const first = (await mint(registry)).body;
    await mint(registry, undefined, { as: asOrg(first) });
    await mint(registry, undefined, { headers: { cookie: 'some=thing' } });
    await mint(registry, undefined, { as: NOBODY, principal: { session: { kind: 'control-plane', id: 'u' } } });
    const { tokens, count } = (await registry.call('GET', '/org/tokens')).body;
    expect(tokens.map(({ created_by }: { created_by: string }) => created_by)).toEqual([
      'session',
      'session',
      `org-token:${first.prefix}`,
      'admin-token',
    ]);
    expect(count).toBe(4);
  });

  it('is refused to an org token that was revoked while its request was on the way', async ({ registry }) => {
    const { body } = await mint(registry);
    await registry.call('DELETE', `/org/tokens/${body.id}`);
    expect(await mint(registry, undefined, { as: asOrg(body) })).toMatchObject({
      status: 401,
      body: { error: 'invalid admin auth token' },
    });
  });
});

it('a session that ended while its request was on the way mints nothing, unless something else lets it in', async ({
  registry,
}) => {
  const session = { kind: 'canvas', id: randomUUID() } as const;
  const refused = await mint(registry, undefined, { as: NOBODY, principal: { session } });
  expect(refused).toMatchObject({ status: 401, body: { error: 'admin auth required' } });
  expect((await mint(registry, undefined, { as: ADMIN, principal: { session } })).status).toBe(200);
  const elsewhere = { kind: 'control-plane', id: 'u' } as const;
  expect((await mint(registry, undefined, { as: NOBODY, principal: { session: elsewhere } })).status).toBe(200);
});

describe('GET /org/tokens', () => {
  it('lists those that live, newest first, and leaves out what is empty', async ({ registry }) => {
    expect((await registry.call('GET', '/org/tokens')).text).toBe('{"tokens":[],"count":0}');
    const one = (await mint(registry, { name: 'one' })).body;
    const two = (await mint(registry)).body;
    const three = (await mint(registry)).body;
    await registry.call('DELETE', `/org/tokens/${two.id}`);
    const created_at = expect.stringMatching(/^\d{4}-.*Z$/);
    expect((await registry.call('GET', '/org/tokens')).body).toEqual({
      tokens: [
        { id: three.id, prefix: three.prefix, created_by: 'admin-token', created_at },
        { id: one.id, prefix: one.prefix, name: 'one', created_by: 'admin-token', created_at },
      ],
      count: 2,
    });
  });

  it('says when one was used last, as gateways report it, in whatever order', async ({ registry, bus }) => {
    const { id } = (await mint(registry)).body;
    const [early, late] = ['2026-11-22T12:00:00.000Z', '2026-11-22T13:00:00.000Z'];
    const lastUsed = async () => (await registry.call('GET', '/org/tokens')).body.tokens[0].last_used_at;
    bus.nats.publish(subjects.tokenUses, 'nonsense');
    bus.nats.publish(subjects.tokenUses, JSON.stringify([{ tokenId: id, at: late }]));
    await waitFor(async () => (await lastUsed()) === late);
    const other = (await mint(registry)).body;
    bus.nats.publish(
      subjects.tokenUses,
      JSON.stringify([
        { tokenId: id, at: early },
        { tokenId: other.id, at: late },
      ]),
    );
    await waitFor(async () => (await lastUsed()) === late); // of the other one
    const { tokens } = (await registry.call('GET', '/org/tokens')).body;
    expect(tokens.map((token: { last_used_at: string }) => token.last_used_at)).toEqual([late, late]);
  });

  it('is for whoever may administer', async ({ registry }) => {
    const refused = { status: 401, body: { error: 'admin auth required' } };
    for (const [method, path] of [
      ['GET', '/org/tokens'],
      ['POST', '/org/tokens'],
      ['DELETE', `/org/tokens/${randomUUID()}`],
      ['GET', '/admin/access'],
    ] as const)
      expect(await registry.call(method, path, { as: NOBODY })).toMatchObject(refused);
  });
});

describe('DELETE /org/tokens/:id', () => {
  it('I4: ends it on every gateway before it answers, with the sessions opened with it', async ({
    registry,
    bus,
    log,
    signal,
  }) => {
    const directory = await aDirectory(bus, log, signal);
    const token = (await mint(registry)).body;
    const opened = await registry.call('POST', '/session', { as: asOrg(token) });
    const cookie = /molecule_session=([^;]+)/.exec(String(opened.headers['set-cookie']))?.[1] ?? '';
    expect(directory.accessOf(sha256(cookie))).toBeDefined();
    const ended: string[] = [];
    directory.onAccessEnded(({ kind }) => void ended.push(kind));

    expect(await registry.call('DELETE', `/org/tokens/${token.id}`)).toMatchObject({
      status: 200,
      body: { revoked: token.id },
    });
    expect(directory.accessOf(sha256(token.auth_token))).toBeUndefined();
    expect(directory.accessOf(sha256(cookie))).toBeUndefined();
    expect(ended.toSorted()).toEqual(['org', 'session']);
    await directory.stop();
  });

  it('tells unknown and revoked ones apart to nobody (§9 #20)', async ({ registry }) => {
    const { id } = (await mint(registry)).body;
    await registry.call('DELETE', `/org/tokens/${id}`);
    for (const which of [id, randomUUID(), 'nonsense'])
      expect(await registry.call('DELETE', `/org/tokens/${which}`)).toMatchObject(NOT_FOUND);
  });

  it('is done once, however many ask at once', async ({ registry }) => {
    const { id } = (await mint(registry)).body;
    const answers = await Promise.all(Array.from({ length: 8 }, () => registry.call('DELETE', `/org/tokens/${id}`)));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([200, 404, 404, 404, 404, 404, 404, 404]);
  });

  it('minted through one registry, listed and revoked through the other', async ({
    registry,
    postgresUrl,
    natsUrl,
    bus,
    log,
    signal,
    onTestFinished,
  }) => {
    const other = await startRegistry({ postgresUrl, natsUrl, log });
    onTestFinished(() => other.scope.close());
    const directory = await aDirectory(bus, log, signal);
    const token = (await mint(registry)).body;
    expect((await other.call('GET', '/org/tokens')).body.tokens).toMatchObject([{ id: token.id }]);
    expect((await other.call('DELETE', `/org/tokens/${token.id}`)).status).toBe(200);
    expect(directory.accessOf(sha256(token.auth_token))).toBeUndefined();
    expect((await registry.call('GET', '/org/tokens')).body).toEqual({ tokens: [], count: 0 });
    expect(await registry.call('DELETE', `/org/tokens/${token.id}`)).toMatchObject(NOT_FOUND);
    await directory.stop();
  });
});
