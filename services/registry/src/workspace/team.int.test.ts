/** `POST /workspaces/:id/expand` and `/collapse` on real servers (spec 1 §1.9, spec 3 §5.9). */
import { randomUUID } from 'node:crypto';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { ask } from '@molecule/bus';
import { ask as asks, WorkspaceId } from '@molecule/contracts';
import { temporaryDir, it as withServers } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { NOBODY, Others, type Registry, startRegistry } from '../fixtures.ts';

interface World {
  readonly registry: Registry;
  readonly others: Others;
}

const TEAM = `
name: The Team
runtime: langgraph
sub_workspaces:
  - { config: writer, name: Ada, role: writes }
  - { config: nowhere, name: Bob }
  - { config: ../elsewhere, name: Cy }
  - { config: link, name: Di }
  - { config: outsider, name: Eve }
  - { config: writer }
  - { config: writer, name: 'no|pipes' }
  - { config: writer, name: '${'x'.repeat(256)}' }
  - { role: nameless }
`;

async function writeTemplates(root: string): Promise<void> {
  const files = {
    'templates/my-team/config.yaml': TEAM,
    'templates/by-name/config.yaml': 'name: Named Otherwise\nsub_workspaces: [{ config: writer }]\n',
    'templates/writer/config.yaml': 'runtime: hermes\nmodel: m\ntier: 1\nname: Writer\n',
    'templates/outsider/config.yaml': 'runtime: external\n',
    'templates/alone/config.yaml': 'name: Alone\n',
    'templates/broken/config.yaml': 'a: [b',
    'templates/folder/config.yaml/file': '',
    'elsewhere/config.yaml': 'runtime: stolen\n',
  };
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
  await symlink(join(root, 'elsewhere'), join(root, 'templates/link'));
}

const it = withServers.extend('world', async ({ postgresUrl, natsUrl, bus, log }, { onCleanup }): Promise<World> => {
  const { dir, remove } = temporaryDir();
  await writeTemplates(dir);
  const others = new Others(bus, log);
  const registry = await startRegistry({ postgresUrl, natsUrl, log, env: { CONFIGS_DIR: join(dir, 'templates') } });
  onCleanup(async () => {
    await registry.scope.close();
    await others.close();
    remove();
  });
  return { registry, others };
});

const expand = (registry: Registry, id: string, as = {}) => registry.call('POST', `/workspaces/${id}/expand`, as);
const collapse = (registry: Registry, id: string, as = {}) => registry.call('POST', `/workspaces/${id}/collapse`, as);
const list = async (registry: Registry) => (await registry.call('GET', '/workspaces')).body as Record<string, unknown>[];

describe('POST /workspaces/:id/expand', () => {
  it('makes the children that the template lists, and says so', async ({ world: { registry }, bus }) => {
    const parent = await registry.create({ name: 'My Team', tier: 2 });
    const { status, body } = await expand(registry, parent);
    const id = expect.stringMatching(/^[0-9a-f-]{36}$/);
    expect([status, body]).toEqual([
      200,
      {
        status: 'expanded',
        children: [
          { id, name: 'Ada', role: 'writes' },
          { id, name: 'Bob', role: '' },
          { id, name: 'Cy', role: '' },
          { id, name: 'Di', role: '' },
          { id, name: 'Eve', role: '' },
          { id, name: 'writer', role: '' },
        ],
      },
    ]);
    const shared = { parent_id: parent, tier: 2, x: 0, y: 0, max_concurrent_tasks: 1 };
    expect((await list(registry)).slice(1)).toMatchObject([
      { ...shared, name: 'Ada', role: 'writes', runtime: 'hermes', status: 'provisioning' },
      { ...shared, name: 'Bob', role: null, runtime: 'langgraph', status: 'provisioning' },
      { ...shared, name: 'Cy', runtime: 'langgraph', status: 'provisioning' },
      { ...shared, name: 'Di', runtime: 'langgraph', status: 'provisioning' },
      { ...shared, name: 'Eve', runtime: 'external', status: 'awaiting_agent' },
      { ...shared, name: 'writer', runtime: 'hermes', status: 'provisioning' },
    ]);
    const ada = body.children[0].id;
    expect(await registry.events(ada)).toEqual([['WORKSPACE_PROVISIONING', { name: 'Ada', tier: 2, parent_id: parent }]]);
    expect((await registry.events(parent)).at(-1)).toEqual(['WORKSPACE_EXPANDED', { children: body.children }]);
    const { entry } = await ask(bus, asks.registry.resolve, { workspaceId: WorkspaceId.parse(ada) });
    expect(entry).toMatchObject({ parentId: parent, status: 'provisioning', external: false });
  });

  it('finds the template by its very name too', async ({ world: { registry } }) => {
    const parent = await registry.create({ name: 'Named Otherwise' });
    expect((await expand(registry, parent)).body.children).toMatchObject([{ name: 'writer', role: '' }]);
  });

  it('starts children as any workspace is started: where nothing could, they have failed', async ({ world }) => {
    const { registry, others } = world;
    const parent = await registry.create({ name: 'My Team' });
    others.backend = 'none';
    const { body } = await expand(registry, parent);
    const children = (await list(registry)).filter((row) => row['parent_id'] === parent);
    expect(children.map(({ status }) => status)).toEqual(['failed', 'failed', 'failed', 'failed', 'awaiting_agent', 'failed']);
    expect((await registry.call('GET', `/workspaces/${body.children[0].id}/config`)).body).toEqual({
      data: { name: 'Ada', runtime: 'hermes', tier: 3, template: 'writer' },
    });
    expect((await registry.register(body.children[0].id)).body.status).toBe('registered');
    expect(await registry.status(body.children[0].id)).toBe('online');
  });

  it('is refused in its order, and makes nothing', async ({ world: { registry } }) => {
    const refused = async (id: string) => {
      const { status, body } = await expand(registry, id);
      return [status, body];
    };
    const named = (name: string) => registry.create({ name });
    const gone = await named('My Team');
    await registry.call('DELETE', `/workspaces/${gone}`);
    for (const id of [randomUUID(), 'nobody', gone]) expect(await refused(id)).toEqual([404, { error: 'workspace not found' }]);
    expect(await refused(await named('Nobody'))).toEqual([400, { error: 'no config found for workspace' }]);
    expect(await refused(await named('../elsewhere'))).toEqual([400, { error: 'no config found for workspace' }]);
    expect(await refused(await named('Folder'))).toEqual([500, { error: 'failed to read config' }]);
    expect(await refused(await named('Broken'))).toEqual([500, { error: 'failed to parse config' }]);
    expect(await refused(await named('Alone'))).toEqual([400, { error: 'workspace has no sub_workspaces defined in config' }]);
    expect((await list(registry)).every((row) => row['parent_id'] === null)).toBe(true);
  });

  it('is the workspace’s own, or an operator’s', async ({ world: { registry } }) => {
    const id = await registry.create({ name: 'My Team' });
    for (const call of [expand, collapse]) {
      expect(await call(registry, id, { as: NOBODY })).toMatchObject({
        status: 401,
        body: { error: 'missing workspace auth token' },
      });
    }
  });

  it('M1: leaves no child behind while its parent goes', async ({ world: { registry } }) => {
    const parent = await registry.create({ name: 'My Team' });
    const [deleted, ...expanded] = await Promise.all([
      registry.call('DELETE', `/workspaces/${parent}?confirm=true`),
      ...Array.from({ length: 4 }, () => expand(registry, parent)),
    ]);
    expect(deleted.status).toBe(200);
    for (const { status, body } of expanded) {
      if (status === 200) for (const child of body.children) expect(await registry.status(child.id)).toBe('removed');
      else expect([status, body]).toEqual([404, { error: 'workspace not found' }]);
    }
    expect(await list(registry)).toEqual([]);
  });
});

describe('POST /workspaces/:id/collapse', () => {
  it('removes everything below, and stops it; the workspace itself stays', async ({ world: { registry, others } }) => {
    const parent = await registry.create({ name: 'Named Otherwise' });
    await registry.register(parent);
    const left = await registry.create({ name: 'left', parent_id: parent });
    const right = await registry.create({ name: 'right', parent_id: parent });
    const leaf = await registry.create({ name: 'leaf', parent_id: left });
    for (const id of [left, right, leaf]) await registry.register(id);

    const { status, text } = await collapse(registry, parent);
    expect([status, text]).toEqual([200, '{"status":"collapsed","removed":["left","right"]}']);
    for (const id of [left, right, leaf]) {
      expect(await registry.status(id)).toBe('removed');
      expect((await registry.events(id)).at(-1)).toEqual(['WORKSPACE_REMOVED', {}]);
      expect((await registry.register(id)).text).toBe('{"status":"registered"}');
      expect(await registry.status(id)).toBe('removed');
    }
    expect(others.stopped.toSorted()).toEqual([left, right, leaf].toSorted());
    expect(others.disabled.toSorted()).toEqual([left, right, leaf].toSorted());
    expect(await registry.status(parent)).toBe('online');
    expect((await registry.events(parent)).at(-1)).toEqual(['WORKSPACE_COLLAPSED', { removed_children: ['left', 'right'] }]);
  });

  it('undoes an expansion, which may be done again', async ({ world: { registry } }) => {
    const parent = await registry.create({ name: 'Named Otherwise' });
    for (let round = 0; round < 2; round++) {
      await expand(registry, parent);
      expect(await list(registry)).toHaveLength(2);
      expect((await collapse(registry, parent)).body).toEqual({ status: 'collapsed', removed: ['writer'] });
      expect(await list(registry)).toHaveLength(1);
    }
  });

  it('answers where there is nothing below, or nothing at all', async ({ world: { registry } }) => {
    const lonely = await registry.create();
    for (const id of [lonely, randomUUID()])
      expect((await collapse(registry, id)).text).toBe('{"status":"collapsed","removed":[]}');
    expect((await registry.events(lonely)).at(-1)).toEqual(['WORKSPACE_COLLAPSED', { removed_children: [] }]);
    expect(await collapse(registry, 'nobody')).toMatchObject({ status: 500, body: { error: 'failed to query children' } });
  });

  it('removes also what could not be stopped: the sweeper finishes it', async ({ world: { registry, others } }) => {
    const parent = await registry.create();
    const child = await registry.create({ name: 'child', parent_id: parent });
    others.stop = () => 'failed';
    expect((await collapse(registry, parent)).body).toEqual({ status: 'collapsed', removed: ['child'] });
    expect(await registry.status(child)).toBe('removed');
  });
});
