/** A workspace's tokens over HTTP (spec 1 §4.7), body by body. */
import { createHash, randomUUID } from 'node:crypto';
import { type Identity, subjects } from '@molecule/contracts';
import { waitFor, it as withServers } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { aDirectory, NOBODY, type Registry, startRegistry, withRegistry } from '../fixtures.ts';

const it = withRegistry(withServers);

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
const NOT_FOUND = { status: 404, body: { error: 'token not found or already revoked' } };
const mint = (registry: Registry, id: string) => registry.call('POST', `/workspaces/${id}/tokens`);
const list = (registry: Registry, id: string, query = '') => registry.call('GET', `/workspaces/${id}/tokens${query}`);

describe('POST /workspaces/:id/tokens', () => {
  it('shows the plaintext once; every gateway knows its hash when it is answered', async ({ registry, bus, log, signal }) => {
    const id = await registry.create();
    const directory = await aDirectory(bus, log, signal);
    const { status, body } = await mint(registry, id);
    expect([status, body]).toEqual([
      201,
      {
        auth_token: expect.stringMatching(/^[\w-]{43}$/),
        workspace_id: id,
        message: 'Save this token now — it cannot be retrieved again.',
      },
    ]);
    expect(directory.workspaceOfToken(sha256(body.auth_token))?.workspaceId).toBe(id);
    expect((await list(registry, id)).text).not.toContain(body.auth_token);
    await directory.stop();
  });

  it('never makes more than fifty live ones, however many ask at once, of whichever replica', async ({
    registry,
    postgresUrl,
    natsUrl,
    log,
    onTestFinished,
  }) => {
    const other = await startRegistry({ postgresUrl, natsUrl, log });
    onTestFinished(() => other.scope.close());
    const id = await registry.create();
    const answers = await Promise.all(Array.from({ length: 60 }, (_, n) => mint(n % 3 === 0 ? other : registry, id)));
    const made = answers.filter(({ status }) => status === 201).length;
    expect((await list(registry, id, '?limit=200')).body.count).toBe(made);
    expect(made).toBeLessThanOrEqual(50);
    while ((await mint(registry, id)).status === 201);
    expect((await list(other, id, '?limit=200')).body.count).toBe(50);
    expect(await mint(other, id)).toMatchObject({
      status: 429,
      body: { error: 'maximum 50 active tokens per workspace' },
    });
    const [{ id: tokenId }] = (await list(registry, id)).body.tokens;
    await registry.call('DELETE', `/workspaces/${id}/tokens/${tokenId}`);
    expect((await mint(other, id)).status).toBe(201);
  });

  it('is refused to a token that was revoked while its request was on the way', async ({ registry }) => {
    const id = await registry.create();
    await mint(registry, id);
    const [{ id: tokenId }] = (await list(registry, id)).body.tokens;
    const again = () =>
      registry.call('POST', `/workspaces/${id}/tokens`, { as: { kind: 'workspace', workspaceId: id, tokenId } });
    expect((await again()).status).toBe(201);
    await registry.call('DELETE', `/workspaces/${id}/tokens/${tokenId}`);
    expect(await again()).toMatchObject({ status: 401, body: { error: 'invalid workspace auth token' } });
    expect((await list(registry, id)).body.count).toBe(1);
  });

  it('is refused for a workspace that is not there any more', async ({ registry, others: _ }) => {
    const id = await registry.create();
    await registry.call('DELETE', `/workspaces/${id}`);
    for (const which of [id, randomUUID(), 'nonsense'])
      expect(await mint(registry, which)).toMatchObject({ status: 500, body: { error: 'failed to create token' } });
    expect((await list(registry, id)).body).toEqual({ tokens: [], count: 0 });
  });
});

describe('GET /workspaces/:id/tokens', () => {
  it('lists the live ones, newest first, page by page', async ({ registry }) => {
    const id = await registry.create();
    expect((await list(registry, id)).text).toBe('{"tokens":[],"count":0}');
    const prefixes: string[] = [];
    for (let n = 0; n < 3; n++) prefixes.unshift((await mint(registry, id)).body.auth_token.slice(0, 8));
    await mint(registry, await registry.create({ name: 'other' }));
    const page = async (query: string) => {
      const { body } = await list(registry, id, query);
      expect(body.count).toBe(body.tokens.length);
      return body.tokens.map(({ prefix }: { prefix: string }) => prefix);
    };
    expect((await list(registry, id)).body.tokens[0]).toEqual({
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      prefix: prefixes[0],
      created_at: expect.stringMatching(/Z$/),
      last_used_at: null,
    });
    expect(await page('')).toEqual(prefixes);
    expect(await page('?limit=2')).toEqual(prefixes.slice(0, 2));
    expect(await page('?limit=2&offset=2')).toEqual(prefixes.slice(2));
    expect(await page('?offset=3')).toEqual([]);
    for (const all of ['?limit=0', '?limit=201', '?limit=-1', '?limit=x', '?limit=1.5', '?offset=-1', '?offset=x'])
      expect(await page(all)).toEqual(prefixes);
    expect(await list(registry, 'nonsense')).toMatchObject({ status: 500, body: { error: 'failed to list tokens' } });
  });

  it('holds fifty unless it is asked for more', async ({ registry }) => {
    const id = await registry.create({ external: true }); // holds one already
    for (let n = 0; n < 49; n++) await mint(registry, id);
    expect((await registry.call('GET', `/admin/workspaces/${id}/test-token`)).status).toBe(200);
    expect((await list(registry, id)).body.count).toBe(50);
    expect((await list(registry, id, '?limit=51')).body.count).toBe(51);
  });

  it('says when one was used last, as gateways report it', async ({ registry, bus }) => {
    const id = await registry.create();
    await mint(registry, id);
    const [{ id: tokenId }] = (await list(registry, id)).body.tokens;
    const at = '2026-11-22T12:00:00.000Z';
    bus.nats.publish(subjects.tokenUses, JSON.stringify([{ tokenId, at }]));
    await waitFor(async () => (await list(registry, id)).body.tokens[0].last_used_at === at);
  });
});

describe('DELETE /workspaces/:id/tokens/:tokenId', () => {
  it('I4: ends it on every gateway before it answers, whichever replica is asked', async ({
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
    const id = await registry.create();
    const directory = await aDirectory(bus, log, signal);
    const { auth_token } = (await mint(registry, id)).body;
    const [{ id: tokenId }] = (await list(other, id)).body.tokens;
    expect(await other.call('DELETE', `/workspaces/${id}/tokens/${tokenId}`)).toMatchObject({
      status: 200,
      body: { status: 'revoked' },
    });
    expect(directory.workspaceOfToken(sha256(auth_token))).toBeUndefined();
    expect((await list(registry, id)).body).toEqual({ tokens: [], count: 0 });
    await directory.stop();
  });

  it('tells unknown, revoked and foreign ones apart to nobody (§9 #20)', async ({ registry }) => {
    const id = await registry.create();
    const other = await registry.create({ name: 'other' });
    await mint(registry, id);
    await mint(registry, other);
    const [{ id: own }] = (await list(registry, id)).body.tokens;
    const [{ id: foreign }] = (await list(registry, other)).body.tokens;
    await registry.call('DELETE', `/workspaces/${id}/tokens/${own}`);
    for (const which of [own, foreign, randomUUID(), 'nonsense'])
      expect(await registry.call('DELETE', `/workspaces/${id}/tokens/${which}`)).toMatchObject(NOT_FOUND);
    expect(await registry.call('DELETE', `/workspaces/nonsense/tokens/${foreign}`)).toMatchObject(NOT_FOUND);
    expect((await list(registry, other)).body.count).toBe(1);
  });

  it('is done once, while it is used to mint and to register', async ({ registry }) => {
    const id = await registry.create();
    await mint(registry, id);
    const [{ id: tokenId }] = (await list(registry, id)).body.tokens;
    const as: Identity = { kind: 'workspace', workspaceId: id, tokenId };
    const answers = await Promise.all([
      ...Array.from({ length: 4 }, () => registry.call('DELETE', `/workspaces/${id}/tokens/${tokenId}`)),
      ...Array.from({ length: 4 }, () => registry.register(id, {}, { as })),
    ]);
    expect(
      answers
        .slice(0, 4)
        .map(({ status }) => status)
        .toSorted(),
    ).toEqual([200, 404, 404, 404]);
    // Who registered before the end was let in; who came after found a workspace without a token, and was given a new one.
    const { tokens } = (await list(registry, id)).body;
    expect(tokens.map((token: { id: string }) => token.id)).not.toContain(tokenId);
    expect(answers.slice(4).filter(({ body }) => body.auth_token !== undefined)).toHaveLength(tokens.length);
  });
});

it('the workspace itself, an operator and nobody else may look after its tokens', async ({ registry }) => {
  const id = await registry.create();
  await mint(registry, id);
  const [{ id: tokenId }] = (await list(registry, id)).body.tokens;
  const own: Identity = { kind: 'workspace', workspaceId: id, tokenId };
  const other: Identity = { kind: 'workspace', workspaceId: randomUUID(), tokenId: randomUUID() };
  const paths = [
    ['GET', `/workspaces/${id}/tokens`],
    ['POST', `/workspaces/${id}/tokens`],
    ['DELETE', `/workspaces/${id}/tokens/${randomUUID()}`],
  ] as const;
  for (const [method, path] of paths) {
    const ask = async (as: Identity) => (await registry.call(method, path, { as })).text;
    expect(await ask(NOBODY)).toBe('{"error":"missing workspace auth token"}');
    for (const as of [other, { kind: 'unknown-token' } as const])
      expect(await ask(as)).toBe('{"error":"invalid workspace auth token"}');
    for (const as of [own, { kind: 'org', tokenId: 't', prefix: 'abcdefgh', orgId: '' } as const])
      expect(await ask(as)).not.toContain('workspace auth token');
  }
});
