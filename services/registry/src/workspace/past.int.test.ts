/** Time travel: what is answered about a time is what was answered at that time. */
import { setTimeout as delay } from 'node:timers/promises';
import { it as servers } from '@molecule/testkit';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { NOBODY, type Registry, withRegistry } from '../fixtures.ts';

const it = withRegistry(servers);

/** What the three routes that look back answer, now or as of a time. */
async function shown(registry: Registry, ids: readonly string[], asOf?: string) {
  const query = asOf === undefined ? '' : `?as_of=${encodeURIComponent(asOf)}`;
  const get = async (path: string) => (await registry.call('GET', `${path}${query}`, { principal: { devOpen: true } })).text;
  const perWorkspace = ids.map(async (id) => [await get(`/workspaces/${id}`), await get(`/registry/${id}/peers`)]);
  return { list: await get('/workspaces'), each: await Promise.all(perWorkspace) };
}

/** A time after everything that was done, and before everything that will be. Facts carry times to the millisecond. */
async function between(): Promise<string> {
  const now = Date.now();
  while (Date.now() <= now + 1) await delay(1);
  return new Date(now + 1).toISOString();
}

/** Of the latest workspaces each is asked for by itself, too. */
const LOOKED_AT = 4;

const place = fc.noBias(fc.nat(1_000));
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('create' as const),
      parent: fc.option(place, { freq: 2 }),
      name: fc.constantFrom('ada', 'bob', 'eve'),
    }),
  },
  fc.record({ kind: fc.constant('register' as const), which: place, card: fc.jsonValue() }),
  fc.record({
    kind: fc.constant('patch' as const),
    which: place,
    body: fc.record(
      {
        name: fc.constantFrom('x', 'y'),
        role: fc.option(fc.constantFrom('cook', 'smith')),
        tier: fc.nat(4),
        collapsed: fc.boolean(),
      },
      { requiredKeys: [] },
    ),
  }),
  fc.record({ kind: fc.constant('move' as const), which: place, parent: fc.option(place) }),
  fc.record({ kind: fc.constant('delete' as const), which: place }),
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

async function take(registry: Registry, ids: string[], wanted: Step): Promise<void> {
  const at = (index: number): string | undefined => ids[index % Math.max(ids.length, 1)];
  if (wanted.kind === 'create') {
    const parent = wanted.parent === null ? null : at(wanted.parent);
    const { body } = await registry.call('POST', '/workspaces', {
      body: { name: wanted.name, parent_id: parent, canvas: { x: 1.5, y: -2 } },
    });
    if (body.id !== undefined) ids.push(body.id);
    return;
  }
  const id = at(wanted.which);
  if (id === undefined) return;
  if (wanted.kind === 'register') await registry.register(id, { agent_card: wanted.card });
  if (wanted.kind === 'patch') await registry.call('PATCH', `/workspaces/${id}`, { body: wanted.body });
  if (wanted.kind === 'move') {
    const parent = wanted.parent === null ? null : at(wanted.parent);
    await registry.call('PATCH', `/workspaces/${id}`, { body: { parent_id: parent } });
  }
  if (wanted.kind === 'delete') await registry.call('DELETE', `/workspaces/${id}?confirm=true`);
}

describe('the past', () => {
  it('is answered as it was answered then, whatever happened', async ({ registry }) => {
    const ids: string[] = [];
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 14 }), async (steps) => {
        const moments: { at: string; looked: string[]; was: Awaited<ReturnType<typeof shown>> }[] = [];
        for (const wanted of steps) {
          await take(registry, ids, wanted);
          const looked = ids.slice(-LOOKED_AT);
          moments.push({ at: await between(), looked, was: await shown(registry, looked) });
        }
        for (const { at, looked, was } of moments) expect(await shown(registry, looked, at)).toEqual(was);
      }),
      { numRuns: 3, seed: 20_260_417, endOnFailure: true },
    );
    expect(ids.length).toBeGreaterThan(5);
    // A time to come means now.
    const looked = ids.slice(-LOOKED_AT);
    expect(await shown(registry, looked, '2999-01-01T00:00:00Z')).toEqual(await shown(registry, looked));
  });

  it('before the beginning is empty', async ({ registry }) => {
    const before = await between();
    const id = await registry.create();
    const asked = { list: '[]', each: [['{"error":"workspace not found"}', '{"error":"workspace not found"}']] };
    expect(await shown(registry, [id], before)).toEqual(asked);
    expect((await registry.call('GET', `/workspaces/${id}?as_of=${before}`)).status).toBe(404);
  });

  it('Y1: does not hold what was purged since, nor a way to it', async ({ registry }) => {
    const [parent, child] = [await registry.create({ name: 'parent' }), await registry.create({ name: 'other' })];
    await registry.call('PATCH', `/workspaces/${child}`, { body: { parent_id: parent } });
    const then = await between();
    await registry.call('PATCH', `/workspaces/${child}`, { body: { parent_id: null } });
    await registry.call('DELETE', `/workspaces/${parent}?purge=true`);
    const { list, each } = await shown(registry, [parent, child], then);
    expect(JSON.parse(list)).toMatchObject([{ id: child, parent_id: null }]);
    expect(each.map(([single]) => JSON.parse(single ?? ''))).toMatchObject([
      { error: 'workspace not found' },
      { id: child, parent_id: null },
    ]);
  });

  it('Y2: knows nothing of beats, and filters peers as ever', async ({ registry }) => {
    const ids = [await registry.create({ name: 'Ada', role: 'Cook' }), await registry.create({ name: 'Bob' })];
    const then = await between();
    const peersOf = async (query: string) =>
      (await registry.call('GET', `/registry/${ids[1]}/peers?as_of=${then}&q=${query}`)).body;
    expect(await peersOf('coo')).toMatchObject([{ name: 'Ada', active_tasks: 0 }]);
    expect(await peersOf('bob')).toEqual([]);
  });

  it('is the operator’s alone', async ({ registry }) => {
    const id = await registry.create();
    const then = await between();
    const paths = ['/workspaces', `/workspaces/${id}`, `/registry/${id}/peers`];
    for (const path of paths) {
      expect(await registry.call('GET', `${path}?as_of=${then}`, { as: NOBODY })).toMatchObject({
        status: 401,
        body: { error: 'admin auth required' },
      });
    }
    expect((await registry.call('GET', `/workspaces/${id}`, { as: NOBODY })).status).toBe(200);
  });

  it.for(['', 'yesterday', '2026-01-31', '2026-01-31T08:00:00', '2026-02-31T08:00:00Z', '1767168000'])(
    'is not found at %j',
    async (text, { registry }) => {
      expect(await registry.call('GET', `/workspaces?as_of=${text}`)).toMatchObject({
        status: 400,
        body: { error: 'as_of must be a time of RFC 3339, such as 2026-01-31T08:00:00Z' },
      });
    },
  );
});
