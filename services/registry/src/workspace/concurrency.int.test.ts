/** Two registries, two directories, and everybody at once on one tree: what always holds, holds afterwards. */
import { randomUUID } from 'node:crypto';
import { ask } from '@molecule/bus';
import { ask as asks, type DirectoryEntry, WorkspaceId } from '@molecule/contracts';
import { it as servers, waitFor } from '@molecule/testkit';
import fc from 'fast-check';
import pg from 'pg';
import { describe, expect } from 'vitest';
import { type Answer, aDirectory, NOBODY, type Registry, startRegistry, withRegistry } from '../fixtures.ts';

const it = withRegistry(servers);

const AT_ONCE = 200;
const TREE = 12;

const place = fc.noBias(fc.nat(10_000));
const command = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('create' as const), parent: place }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('register' as const), which: place }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('appear' as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('move' as const), which: place, parent: fc.option(place) }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('rename' as const), which: place, name: fc.constantFrom('a', 'b', 'c') }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('pause' as const), which: place }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), which: place }) },
);
type Command = typeof command extends fc.Arbitrary<infer Value> ? Value : never;

function give(registry: Registry, ids: readonly string[], given: Command): Promise<Answer> {
  const at = (index: number): string => ids[index % ids.length] as string;
  switch (given.kind) {
    case 'create':
      return registry.call('POST', '/workspaces', { body: { name: 'new', runtime: 'echo', parent_id: at(given.parent) } });
    case 'register':
      return registry.register(at(given.which));
    case 'appear':
      return registry.register(randomUUID());
    case 'move': {
      const parent = given.parent === null ? null : at(given.parent);
      return registry.call('PATCH', `/workspaces/${at(given.which)}`, { body: { parent_id: parent } });
    }
    case 'rename':
      return registry.call('PATCH', `/workspaces/${at(given.which)}`, { body: { name: given.name } });
    case 'pause':
      return registry.call('POST', `/workspaces/${at(given.which)}/pause`);
    case 'delete':
      return registry.call('DELETE', `/workspaces/${at(given.which)}?confirm=true`, { as: NOBODY, principal: { devOpen: true } });
  }
}

/** What may be answered to whom: everything else would be a defect, or a text that nobody documented. */
const ANSWERS: Readonly<Record<Command['kind'], RegExp>> = {
  // A parent that was removed meanwhile is none.
  create: /^(201|500 \{"error":"failed to create workspace"\})$/,
  // The first one mints a token, which the others do not show.
  register: /^(200|401 \{"error":"missing workspace auth token"\})$/,
  appear: /^200$/,
  move: /^200$/,
  rename: /^200$/,
  pause: /^(200|404 \{"error":"workspace not found or already paused"\})$/,
  delete: /^200$/,
};
const shown = ({ status, text }: Answer): string => (status < 300 ? `${status}` : `${status} ${text}`);

describe('everybody at once, on two registries', () => {
  it('leaves a tree in which everything holds, and the same everywhere', async ({ registry, postgresUrl, natsUrl, bus, log }) => {
    await using open = new AsyncDisposableStack();
    const other = await startRegistry({ postgresUrl, natsUrl, log });
    open.defer(() => other.scope.close());
    const directories = await Promise.all([1, 2].map(() => aDirectory(bus, log, new AbortController().signal)));
    open.defer(async () => void (await Promise.all(directories.map((directory) => directory.stop()))));
    const db = new pg.Pool({ connectionString: postgresUrl, options: '-c search_path=registry', max: 1 });
    open.defer(() => db.end());
    const rows = async <Row extends object>(text: string) => (await db.query<Row>(text)).rows;

    const ids = [await registry.create({ name: 'root' })];
    for (let index = 1; index < TREE; index++) ids.push(await registry.create({ parent_id: ids[Math.floor((index - 1) / 2)] }));
    const commands = fc.sample(command, { numRuns: AT_ONCE, seed: 20_260_417 });
    const answers = await Promise.all(commands.map((given, index) => give(index % 2 === 0 ? registry : other, ids, given)));

    const undocumented = answers.flatMap((answer, index) => {
      const { kind } = commands[index] as Command;
      return ANSWERS[kind].test(shown(answer)) ? [] : [`${kind}: ${shown(answer)}`];
    });
    expect(undocumented).toEqual([]);
    const succeeded = (kind: Command['kind']) =>
      answers.some(({ status }, index) => status < 300 && commands[index]?.kind === kind);
    for (const kind of Object.keys(ANSWERS)) expect(succeeded(kind as Command['kind']), kind).toBe(true);

    // No child of a removed one is alive.
    expect(
      await rows(`select child.workspace_id from workspaces child join workspaces parent on parent.workspace_id = child.parent_id
        where parent.status = 'removed' and child.status <> 'removed'`),
    ).toEqual([]);
    // I5: after its removal nothing happens to a workspace but that it is said again, and that its tokens end with it.
    expect(
      await rows(`select later.stream, later.type from events first join events later using (stream)
        where first.type = 'workspace.removed' and later.version > first.version
          and later.type not in ('workspace.removed', 'token.revoked')`),
    ).toEqual([]);
    expect(
      await rows(`select token_id from tokens join workspaces using (workspace_id)
        where workspaces.status = 'removed' and revoked_at is null`),
    ).toEqual([]);
    // Versions go 1, 2, 3 …
    expect(await rows('select stream from events group by stream having count(*) <> max(version) or min(version) <> 1')).toEqual(
      [],
    );

    // Both registries, and both directories, show one and the same.
    const all = await rows<{ id: string; version: number }>('select workspace_id as id, version from workspaces order by 1');
    expect(all.length).toBeGreaterThan(TREE);
    expect((await other.call('GET', '/workspaces')).text).toBe((await registry.call('GET', '/workspaces')).text);
    for (const { id, version } of all) {
      const path = `/workspaces/${id}`;
      expect((await other.call('GET', path)).text).toBe((await registry.call('GET', path)).text);
      const { entry } = await ask(bus, asks.registry.resolve, { workspaceId: WorkspaceId.parse(id) });
      for (const directory of directories) {
        const known = await waitFor(() => (directory.get(id)?.version ?? 0) >= version && directory.get(id));
        expect(told(known as DirectoryEntry)).toEqual(told(entry as DirectoryEntry));
      }
    }

    // I3, of either.
    for (const { service } of [registry, other]) {
      const report = await service.rebuild?.(true);
      expect(report?.facts).toBeGreaterThan(AT_ONCE / 2);
      expect(report?.projections.filter(({ missing, unexpected }) => missing + unexpected > 0)).toEqual([]);
    }
  });
});

/** What doors and routes go by; beats come and go. */
const told = ({ workspaceId, version, parentId, status, url, tokens }: DirectoryEntry) => ({
  workspaceId,
  version,
  parentId,
  status,
  url,
  tokens: tokens.map(({ tokenId }) => tokenId).toSorted(),
});
