/** What belongs to a workspace beside itself, on real servers (spec 1 §1.6, §1.10, §1.11). */
import { randomUUID } from 'node:crypto';
import { ask } from '@molecule/bus';
import { ask as asks, type Identity, subjects, WorkspaceId } from '@molecule/contracts';
import { waitFor, it as withServers } from '@molecule/testkit';
import { Kysely, PostgresDialect } from 'kysely';
import { Pool } from 'pg';
import { describe, expect } from 'vitest';
import type { Tables } from '../database.ts';
import { ADMIN, aGateway, beat, type Call, NOBODY, rowsOf, withRegistry } from '../fixtures.ts';
import { storeConfig } from './config-document.ts';

const it = withRegistry(withServers);
const refusal = (status: number, error: string) => ({ status, body: { error } });
const UNKNOWN: Identity = { kind: 'unknown-token' };
const ORG: Identity = { kind: 'org', tokenId: 't', prefix: 'abcdefgh', orgId: '' };

describe('/workspaces/:id/config', () => {
  it('is merged by its top-level keys', async ({ registry }) => {
    const id = await registry.create();
    const patch = (raw: string) => registry.call('PATCH', `/workspaces/${id}/config`, { raw });
    const config = async () => (await registry.call('GET', `/workspaces/${id}/config`)).text;
    expect(await config()).toBe('{"data":{}}');
    expect(await patch('{"a":{"x":1},"b":null}')).toMatchObject({ status: 200, text: '{"status":"updated"}' });
    await patch('{"a":{"y":2},"c":"é"}');
    expect(JSON.parse(await config())).toEqual({ data: { a: { y: 2 }, b: null, c: 'é' } });
    for (const keyless of ['[1]', '"text"', '7', 'null', '{}'])
      expect(await patch(keyless)).toMatchObject({ status: 200, text: '{"status":"updated"}' });
    expect(JSON.parse(await config())).toEqual({ data: { a: { y: 2 }, b: null, c: 'é' } });
  });

  it('loses none of what comes together', async ({ registry }) => {
    const id = await registry.create();
    const keys = Array.from({ length: 12 }, (_, n) => `key ${n}`);
    await Promise.all(keys.map((key) => registry.call('PATCH', `/workspaces/${id}/config`, { body: { [key]: key } })));
    const { data } = (await registry.call('GET', `/workspaces/${id}/config`)).body;
    expect(data).toEqual(Object.fromEntries(keys.map((key) => [key, key])));
  });

  it('takes 262144 bytes and no more', async ({ registry }) => {
    const id = await registry.create();
    const sized = (bytes: number) => `{"k":"${'x'.repeat(bytes - 8)}"}`;
    const patch = (raw: string) => registry.call('PATCH', `/workspaces/${id}/config`, { raw });
    expect((await patch(sized(262_144))).status).toBe(200);
    expect(await patch(sized(262_145))).toMatchObject(refusal(413, 'body too large or unreadable'));
    for (const text of ['', '{', '{"a":}', '{"a":"\\u0000"}'])
      expect(await patch(text)).toMatchObject(refusal(400, 'invalid JSON'));
  });

  it('grows to 1 MiB and no further, and can be made smaller again', async ({ registry }) => {
    const id = await registry.create();
    const patch = (key: string, bytes: number) =>
      registry.call('PATCH', `/workspaces/${id}/config`, { body: { [key]: 'x'.repeat(bytes) } });
    const config = async () => (await registry.call('GET', `/workspaces/${id}/config`)).body.data;
    for (const key of ['a', 'b', 'c', 'd']) expect((await patch(key, 260_000)).status).toBe(200);
    expect(await patch('e', 10_000)).toMatchObject(refusal(413, 'body too large or unreadable'));
    expect(Object.keys(await config())).toEqual(['a', 'b', 'c', 'd']);
    expect((await patch('a', 1)).status).toBe(200);
    expect((await patch('e', 10_000)).status).toBe(200);
    expect(await config()).toMatchObject({ a: 'x', e: 'x'.repeat(10_000) });
  });

  it('belongs to a workspace that there is, or was', async ({ registry, postgresUrl }) => {
    const gone = await registry.create();
    for (const id of [randomUUID(), 'nobody'])
      expect(await registry.call('PATCH', `/workspaces/${id}/config`, { body: { a: 1 } })).toMatchObject(
        refusal(500, 'failed to update config'),
      );
    expect((await registry.call('GET', `/workspaces/${randomUUID()}/config`)).text).toBe('{"data":{}}');
    expect(await registry.call('GET', '/workspaces/nobody/config')).toMatchObject(refusal(500, 'query failed'));
    expect(await registry.call('GET', `/workspaces/${gone}/config`, { as: NOBODY })).toMatchObject(
      refusal(401, 'missing workspace auth token'),
    );
    await registry.call('DELETE', `/workspaces/${gone}`);
    expect((await registry.call('PATCH', `/workspaces/${gone}/config`, { body: { a: 1 } })).status).toBe(200);
    await registry.call('DELETE', `/workspaces/${gone}?purge=true`);
    expect(await rowsOf(postgresUrl, 'select from workspace_config')).toEqual([]);
    expect((await registry.call('PATCH', `/workspaces/${gone}/config`, { body: { a: 1 } })).status).toBe(500);
  });
});

describe('/canvas/viewport', () => {
  it('is one for all, and nowhere yet at first', async ({ registry }) => {
    const viewport = async () => (await registry.call('GET', '/canvas/viewport', { as: NOBODY })).text;
    const put = (raw: string, call: Call = {}) => registry.call('PUT', '/canvas/viewport', { raw, ...call });
    expect(await viewport()).toBe('{"x":0,"y":0,"zoom":1}');
    expect(await put('{"x":1.5,"y":-2,"zoom":1.5}')).toMatchObject({ status: 200, text: '{"status":"saved"}' });
    expect(await viewport()).toBe('{"x":1.5,"y":-2,"zoom":1.5}');
    for (const text of ['', '[]', '{"x":"1"}', '{"zoom":1e400}'])
      expect(await put(text)).toMatchObject(refusal(400, 'invalid viewport data'));
    expect(await viewport()).toBe('{"x":1.5,"y":-2,"zoom":1.5}');
    expect((await put('{"x":3,"y":null}')).status).toBe(200);
    expect(await viewport()).toBe('{"x":3,"y":0,"zoom":0}');
  });

  it('is moved by canvases and bearers', async ({ registry }) => {
    const put = (call: Call) => registry.call('PUT', '/canvas/viewport', { body: { zoom: 1 }, ...call });
    expect(await put({ as: NOBODY })).toMatchObject(refusal(401, 'admin auth required'));
    expect(await put({ as: ORG })).toMatchObject(refusal(401, 'invalid admin auth token'));
    expect((await put({ as: { kind: 'workspace', workspaceId: randomUUID(), tokenId: 't' } })).status).toBe(200);
    expect((await put({ as: NOBODY, principal: { allowedOrigin: true } })).status).toBe(200);
    expect((await put({ as: NOBODY, principal: { devOpen: true } })).status).toBe(200);
  });
});

describe('/workspaces/:id/budget', () => {
  it('is set by operators, and shows what beats say was spent', async ({ registry, bus }) => {
    const id = await registry.create();
    const patch = (raw: string) => registry.call('PATCH', `/workspaces/${id}/budget`, { raw });
    const gateway = aGateway(bus);
    const get = async () => (await registry.call('GET', `/workspaces/${id}/budget`, { after: gateway })).text;
    expect(await get()).toBe('{"budget_limit":null,"monthly_spend":0,"budget_remaining":null,"budget_used":0}');
    const limited = '{"budget_limit":500,"monthly_spend":0,"budget_remaining":500,"budget_used":0}';
    expect(await patch('{"budget_limit":500.9}')).toMatchObject({ status: 200, text: limited });
    expect(await get()).toBe(limited);
    beat(gateway, id, { monthly_spend: 700 });
    expect(await get()).toBe('{"budget_limit":500,"monthly_spend":700,"budget_remaining":-200,"budget_used":700}');
    expect((await patch('{"budget_limit":0}')).body).toMatchObject({ budget_limit: 0, budget_remaining: -700 });
    expect((await patch('{"budget_limit":null}')).body).toMatchObject({ budget_limit: null, budget_remaining: null });
    expect((await registry.call('GET', '/workspaces')).body[0]).toMatchObject({ budget_limit: null, monthly_spend: 700 });
    expect(await registry.events(id)).toHaveLength(2); // provisioning, and the beat's online
  });

  it.for([
    ['', 'invalid request body'],
    ['[]', 'invalid request body'],
    ['null', 'invalid request body'],
    ['{}', 'budget_limit field is required'],
    ['{"limit":1}', 'budget_limit field is required'],
    ['{"budget_limit":-1}', 'budget_limit must be >= 0 (USD cents)'],
    ['{"budget_limit":-0.5}', 'budget_limit must be >= 0 (USD cents)'],
    ['{"budget_limit":"5"}', 'budget_limit must be an integer (USD cents) or null'],
    ['{"budget_limit":true}', 'budget_limit must be an integer (USD cents) or null'],
    ['{"budget_limit":1e400}', 'budget_limit must be an integer (USD cents) or null'],
    ['{"budget_limit":1e17}', 'budget_limit must be an integer (USD cents) or null'],
  ])('refuses %s: %s', async ([raw = '', error = ''], { registry }) =>
    expect(await registry.call('PATCH', `/workspaces/${randomUUID()}/budget`, { raw })).toMatchObject(refusal(400, error)),
  );

  it('is nobody’s but of workspaces that are there, and no agent lifts its own', async ({ registry }) => {
    const gone = await registry.create();
    await registry.call('DELETE', `/workspaces/${gone}`);
    for (const id of [gone, randomUUID(), 'nobody']) {
      expect(await registry.call('GET', `/workspaces/${id}/budget`)).toMatchObject(refusal(404, 'workspace not found'));
      expect(await registry.call('PATCH', `/workspaces/${id}/budget`, { body: { budget_limit: 1 } })).toMatchObject(
        refusal(404, 'workspace not found'),
      );
    }
    const id = await registry.create();
    const own: Identity = { kind: 'workspace', workspaceId: id, tokenId: 't' };
    expect((await registry.call('GET', `/workspaces/${id}/budget`, { as: own })).status).toBe(200);
    expect(await registry.call('PATCH', `/workspaces/${id}/budget`, { as: own, body: { budget_limit: null } })).toMatchObject(
      refusal(401, 'invalid admin auth token'),
    );
  });

  it('I4: is answered when every directory knows it', async ({ registry, bus }) => {
    const id = WorkspaceId.parse(await registry.create());
    const asked: (() => void)[] = [];
    const instance = 'slow';
    bus.nats.subscribe(subjects.directoryBarrier, {
      callback: (_, message) => {
        if (message.json<{ workspaceId?: string }>().workspaceId !== id) return;
        asked.push(() => message.respond(JSON.stringify({ instance })));
      },
    });
    bus.nats.publish(subjects.directoryPresence, JSON.stringify({ kind: 'here', instance, service: 'a2a-proxy' }));
    await waitFor(async () => {
      await registry.call('PATCH', `/workspaces/${id}`, { body: { name: randomUUID() } });
      return asked.length > 0;
    });
    asked.length = 0;
    let answered = false;
    const limiting = registry.call('PATCH', `/workspaces/${id}/budget`, { body: { budget_limit: 7 } }).finally(() => {
      answered = true;
    });
    await waitFor(() => asked.length > 0, { what: 'the barrier of the budget' });
    expect(answered).toBe(false);
    expect((await ask(bus, asks.registry.resolve, { workspaceId: id })).entry?.budgetLimit).toBe(7);
    asked[0]?.();
    expect((await limiting).status).toBe(200);
  });
});

describe('GET /workspaces/:id/state', () => {
  const of = (id: string): Identity => ({ kind: 'workspace', workspaceId: id, tokenId: 't' });

  it('is told who holds a token of it, and nobody else once there is one', async ({ registry }) => {
    const [id, bare] = [await registry.create(), await registry.create()];
    await registry.register(id);
    const state = async (which: string, call: Call) => {
      const { status, body } = await registry.call('GET', `/workspaces/${which}/state`, call);
      return status === 200 ? 200 : `${status} ${body.error}`;
    };
    const missing = '401 missing workspace auth token';
    const invalid = '401 invalid workspace auth token';
    const table: [who: string, call: Call, withToken: unknown, withoutToken: unknown][] = [
      ['its own', { as: of(id) }, 200, invalid],
      ['the other’s', { as: of(bare) }, invalid, 200],
      ['nobody', { as: NOBODY }, missing, missing],
      ['an unknown bearer', { as: UNKNOWN }, invalid, invalid],
      ['the admin', { as: ADMIN }, invalid, 200],
      ['an org token', { as: ORG }, invalid, 200],
      ['a page of ours', { as: NOBODY, principal: { sameOrigin: true } }, missing, 200],
      ['development', { as: NOBODY, principal: { devOpen: true, adminTokenSet: false } }, missing, 200],
      ['a session', { as: NOBODY, principal: { session: { kind: 'canvas', id: 's' } } }, missing, 200],
      ['a service', { as: { kind: 'service', service: 'sweeper', as: '' } }, 200, 200],
    ];
    for (const [who, call, withToken, withoutToken] of table)
      expect([who, await state(id, call), await state(bare, call)]).toEqual([who, withToken, withoutToken]);
  });

  it('says whether to go on', async ({ registry }) => {
    const id = await registry.create();
    const state = async (which = id) => {
      const { status, text } = await registry.call('GET', `/workspaces/${which}/state`);
      return [status, text];
    };
    expect(await state()).toEqual([200, `{"workspace_id":"${id}","status":"provisioning","paused":false,"deleted":false}`]);
    await registry.call('DELETE', `/workspaces/${id}`);
    expect(await state()).toEqual([404, `{"workspace_id":"${id}","status":"removed","deleted":true}`]);
    const never = randomUUID();
    expect(await state(never)).toEqual([404, `{"workspace_id":"${never}","deleted":true}`]);
  });

  it('I9: opens nothing when tokens cannot be counted', async ({ registry, postgresUrl }) => {
    const id = await registry.create();
    await rowsOf(postgresUrl, 'alter table tokens rename to elsewhere');
    expect(await registry.call('GET', `/workspaces/${id}/state`)).toMatchObject(refusal(500, 'auth check failed'));
  });
});

describe('POST /admin/workspaces/:id/bootstrap-failed', () => {
  it('fails what is being started, and nothing else', async ({ registry }) => {
    const id = await registry.create();
    const report = (body: unknown, which = id, call: Call = {}) =>
      registry.call('POST', `/admin/workspaces/${which}/bootstrap-failed`, { body, ...call });
    expect(await report([], id)).toMatchObject(refusal(400, 'invalid request body'));
    expect(await report({ error: 7 })).toMatchObject(refusal(400, 'invalid request body'));
    expect(await report({}, id, { as: NOBODY })).toMatchObject(refusal(401, 'admin auth required'));
    for (const unknown of [randomUUID(), 'nobody']) expect((await report({}, unknown)).text).toBe('{"ok":true,"no_change":true}');

    expect(await report({ error: ' disk full ', log_tail: 'x'.repeat(8_193) })).toMatchObject({
      status: 200,
      text: '{"ok":true}',
    });
    const tail = `...(truncated)...\n${'x'.repeat(8_192)}`;
    const row = (await registry.call('GET', '/workspaces')).body[0];
    expect(row).toMatchObject({ status: 'failed', last_sample_error: `disk full\n\n${tail}`.slice(0, 8_192) });
    const told = ['WORKSPACE_PROVISION_FAILED', { error: 'disk full', log_tail: tail, source: 'bootstrap_watcher' }];
    expect((await registry.events(id)).slice(1)).toEqual([told]);
    expect((await report({ error: 'again' })).text).toBe('{"ok":true,"no_change":true}');
    expect((await registry.events(id)).slice(1)).toEqual([told]);
    await registry.register(id);
    expect((await report({})).text).toBe('{"ok":true,"no_change":true}');
    expect(await registry.status(id)).toBe('online');
  });
});

describe('a config that is set whole', () => {
  it('replaces what was there', async ({ registry, postgresUrl }) => {
    const id = WorkspaceId.parse(await registry.create());
    const pool = new Pool({ connectionString: postgresUrl, options: '-c search_path=registry', max: 1 });
    const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
    await storeConfig(db, id, { a: 1, b: 2 });
    await storeConfig(db, id, { name: 'atlas' });
    await db.destroy();
    expect((await registry.call('GET', `/workspaces/${id}/config`)).text).toBe('{"data":{"name":"atlas"}}');
  });
});
