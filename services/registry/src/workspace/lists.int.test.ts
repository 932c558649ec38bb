/** I4: a list shows what any replica has committed, and what was kept of it from before is never shown in place of that. */
import { it as servers, waitFor } from '@molecule/testkit';
import { Kysely, PostgresDialect } from 'kysely';
import { Pool } from 'pg';
import { describe, expect, onTestFinished } from 'vitest';
import type { Tables } from '../database.ts';
import { aGateway, beat, NOBODY, type Registry, startRegistry, withRegistry } from '../fixtures.ts';
import { Lists } from './lists.ts';

const it = withRegistry(servers);

const list = async (registry: Registry) => (await registry.call('GET', '/workspaces')).text;
const peers = async (registry: Registry, id: string) =>
  (await registry.call('GET', `/registry/${id}/peers`, { as: NOBODY })).text;
/** A connection beside the registry's, ended before its database is dropped. */
async function withDb(postgresUrl: string, work: (db: Kysely<Tables>) => Promise<unknown>): Promise<void> {
  const pool = new Pool({ connectionString: postgresUrl, options: '-c search_path=registry', max: 1 });
  const db = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
  try {
    await work(db);
  } finally {
    await db.destroy();
  }
}

describe('a list', () => {
  it('shows on one replica what another has just committed', async ({ registry, postgresUrl, natsUrl, log }) => {
    const other = await startRegistry({ postgresUrl, natsUrl, log });
    onTestFinished(() => other.scope.close());
    const parent = await registry.create({ name: 'parent' });
    const children = [await registry.create({ parent_id: parent }), await other.create({ parent_id: parent })];
    const alike = async () => {
      const [here, there] = [await list(registry), await list(other)];
      expect(there).toBe(here);
      for (const id of [parent, ...children]) expect(await peers(other, id)).toBe(await peers(registry, id));
      return JSON.parse(here) as { id: string; name: string; x: number }[];
    };
    expect((await alike()).map(({ id }) => id)).toEqual([parent, ...children]);
    for (const [index, by] of [registry, other, registry].entries()) {
      await by.call('PATCH', `/workspaces/${children[0]}`, { body: { x: index, y: 0, name: `name ${index}` } });
      expect((await alike())[1]).toMatchObject({ x: index, name: `name ${index}` });
    }
    await other.call('DELETE', `/workspaces/${children[0]}`);
    expect((await alike()).map(({ id }) => id)).toEqual([parent, children[1]]);
  });

  it('shows a row that was mended behind our back, and what the last beat said', async ({ registry, postgresUrl, bus }) => {
    const id = await registry.create({ name: 'damaged' });
    expect(JSON.parse(await list(registry))).toMatchObject([{ name: 'damaged', active_tasks: 0 }]);
    await withDb(postgresUrl, (db) =>
      db.updateTable('workspaces').set({ name: 'mended' }).where('name', '=', 'damaged').execute(),
    );
    expect(JSON.parse(await list(registry))).toMatchObject([{ name: 'mended', active_tasks: 0 }]);
    const gateway = aGateway(bus);
    for (const activeTasks of [1, 2]) {
      beat(gateway, id, { active_tasks: activeTasks });
      await waitFor(async () => (await registry.call('GET', `/workspaces/${id}`)).body.active_tasks === activeTasks);
      expect(JSON.parse(await list(registry))).toMatchObject([{ name: 'mended', active_tasks: activeTasks }]);
    }
  });

  it('is whole also when it is longer than what may be kept', async ({ registry, postgresUrl }) => {
    const ids: string[] = [];
    for (let made = 0; made < 5; made++) ids.push(await registry.create());
    await withDb(postgresUrl, async (db) => {
      const lists = new Lists({ db, vitalsOf: () => null, timeouts: async () => new Map(), maxRows: 2 });
      const shown = async () =>
        (JSON.parse(new TextDecoder().decode(await lists.all())) as { id: string }[]).map((element) => element.id);
      for (const _ of ['read', 'kept']) expect(await shown()).toEqual(ids);
      await registry.call('DELETE', `/workspaces/${ids[0]}`);
      expect(await shown()).toEqual(ids.slice(1));
    });
  });

  it('of many asked for at once is the same for all, and holds what was there when they asked', async ({ registry }) => {
    const ids: string[] = [];
    for (let made = 0; made < 20; made++) {
      ids.push(await registry.create());
      const asked = await Promise.all(Array.from({ length: 5 }, () => list(registry)));
      for (const answer of asked) expect(JSON.parse(answer).map(({ id }: { id: string }) => id)).toEqual(ids);
    }
  });
});
