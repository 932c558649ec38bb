import { randomUUID } from 'node:crypto';
import { ask } from '@molecule/bus';
import { ask as asks, id12, subjects, WorkspaceId } from '@molecule/contracts';
import { waitFor, it as withServers } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { aGateway, beat, NOBODY, publish, type Registry, rowsOf, withRegistry } from '../fixtures.ts';

const it = withRegistry(withServers);

/** boss → (left → leaf, right), all online and holding tokens. */
async function aTeam(registry: Registry) {
  const boss = await registry.create({ name: 'boss' });
  const left = await registry.create({ name: 'left', parent_id: boss });
  const right = await registry.create({ name: 'right', parent_id: boss });
  const leaf = await registry.create({ name: 'leaf', parent_id: left });
  for (const id of [boss, left, right, leaf]) await registry.register(id);
  return { boss, left, right, leaf };
}

describe('DELETE /workspaces/:id', () => {
  it('asks first when there are children, and changes nothing', async ({ registry, others }) => {
    const { boss, left, right } = await aTeam(registry);
    expect(await registry.call('DELETE', `/workspaces/${boss}?confirm=yes`)).toMatchObject({
      status: 409,
      body: {
        status: 'confirmation_required',
        message: 'This workspace has sub-workspaces. Delete with ?confirm=true to cascade delete.',
        children: [
          { id: left, name: 'left' },
          { id: right, name: 'right' },
        ],
        children_count: 2,
      },
    });
    expect(await registry.status(boss)).toBe('online');
    expect(others.stopped).toEqual([]);
  });

  it('I5: removes the whole subtree, its tokens first, and stops what runs', async ({ registry, others, bus }) => {
    const { boss, left, right, leaf } = await aTeam(registry);
    const { body } = await registry.call('DELETE', `/workspaces/${boss}?confirm=true`);
    expect(body).toEqual({ status: 'removed', cascade_deleted: 3 });
    expect((await registry.call('GET', '/workspaces')).text).toBe('[]');
    expect(others.stopped.at(-1)).toBe(boss);
    expect(others.stopped.toSorted()).toEqual([boss, left, right, leaf].toSorted());
    expect(others.disabled.toSorted()).toEqual([boss, left, right, leaf].toSorted());
    expect((await registry.events(boss)).at(-1)).toEqual(['WORKSPACE_REMOVED', { cascade_deleted: 3 }]);
    expect((await registry.events(leaf)).at(-1)).toEqual(['WORKSPACE_REMOVED', {}]);

    const gateway = aGateway(bus);
    for (const id of [boss, left, right, leaf]) {
      const workspaceId = WorkspaceId.parse(id);
      expect((await ask(bus, asks.registry.resolve, { workspaceId })).entry).toMatchObject({ status: 'removed', tokens: [] });
      beat(gateway, id);
      expect((await registry.register(id)).text).toBe('{"status":"registered"}');
      await publish(bus, {
        type: 'container.started',
        data: { workspaceId, run: 9, url: 'http://127.0.0.1:1', backend: 'process' },
      });
      expect(
        await ask(bus, asks.registry.replaceTokens, {
          workspaceId,
          hash: 'a'.repeat(64),
          prefix: 'aaaaaaaa',
          commandId: randomUUID(),
        }),
      ).toEqual({ accepted: false });
      expect(await registry.status(id, gateway)).toBe('removed');
    }
    const prefixes = [id12(boss), 'ffffffff-fff'];
    expect((await ask(bus, asks.registry.rows, { prefixes })).rows).toEqual([
      { prefix: id12(boss), state: 'removed', workspaceId: boss },
      { prefix: 'ffffffff-fff', state: 'absent', workspaceId: null },
    ]);
  });

  it('answers 500 with counts when something could not be stopped, and removes all the same; again tries the root again', async ({
    registry,
    others,
  }) => {
    const { boss, leaf, right } = await aTeam(registry);
    others.stop = (id) => (id === leaf || id === boss ? 'failed' : 'stopped');
    const { status, body } = await registry.call('DELETE', `/workspaces/${boss}?confirm=true&purge=true`);
    expect(status).toBe(500);
    expect(body).toEqual({
      error: `workspace marked removed, but 2 stop call(s) failed — please retry: ${leaf}: could not be stopped; ${boss}: could not be stopped`,
      removed_count: 4,
      stop_failures: 2,
    });
    expect(await registry.status(right)).toBe('removed');
    others.stop = () => 'not-found';
    expect((await registry.call('DELETE', `/workspaces/${boss}`)).body).toEqual({ status: 'removed', cascade_deleted: 0 });
    expect((await registry.events(boss)).filter(([type]) => type === 'WORKSPACE_REMOVED')).toHaveLength(2);
  });

  it('is content with what never was, says so each time, and leaves the id unused', async ({ registry, others }) => {
    const unknown = randomUUID();
    for (const times of [1, 2]) {
      expect((await registry.call('DELETE', `/workspaces/${unknown}`)).text).toBe('{"status":"removed","cascade_deleted":0}');
      expect(await registry.events(unknown)).toEqual(Array(times).fill(['WORKSPACE_REMOVED', { cascade_deleted: 0 }]));
    }
    expect((await registry.register(unknown)).body.auth_token).toBeDefined();
    expect(await registry.status(unknown)).toBe('online');
    expect(others.stopped).toEqual([]);
  });

  it.for(['confirm=1', 'confirm=TRUE', 'confirm=true%20', 'confirm', 'purge=true'])(
    'takes ?%s for no confirmation',
    async (query, { registry }) => {
      const boss = await registry.create();
      await registry.create({ parent_id: boss });
      expect((await registry.call('DELETE', `/workspaces/${boss}?${query}`)).status).toBe(409);
    },
  );

  it.for(['purge=1', 'purge=True', 'purge'])('takes ?%s for no purge', async (query, { registry }) => {
    const id = await registry.create();
    expect((await registry.call('DELETE', `/workspaces/${id}?${query}`)).body.status).toBe('removed');
  });

  it('is content with external ones that nothing runs for', async ({ registry, others }) => {
    const external = await registry.create({ external: true });
    expect((await registry.call('DELETE', `/workspaces/${external}`)).status).toBe(200);
    expect(others.stopped).toEqual([]);
    expect((await registry.call('DELETE', `/workspaces/${external}`, { as: NOBODY })).status).toBe(401);
  });

  it('I4: stops nothing before the removal of each is known everywhere, in whatever order it is heard of', async ({
    registry,
    others,
    bus,
  }) => {
    const { boss, left, right, leaf } = await aTeam(registry);
    const asked = new Map<string, () => void>();
    const instance = 'slow';
    let knows = true;
    bus.nats.subscribe(subjects.directoryBarrier, {
      callback: (_, message) => {
        const { workspaceId } = message.json<{ workspaceId?: string }>();
        const answer = () => message.respond(JSON.stringify({ instance }));
        if (workspaceId === undefined) return;
        asked.set(workspaceId, answer);
        if (knows || workspaceId !== leaf) answer();
      },
    });
    bus.nats.publish(subjects.directoryPresence, JSON.stringify({ kind: 'here', instance, service: 'gateway' }));
    await waitFor(async () => {
      await registry.call('PATCH', `/workspaces/${leaf}`, { body: { name: randomUUID() } });
      return asked.has(leaf);
    });
    asked.clear();
    knows = false;
    const deleting = registry.call('DELETE', `/workspaces/${boss}?confirm=true`);
    await waitFor(() => asked.size === 4, { what: 'the barriers of all four' });
    expect([...asked.keys()].toSorted()).toEqual([boss, left, right, leaf].toSorted());
    await bus.nats.flush();
    expect(others.stopped).toEqual([]);
    asked.get(leaf)?.();
    expect((await deleting).body).toEqual({ status: 'removed', cascade_deleted: 3 });
    expect(others.stopped).toHaveLength(4);
  });

  it('purges: no reader finds it any more, and nothing comes back under its id', async ({ registry, bus }) => {
    const { boss, left } = await aTeam(registry);
    const unknown = randomUUID();
    expect((await registry.call('DELETE', `/workspaces/${unknown}?purge=true`)).text).toBe(
      '{"status":"purged","cascade_deleted":0}',
    );
    expect((await registry.register(unknown)).body.auth_token).toBeDefined();

    const purged = await registry.call('DELETE', `/workspaces/${boss}?confirm=true&purge=true`);
    expect(purged.body).toEqual({ status: 'purged', cascade_deleted: 3 });
    for (const id of [boss, left]) {
      expect((await registry.call('GET', `/workspaces/${id}`)).status).toBe(404);
      expect((await registry.call('PATCH', `/workspaces/${id}`, { body: { name: 'x' } })).status).toBe(404);
      expect((await registry.register(id)).text).toBe('{"status":"registered"}');
      expect((await ask(bus, asks.registry.resolve, { workspaceId: WorkspaceId.parse(id) })).entry).toBeNull();
    }
    expect((await registry.events(boss)).length).toBeGreaterThan(0);
    expect((await registry.call('DELETE', `/workspaces/${boss}?purge=true`)).body).toEqual({
      status: 'purged',
      cascade_deleted: 0,
    });
  });

  it('I3: purges as a fact: rows that pointed there point nowhere, and rebuilt tables are the live ones', async ({
    registry,
    bus,
    postgresUrl,
  }) => {
    const boss = await registry.create();
    const earlier = await registry.create({ parent_id: boss });
    await registry.call('DELETE', `/workspaces/${earlier}`);
    expect((await registry.call('GET', `/workspaces/${earlier}`)).body.parent_id).toBe(boss);
    await registry.register(boss);
    await rowsOf(postgresUrl, 'insert into token_uses select token_id, now() from tokens');
    expect((await registry.call('DELETE', `/workspaces/${boss}?purge=true`)).body.status).toBe('purged');
    expect((await registry.call('GET', `/workspaces/${earlier}`)).body).toMatchObject({ status: 'removed', parent_id: null });

    expect(await rowsOf(postgresUrl, 'select from token_uses')).toEqual([]);

    const { projections } = await ask(bus, asks.rebuild.registry, { check: true });
    expect(projections.filter(({ missing, unexpected }) => missing + unexpected > 0)).toEqual([]);
    const rows = Object.fromEntries(projections.map((projection) => [projection.table, projection.rows]));
    expect(rows).toMatchObject({ workspaces: 1, tokens: 0, agents: 0, structure_events: 5 });
  });

  it('X2: leaves no child behind that was created while its parent went', async ({ registry }) => {
    const boss = await registry.create();
    const child = () => registry.call('POST', '/workspaces', { body: { name: 'child', parent_id: boss } });
    const [deleted, ...born] = await Promise.all([
      registry.call('DELETE', `/workspaces/${boss}?confirm=true`),
      ...Array.from({ length: 8 }, child),
    ]);
    expect(deleted.status).toBe(200);
    for (const { status, body } of born) {
      if (status === 201) expect(await registry.status(body.id)).toBe('removed');
      else expect(body).toEqual({ error: 'failed to create workspace' });
    }
  });
});
