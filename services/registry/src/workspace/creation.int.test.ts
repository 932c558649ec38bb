/** `POST /workspaces` on real servers: every row of the table of spec 1 §1.4, and its errors in their order. */
import { randomUUID } from 'node:crypto';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { followFacts } from '@molecule/bus';
import { type AnyRecordedFact, WorkspaceId } from '@molecule/contracts';
import { createLog } from '@molecule/service';
import { temporaryDir, waitFor, it as withServers } from '@molecule/testkit';
import { Vault } from '@molecule/vault';
import { Kysely, PostgresDialect } from 'kysely';
import { Pool, type QueryResultRow } from 'pg';
import { describe, expect, onTestFinished } from 'vitest';
import type { Tables } from '../database.ts';
import { NOBODY, Others, type Registry, SECRETS_KEY, startRegistry } from '../fixtures.ts';
import { secretKeysOf } from './secrets.ts';

const vault = new Vault(Buffer.from(SECRETS_KEY, 'base64'));

interface World {
  readonly registry: Registry;
  readonly others: Others;
  /** The registry's database, beside the registry. */
  readonly db: Kysely<Tables>;
  readonly rows: <Row extends QueryResultRow>(text: string, values?: readonly unknown[]) => Promise<Row[]>;
  /** Everything the registry wrote down. */
  readonly lines: string[];
  /** Where its templates are. */
  readonly templates: string;
}

/** Templates: one for each thing that one may say. */
async function writeTemplates(root: string): Promise<void> {
  const files = {
    'templates/hermes-default/config.yaml':
      'name: Hermes\ntier: 1\nruntime: hermes\nmodel: legacy\nruntime_config: { model: nested, provision_timeout_seconds: 60 }\n',
    'templates/slow/config.yaml': 'runtime: hermes\nruntime_config: { model: nested, provision_timeout_seconds: 900 }\n',
    'templates/broken/config.yaml': 'runtime: [',
    'templates/outsider/config.yaml': 'runtime: external\n',
    'elsewhere/config.yaml': 'runtime: stolen\n',
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  await symlink(join(root, 'elsewhere'), join(root, 'templates/link'));
}

const it = withServers.extend('world', async ({ postgresUrl, natsUrl, bus }, { onCleanup }): Promise<World> => {
  const { dir, remove } = temporaryDir();
  await writeTemplates(dir);
  const lines: string[] = [];
  const log = createLog({ service: 'registry', level: 'trace', destination: { write: (line: string) => void lines.push(line) } });
  const others = new Others(bus, log);
  const templates = join(dir, 'templates');
  const registry = await startRegistry({ postgresUrl, natsUrl, log, env: { CONFIGS_DIR: templates } });
  const pool = new Pool({ connectionString: postgresUrl, options: '-c search_path=registry', max: 1 });
  pool.on('error', () => undefined);
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  const rows = async <Row extends QueryResultRow>(text: string, values: readonly unknown[] = []) =>
    (await pool.query<Row>(text, [...values])).rows;
  onCleanup(async () => {
    await db.destroy();
    await registry.scope.close();
    await others.close();
    remove();
  });
  return { registry, others, db, rows, lines, templates };
});

const post = (registry: Registry, body: object) => registry.call('POST', '/workspaces', { body: { name: 'atlas', ...body } });
const last = async (registry: Registry) => (await registry.call('GET', '/workspaces')).body.at(-1);

/** What is asked for beside a name, and what is shown of it then. */
const ASKED: readonly (readonly [what: string, body: object, shown: object])[] = [
  ['nothing but a name', {}, { name: 'atlas', role: null, tier: 3, runtime: 'langgraph', max_concurrent_tasks: 1, x: 0, y: 0 }],
  ['a name of 255 bytes', { name: `${'ä'.repeat(127)}x` }, { name: `${'ä'.repeat(127)}x` }],
  ['a role of 1,000 bytes', { role: 'ä'.repeat(500) }, { role: 'ä'.repeat(500) }],
  ['an empty role', { role: '' }, { role: null }],
  ['a tier', { tier: 7 }, { tier: 7 }],
  ['tier 0', { tier: 0 }, { tier: 3 }],
  ['a runtime nobody knows', { runtime: `x${'y'.repeat(99)}` }, { runtime: `x${'y'.repeat(99)}` }],
  ['a model of 100 bytes', { model: 'm'.repeat(100) }, { runtime: 'langgraph' }],
  ['a URL without being external', { url: 'http://x' }, { url: '' }],
  ['a directory', { workspace_dir: '/home/me' }, { workspace_dir: '/home/me' }],
  ['a budget', { budget_limit: 500 }, { budget_limit: 500 }],
  ['many tasks at a time', { max_concurrent_tasks: 4 }, { max_concurrent_tasks: 4 }],
  ['no tasks at a time', { max_concurrent_tasks: -4 }, { max_concurrent_tasks: 1 }],
  ['a place', { canvas: { x: 1.5, y: -2 } }, { x: 1.5, y: -2 }],
  ['half a place', { canvas: { x: 1.5 } }, { x: 1.5, y: 0 }],
  ['null for what may be absent', { role: null, tier: null, parent_id: null, canvas: null, secrets: null }, { tier: 3 }],
  ['what nobody knows', { colour: 'blue' }, { name: 'atlas' }],
];

/** What a template says counts where the caller says nothing; never its name and tier. */
const TEMPLATES: readonly (readonly [template: string, body: object, runtime: string, model: string])[] = [
  ['hermes-default', {}, 'hermes', 'legacy'],
  ['slow', {}, 'hermes', 'nested'],
  ['slow', { runtime: 'echo' }, 'echo', 'nested'],
  ['slow', { model: 'mine' }, 'hermes', 'mine'],
  ['slow/../slow', {}, 'hermes', 'nested'],
  ['broken', {}, 'langgraph', ''],
  ['nowhere', {}, 'langgraph', ''],
  ['.', {}, 'langgraph', ''],
];

describe('what is asked for', () => {
  it('is answered at once, and shown by the next request', async ({ world: { registry } }) => {
    for (const [what, body, shown] of ASKED) {
      const { status, body: answer } = await post(registry, body);
      const { id } = answer;
      const namespace = `workspace:${id}`;
      const created = { id, status: 'provisioning', awareness_namespace: namespace, workspace_access: 'none' };
      expect([status, answer], what).toEqual([201, created]);
      expect(await last(registry), what).toMatchObject({ id, status: 'provisioning', ...shown });
    }
  });

  it('may be access to its directory', async ({ world: { registry } }) => {
    for (const access of ['read_only', 'read_write'] as const) {
      const { body } = await post(registry, { workspace_dir: '/home/me', workspace_access: access });
      expect(body.workspace_access).toBe(access);
    }
  });

  it('may be a parent that is there', async ({ world: { registry } }) => {
    const parent = await registry.create();
    const { body } = await post(registry, { parent_id: parent });
    expect((await registry.call('GET', `/workspaces/${body.id}`)).body.parent_id).toBe(parent);
  });

  it('may be left to a template', async ({ world: { registry, rows } }) => {
    for (const [template, body, runtime, model] of TEMPLATES) {
      const { status, body: answer } = await post(registry, { template, ...body });
      expect(status).toBe(201);
      const columns = 'select name, tier, template, runtime, model from workspaces where workspace_id = $1';
      expect(await rows(columns, [answer.id])).toEqual([{ name: 'atlas', tier: 3, template, runtime, model }]);
    }
  });

  it('may be external by its template', async ({ world: { registry } }) =>
    expect((await post(registry, { template: 'outsider', url: 'https://a.example' })).body).toMatchObject({
      external: true,
      status: 'online',
    }));
});

const UNKNOWN = randomUUID();
/** In the order of the specification: what comes first counts, whatever else is wrong. */
const REFUSED: readonly (readonly [body: string | object, status: number, error: string])[] = [
  ['', 400, 'invalid workspace payload'],
  ['{"name":', 400, 'invalid workspace payload'],
  ['{}', 400, 'invalid workspace payload'],
  [{ name: '' }, 400, 'invalid workspace payload'],
  [{ name: 'a\0b' }, 400, 'invalid workspace payload'],
  [{ tier: 1.5, template: '../x' }, 400, 'invalid workspace payload'],
  [{ secrets: { A: 1 } }, 400, 'invalid workspace payload'],
  [{ secrets: ['A'] }, 400, 'invalid workspace payload'],
  [{ canvas: { x: 'left' } }, 400, 'invalid workspace payload'],
  [{ initial_memories: [{ content: 1 }] }, 400, 'invalid workspace payload'],
  [{ budget_limit: 0.5 }, 400, 'invalid workspace payload'],
  [{ name: 'ä'.repeat(128), template: '../x' }, 400, 'invalid workspace fields'],
  [{ role: `${'ä'.repeat(500)}x` }, 400, 'invalid workspace fields'],
  [{ runtime: 'x'.repeat(101) }, 400, 'invalid workspace fields'],
  [{ model: 'x'.repeat(101) }, 400, 'invalid workspace fields'],
  ...[...'{}[]|>*&!\n\r'].flatMap((char): [object, number, string][] => [
    [{ name: `a${char}` }, 400, 'invalid workspace fields'],
    [{ role: `a${char}` }, 400, 'invalid workspace fields'],
  ]),
  [{ template: '../x', workspace_dir: 'x' }, 400, 'invalid template'],
  [{ template: '../x', runtime: 'echo', model: 'm' }, 400, 'invalid template'],
  [{ template: '/etc' }, 400, 'invalid template'],
  [{ template: 'slow/../../elsewhere' }, 400, 'invalid template'],
  [{ template: 'link' }, 400, 'invalid template'],
  [{ template: 'link', runtime: 'echo', model: 'm' }, 400, 'invalid template'],
  [{ workspace_dir: 'home', workspace_access: 'all' }, 400, 'invalid workspace directory'],
  [{ workspace_dir: '/home/../etc' }, 400, 'invalid workspace directory'],
  [{ workspace_dir: '/usr//lib' }, 400, 'invalid workspace directory'],
  [{ workspace_access: 'all', parent_id: UNKNOWN }, 400, 'invalid workspace access'],
  [{ workspace_access: 'read_only', parent_id: UNKNOWN }, 400, 'invalid workspace access'],
  [{ parent_id: 'nobody' }, 500, 'failed to create workspace'],
  [{ parent_id: UNKNOWN, secrets: { A: 'v' } }, 500, 'failed to create workspace'],
];

describe('what is refused', () => {
  it('leaves no row', async ({ world: { registry } }) => {
    for (const [body, status, error] of REFUSED) {
      const call = typeof body === 'string' ? { raw: body } : { body: { name: 'atlas', ...body } };
      const answer = await registry.call('POST', '/workspaces', call);
      expect([answer.status, answer.body], JSON.stringify(body)).toEqual([status, { error }]);
    }
    expect((await registry.call('GET', '/workspaces')).text).toBe('[]');
  });

  it('is a parent that was removed', async ({ world: { registry } }) => {
    const parent = await registry.create();
    await registry.call('DELETE', `/workspaces/${parent}`);
    expect(await post(registry, { parent_id: parent })).toMatchObject({
      status: 500,
      body: { error: 'failed to create workspace' },
    });
  });

  it('is whoever is no operator', async ({ world: { registry } }) =>
    expect((await registry.call('POST', '/workspaces', { as: NOBODY, body: { name: 'a' } })).status).toBe(401));
});

describe('secrets', () => {
  const stored = ({ rows }: World, id: string) =>
    rows<{ key: string; version: number; value: Buffer }>(
      'select key, version, value from workspace_secrets where workspace_id = $1 order by key',
      [id],
    );

  it('are stored with the workspace, encrypted, and go with it', async ({ world }) => {
    const { registry, rows } = world;
    const id = await registry.create({ secrets: { A: 'one', B: '' } });
    const found = await stored(world, id);
    expect(found.map(({ key, ...secret }) => [key, secret.version, vault.open(secret)])).toEqual([
      ['A', 1, 'one'],
      ['B', 1, ''],
    ]);
    await registry.call('DELETE', `/workspaces/${id}`);
    expect(await stored(world, id)).toHaveLength(2);
    await registry.call('DELETE', `/workspaces/${id}?purge=true`);
    expect(await rows('select from workspace_secrets')).toEqual([]);
  });

  it('are all there or none is, and with them the workspace', async ({ world: { registry, rows, others, lines } }) => {
    await rows("alter table workspace_secrets add constraint no_canary check (key <> 'C')");
    const answer = await post(registry, {
      secrets: { A: '1', B: '2', C: 'a canary in a row', D: '4' },
      initial_memories: [{ content: 'm' }],
    });
    expect([answer.status, answer.body]).toEqual([500, { error: 'failed to save secret: C' }]);
    expect((await registry.call('GET', '/workspaces')).text).toBe('[]');
    for (const table of ['workspace_secrets', 'memories', 'workspaces', 'structure_events', 'events'])
      expect(await rows(`select from ${table}`)).toEqual([]);
    expect(others.stopped).toEqual([]);
    expect(lines.join('\n')).toContain('a secret could not be stored');
    for (const text of ['a canary', Buffer.from('a canary').toString('hex')]) expect(lines.join('\n')).not.toContain(text);
  });

  it('I10: are seen nowhere but in their table', async ({ world, bus, log }) => {
    const { registry, rows, lines } = world;
    const facts: AnyRecordedFact[] = [];
    const following = await followFacts(bus, { log, onFact: (fact) => facts.push(fact), onGap: () => {} });
    onTestFinished(() => following.stop());
    const heard: string[] = [];
    const everything = bus.nats.subscribe('>', { callback: (_, message) => void heard.push(message.string()) });
    onTestFinished(() => everything.unsubscribe());
    const canary = `canary-${randomUUID()}`;

    const created = await post(registry, { secrets: { KEY: canary }, initial_memories: [{ content: `MY_TOKEN=${canary}` }] });
    const id = created.body.id;
    const answers = [created];
    for (const path of ['/workspaces', `/workspaces/${id}`, '/events', `/events/${id}`])
      answers.push(await registry.call('GET', path));
    answers.push(await post(registry, { name: '', secrets: { KEY: canary } }));
    answers.push(await post(registry, { parent_id: randomUUID(), secrets: { KEY: canary } }));
    await registry.register(id);
    await registry.call('DELETE', `/workspaces/${id}`);
    await waitFor(() => facts.some(({ type }) => type === 'workspace.removed'), { what: 'the facts of the workspace' });

    const tables = await rows<{ text: string }>(`
      select query_to_xml(format('select * from registry.%I', table_name), true, false, '')::text as text
        from information_schema.tables where table_schema = 'registry'`);
    expect(tables.length).toBeGreaterThan(5);
    expect(heard.length).toBeGreaterThan(0);
    for (const text of [
      ...answers.map((answer) => answer.text),
      ...tables.map((table) => table.text),
      ...heard,
      JSON.stringify(facts),
      lines.join('\n'),
    ]) {
      for (const hidden of [canary, Buffer.from(canary).toString('base64'), Buffer.from(canary).toString('hex')])
        expect(text).not.toContain(hidden);
    }
  });

  it('are stored as they are where there is no key, and that is said once', async ({ postgresUrl, natsUrl, bus }) => {
    const lines: string[] = [];
    const log = createLog({
      service: 'registry',
      level: 'warn',
      destination: { write: (line: string) => void lines.push(line) },
    });
    const others = new Others(bus, log);
    onTestFinished(() => others.close());
    for (const [key, why] of [
      ['', 'is not set'],
      ['hunter2', 'is no key of 32 bytes'],
    ] as const) {
      lines.length = 0;
      const registry = await startRegistry({ postgresUrl, natsUrl, log, env: { SECRETS_ENCRYPTION_KEY: key } });
      onTestFinished(() => registry.scope.close());
      const ids = [await registry.create({ secrets: { A: 'plain' } }), await registry.create({ secrets: { A: 'plain' } })];
      expect(ids).toHaveLength(2);
      const warnings = lines.filter((line) => line.includes('SECRETS_ENCRYPTION_KEY'));
      expect(warnings).toEqual([expect.stringContaining(why)]);
      expect(warnings.join()).not.toContain('hunter2');
    }
    const pool = new Pool({ connectionString: postgresUrl, options: '-c search_path=registry', max: 1 });
    const { rows } = await pool.query('select version, value from workspace_secrets');
    await pool.end();
    expect(rows).toEqual(Array(4).fill({ version: 0, value: Buffer.from('plain') }));
  });

  it('have names, which are told in their order', async ({ world: { registry, db } }) => {
    const id = await registry.create({ secrets: { B: '2', A: '1' } });
    await registry.create({ secrets: { C: '3' } });
    expect(await secretKeysOf(db, WorkspaceId.parse(id))).toEqual(['A', 'B']);
  });
});

describe('initial memories', () => {
  const remembered = ({ rows }: World, id: string) =>
    rows<{ namespace: string; scope: string; content: string }>(
      'select namespace, scope, content from memories where workspace_id = $1 order by scope, content',
      [id],
    );

  it('are kept by their rules, and go with the workspace', async ({ world }) => {
    const { registry } = world;
    const id = await registry.create({
      initial_memories: [
        { content: 'likes tea' },
        { content: 'MY_API_KEY=abc', scope: 'team' },
        { content: 'x', scope: 'world' },
        { content: '' },
        { content: 'ä'.repeat(50_001), scope: 'GLOBAL' },
      ],
    });
    expect(await remembered(world, id)).toEqual([
      { namespace: 'general', scope: 'GLOBAL', content: 'ä'.repeat(50_000) },
      { namespace: 'general', scope: 'LOCAL', content: 'likes tea' },
      { namespace: 'general', scope: 'TEAM', content: '[REDACTED:API_KEY]' },
    ]);
    await registry.call('DELETE', `/workspaces/${id}?purge=true`);
    expect(await remembered(world, id)).toEqual([]);
  });

  it('fail by themselves, and say so', async ({ world }) => {
    const { registry, rows, lines } = world;
    await rows("alter table memories add constraint no_tea check (content <> 'tea')");
    const id = await registry.create({ secrets: { A: '1' }, initial_memories: [{ content: 'milk' }, { content: 'tea' }] });
    expect(await remembered(world, id)).toEqual([]);
    expect(await registry.status(id)).toBe('provisioning');
    expect(await rows('select from workspace_secrets')).toHaveLength(1);
    expect(lines.join('\n')).toContain('was given nothing to remember');
  });
});

describe('where nothing could start it', () => {
  it('has failed before the answer, and its page says what it was to be', async ({ world: { registry, others } }) => {
    others.backend = 'none';
    const { status, body } = await post(registry, { template: 'slow', tier: 2 });
    expect([status, body.status]).toEqual([201, 'provisioning']);
    const { id } = body;
    expect(await last(registry)).toMatchObject({
      status: 'failed',
      last_sample_error: 'Docker not available — workspace containers require a Docker daemon or external provisioning.',
    });
    expect((await registry.call('GET', `/workspaces/${id}/config`)).body).toEqual({
      data: { name: 'atlas', runtime: 'hermes', tier: 2, template: 'slow' },
    });
    expect(await registry.events(id)).toEqual([
      ['WORKSPACE_PROVISIONING', { name: 'atlas', tier: 2, runtime: 'hermes' }],
      ['WORKSPACE_PROVISION_FAILED', { error: 'Docker not available on this platform instance' }],
    ]);
  });
});

describe('provision_timeout_ms', () => {
  it('is the longest that templates of its runtime declare, in the list and alone; else the key is not there', async ({
    world: { registry },
  }) => {
    const [slow, other] = [await registry.create({ runtime: 'hermes' }), await registry.create({ runtime: 'echo' })];
    const list = (await registry.call('GET', '/workspaces')).body;
    const single = async (id: string) => (await registry.call('GET', `/workspaces/${id}`)).body;
    for (const shown of [list[0], await single(slow)]) expect(shown.provision_timeout_ms).toBe(900_000);
    for (const shown of [list[1], await single(other)]) expect(shown).not.toHaveProperty('provision_timeout_ms');
  });

  it('is read once', async ({ world: { registry, templates } }) => {
    const id = await registry.create({ runtime: 'hermes' });
    expect((await last(registry)).provision_timeout_ms).toBe(900_000);
    await writeFile(join(templates, 'slow/config.yaml'), 'runtime: hermes\nruntime_config: { provision_timeout_seconds: 9 }\n');
    expect((await last(registry)).provision_timeout_ms).toBe(900_000);
    expect((await registry.call('GET', `/workspaces/${id}`)).body.provision_timeout_ms).toBe(900_000);
  });
});
