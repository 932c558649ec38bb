/** What other services ask the registry about cards, roles and memories (spec 2 §7.10, §7.11). */
import { randomUUID } from 'node:crypto';
import { ask, type Bus } from '@molecule/bus';
import { ask as asks, WorkspaceId } from '@molecule/contracts';
import { it as servers } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { type Registry, rowsOf, withRegistry } from '../fixtures.ts';

const it = withRegistry(servers);

const nobody = WorkspaceId.parse(randomUUID());
const create = async (registry: Registry, body: object = {}) => WorkspaceId.parse(await registry.create(body));

type Told = Parameters<typeof ask<typeof asks.registry.remember.input, typeof asks.registry.remember.output>>[2];
const remember = async (bus: Bus, workspaceId: WorkspaceId, content: string, differs: Partial<Told> = {}) =>
  (
    await ask(bus, asks.registry.remember, {
      ...{ workspaceId, content, scope: 'LOCAL', namespace: workspaceId, commandId: randomUUID() },
      ...differs,
    })
  ).id;

const recall = async (
  bus: Bus,
  workspaceId: WorkspaceId,
  scope: 'LOCAL' | 'TEAM' | 'OWN' | 'ALL',
  { query = '', limit = 50 }: { readonly query?: string; readonly limit?: number } = {},
) => (await ask(bus, asks.registry.recall, { workspaceId, scope, query, limit })).memories;
const contents = async (...asked: Parameters<typeof recall>) => (await recall(...asked)).map(({ content }) => content);

describe('the card', () => {
  it('is the one it registered with; who is not there, or removed, is not found', async ({ registry, bus }) => {
    const card = async (workspaceId: WorkspaceId) => ask(bus, asks.registry.agentCard, { workspaceId });
    const id = await create(registry);
    expect(await card(id)).toEqual({ found: true, card: null });
    await registry.register(id, { agent_card: { name: 'card', skills: [] } });
    expect(await card(id)).toEqual({ found: true, card: { name: 'card', skills: [] } });
    expect(await card(nobody)).toEqual({ found: false, card: null });
    await registry.call('DELETE', `/workspaces/${id}`);
    expect(await card(id)).toEqual({ found: false, card: null });
  });
});

describe('roles', () => {
  it('are told in the order asked, without those who are not there', async ({ registry, bus }) => {
    const [cook, plain, gone] = [await create(registry, { role: 'cook' }), await create(registry), await create(registry)];
    await registry.call('DELETE', `/workspaces/${gone}`);
    const asked = { workspaceIds: [plain, nobody, gone, cook] };
    expect(await ask(bus, asks.registry.roles, asked)).toEqual({
      roles: [
        { workspaceId: plain, role: '' },
        { workspaceId: cook, role: 'cook' },
      ],
    });
    expect(await ask(bus, asks.registry.roles, { workspaceIds: [] })).toEqual({ roles: [] });
  });

  it('are as many as one message holds', async ({ registry, bus }) => {
    const ids = await Promise.all(Array.from({ length: 60 }, () => create(registry, { role: 'x'.repeat(1_000) })));
    const { roles } = await ask(bus, asks.registry.roles, { workspaceIds: ids });
    expect(roles.length).toBeGreaterThan(30);
    expect(roles.map(({ workspaceId }) => workspaceId)).toEqual(ids.slice(0, roles.length));
  });
});

describe('what is remembered', () => {
  it('has its secrets taken out before it is stored (R1)', async ({ registry, bus, postgresUrl }) => {
    const id = await create(registry);
    const memory = await remember(bus, id, 'MY_API_KEY=canary and tea', { scope: 'TEAM', namespace: 'n' });
    const stored = await rowsOf(postgresUrl, 'select id, workspace_id, namespace, scope, content from memories');
    expect(stored).toEqual([
      { id: memory, workspace_id: id, namespace: 'n', scope: 'TEAM', content: '[REDACTED:API_KEY] and tea' },
    ]);
  });

  it('is kept once by one command (R2)', async ({ registry, bus }) => {
    const [id, other] = [await create(registry), await create(registry)];
    const commandId = randomUUID();
    const first = await remember(bus, id, 'tea', { commandId });
    expect(await remember(bus, id, 'tea', { commandId })).toBe(first);
    expect(await remember(bus, other, 'tea', { commandId })).not.toBe(first);
    expect(await contents(bus, id, 'LOCAL')).toEqual(['tea']);
  });

  it('is nothing for a workspace that is not there (R3)', async ({ registry, bus, postgresUrl }) => {
    const gone = await create(registry);
    await remember(bus, gone, 'tea');
    await registry.call('DELETE', `/workspaces/${gone}`);
    expect(await remember(bus, nobody, 'tea')).toBeNull();
    expect(await remember(bus, gone, 'coffee')).toBeNull();
    expect(await rowsOf(postgresUrl, 'select content from memories')).toEqual([{ content: 'tea' }]);
    expect(await recall(bus, gone, 'ALL')).toEqual([]);
  });
});

describe('recalling', () => {
  it('finds the newest first, in any case and letter by letter, as many as are wanted', async ({ registry, bus }) => {
    const id = await create(registry);
    for (const content of ['Green TEA', '100% tea_leaves', 'coffee', 'black tea']) await remember(bus, id, content);
    expect(await contents(bus, id, 'LOCAL', { query: 'tea' })).toEqual(['black tea', '100% tea_leaves', 'Green TEA']);
    expect(await contents(bus, id, 'LOCAL', { query: 'TEA', limit: 2 })).toEqual(['black tea', '100% tea_leaves']);
    expect(await contents(bus, id, 'LOCAL', { query: '%' })).toEqual(['100% tea_leaves']);
    expect(await contents(bus, id, 'LOCAL', { query: '_' })).toEqual(['100% tea_leaves']);
    expect(await contents(bus, id, 'LOCAL')).toHaveLength(4);
  });

  it('keeps to its scope: its own, or that of its team', async ({ registry, bus }) => {
    const parent = await create(registry, { initial_memories: [{ content: 'of all', scope: 'GLOBAL' }] });
    const [me, brother, gone] = [
      await create(registry, { parent_id: parent }),
      await create(registry, { parent_id: parent }),
      await create(registry, { parent_id: parent }),
    ];
    const stranger = await create(registry);
    for (const [who, name] of [
      [me, 'mine'],
      [brother, 'brother'],
      [gone, 'gone'],
      [parent, 'parent'],
      [stranger, 'stranger'],
    ] as const) {
      await remember(bus, who, `${name} for itself`);
      await remember(bus, who, `${name} for the team`, { scope: 'TEAM' });
    }
    await registry.call('DELETE', `/workspaces/${gone}`);
    expect(await contents(bus, me, 'LOCAL')).toEqual(['mine for itself']);
    expect(await contents(bus, me, 'TEAM')).toEqual(['brother for the team', 'mine for the team']);
    expect(await contents(bus, me, 'OWN')).toEqual(['mine for the team', 'mine for itself']);
    expect(await contents(bus, parent, 'TEAM')).toEqual(['parent for the team']);
    expect(await contents(bus, parent, 'ALL')).toEqual(['parent for the team', 'parent for itself', 'of all']);
    expect(await contents(bus, parent, 'ALL', { query: 'glob' })).toEqual(['of all']);
    expect(await contents(bus, parent, 'OWN', { query: 'loca' })).toEqual([]);
    const [first] = await recall(bus, me, 'TEAM');
    expect(first).toMatchObject({ workspaceId: brother, scope: 'TEAM' });
  });

  it('answers as much as one message holds, of a list and of a text (R4)', async ({ registry, bus }) => {
    const id = await create(registry, { initial_memories: [{ content: '\u0001'.repeat(99_000) }] });
    const [huge] = await recall(bus, id, 'LOCAL');
    expect(huge?.content.length).toBeGreaterThan(7_000);
    for (let n = 0; n < 12; n++) await remember(bus, id, `${n} ${'x '.repeat(4_000)}`);
    const found = await contents(bus, id, 'LOCAL');
    expect(found.map((content) => content.split(' ')[0])).toEqual(['11', '10', '9', '8', '7', '6']);
  });
});
