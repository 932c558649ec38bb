import { DirectoryEntry, type RecordedWorkspaceFact, WORKSPACE_STATUSES, type WorkspaceStatus } from '@molecule/contracts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyFact } from './apply-fact.ts';
import { created, fact, id, issued } from './testing/facts.ts';

const workspaceId = id(1);
const fold = (facts: readonly RecordedWorkspaceFact[], from?: DirectoryEntry) =>
  facts.reduce<DirectoryEntry | undefined>((entry, one) => applyFact(entry, one), from);

const entryAfter = (...facts: RecordedWorkspaceFact[]): DirectoryEntry => {
  const entry = fold(facts);
  if (!entry) throw new Error('no facts were given');
  return entry;
};

describe('an entry of the directory', () => {
  it('begins as it was created', () => {
    const entry = entryAfter(
      created(workspaceId, { parentId: id(2), name: 'atlas', status: 'provisioning', maxConcurrentTasks: 3 }),
    );
    expect(entry).toMatchObject({
      workspaceId,
      version: 1,
      name: 'atlas',
      parentId: id(2),
      status: 'provisioning',
      maxConcurrentTasks: 3,
    });
    expect(entry.tokens).toEqual([]);
    expect(DirectoryEntry.parse(entry)).toEqual(entry);
  });

  it('is online, with its addresses, once its agent registered', () => {
    const entry = entryAfter(
      created(workspaceId, { status: 'provisioning' }),
      fact(
        workspaceId,
        2,
        'workspace.registered',
        { from: 'provisioning', url: 'http://h', internalUrl: 'http://i', agentCard: null },
        5,
      ),
    );
    expect(entry).toMatchObject({ status: 'online', url: 'http://h', internalUrl: 'http://i', statusSince: at(5) });
  });

  it('is where the provisioner put it, until its agent says another address or the run ends', () => {
    const located = fact(workspaceId, 2, 'workspace.located', { url: 'http://127.0.0.1:1' });
    const registered = (url: string) =>
      fact(workspaceId, 3, 'workspace.registered', { from: 'online', url, internalUrl: 'http://i', agentCard: null }, 5);
    expect(entryAfter(created(workspaceId)).located).toBe(false);
    expect(entryAfter(created(workspaceId), located).located).toBe(true);
    expect(entryAfter(created(workspaceId), located, registered('http://127.0.0.1:1')).located).toBe(true);
    expect(entryAfter(created(workspaceId), located, registered('http://127.0.0.1:2')).located).toBe(false);
    const status = { from: 'online', to: 'paused', reason: 'pause', clearsUrl: true, event: null } as const;
    expect(entryAfter(created(workspaceId), located, fact(workspaceId, 3, 'workspace.status', status, 7)).located).toBe(false);
  });

  it('keeps since when it has its status, if that does not change', () => {
    const registered = (version: number, second: number) =>
      fact(workspaceId, version, 'workspace.registered', { from: 'online', url: 'u', internalUrl: 'u', agentCard: {} }, second);
    expect(entryAfter(created(workspaceId), registered(2, 5), registered(3, 9)).statusSince).toBe(at(5));
  });

  it('forgets where the agent was when a status change says so, and only then', () => {
    const located = fact(workspaceId, 2, 'workspace.located', { url: 'http://127.0.0.1:1' });
    const status = (clearsUrl: boolean) =>
      fact(workspaceId, 3, 'workspace.status', { from: 'online', to: 'paused', reason: 'pause', clearsUrl, event: null }, 7);
    expect(entryAfter(created(workspaceId), located, status(true))).toMatchObject({
      url: '',
      internalUrl: '',
      status: 'paused',
      statusSince: at(7),
    });
    expect(entryAfter(created(workspaceId), located, status(false)).url).toBe('http://127.0.0.1:1');
  });

  it('follows its name, tier, runtime and parent', () => {
    const entry = entryAfter(
      created(workspaceId, { name: 'a', tier: 1 }),
      fact(workspaceId, 2, 'workspace.changed', { name: 'b', tier: 4 }),
      fact(workspaceId, 3, 'workspace.changed', { runtime: 'echo', collapsed: true }),
      fact(workspaceId, 4, 'workspace.moved', { parentId: id(9) }),
      fact(workspaceId, 5, 'workspace.card', { agentCard: { name: 'x' } }),
    );
    expect(entry).toMatchObject({ name: 'b', tier: 4, runtime: 'echo', parentId: id(9), version: 5 });
  });

  it('holds the tokens that are alive', () => {
    const entry = entryAfter(
      created(workspaceId),
      issued(workspaceId, 2, 1),
      issued(workspaceId, 3, 2),
      fact(workspaceId, 4, 'token.revoked', { tokenId: id(101), by: 'api' }),
    );
    expect(entry.tokens).toEqual([{ tokenId: id(102), hash: '2'.repeat(64) }]);
  });

  it('I5: once removed has no tokens and no address, and is never anything else again', () => {
    const removed = fact(workspaceId, 3, 'workspace.removed', { from: 'online' }, 4);
    const entry = entryAfter(
      created(workspaceId, { url: 'http://h' }),
      issued(workspaceId, 2, 1),
      removed,
      fact(workspaceId, 4, 'workspace.registered', { from: 'online', url: 'http://x', internalUrl: 'x', agentCard: null }),
      issued(workspaceId, 5, 2),
      fact(workspaceId, 6, 'workspace.status', {
        from: 'removed',
        to: 'online',
        reason: 'heartbeat',
        clearsUrl: false,
        event: null,
      }),
    );
    expect(entry).toMatchObject({ status: 'removed', statusSince: at(4), url: '', tokens: [], version: 6 });
    expect(entry).not.toHaveProperty('purged');
    expect(applyFact(entry, fact(workspaceId, 7, 'workspace.purged', {}))).toEqual({ ...entry, version: 7, purged: true });
  });
});

const at = (second: number) => new Date(Date.UTC(2026, 10, 22, 12, 0, second)).toISOString();

const anyStatus = fc.constantFrom<WorkspaceStatus>(...WORKSPACE_STATUSES.filter((status) => status !== 'removed'));
const anyFact = fc.oneof(
  fc.record({ name: fc.string(), tier: fc.integer() }).map((data) => ['workspace.changed', data] as const),
  fc.option(fc.integer({ min: 2, max: 9 })).map((n) => ['workspace.moved', { parentId: n === null ? null : id(n) }] as const),
  fc.webUrl().map((url) => ['workspace.located', { url }] as const),
  fc.webUrl().map((url) => ['workspace.registered', { from: 'offline', url, internalUrl: url, agentCard: null }] as const),
  fc
    .tuple(anyStatus, fc.boolean())
    .map(([to, clearsUrl]) => ['workspace.status', { from: 'online', to, reason: 'restart', clearsUrl, event: null }] as const),
  fc.constant(['workspace.removed', { from: 'online' }] as const),
  fc.integer({ min: 1, max: 5 }).map((n) => ['token.issued', issued(workspaceId, 1, n).data] as const),
  fc.integer({ min: 1, max: 5 }).map((n) => ['token.revoked', { tokenId: id(100 + n), by: 'api' }] as const),
);
const history = fc
  .array(anyFact, { maxLength: 30 })
  .map((kinds) => [created(workspaceId), ...kinds.map(([type, data], i) => fact(workspaceId, i + 2, type, data as never, i))]);

describe('applying facts, whatever they are', () => {
  it('A1: shows the highest version, and fits the contract', () => {
    fc.assert(
      fc.property(history, (facts) => {
        const entry = entryAfter(...facts);
        expect(entry.version).toBe(facts.length);
        expect(DirectoryEntry.parse(entry)).toEqual(entry);
      }),
    );
  });

  it('I2: is not disturbed by repeats, nor by facts that a page showed already', () => {
    const withRepeats = history.chain((facts) =>
      fc.array(fc.nat({ max: facts.length - 1 }), { maxLength: 10 }).map((repeats) => ({ facts, repeats })),
    );
    fc.assert(
      fc.property(withRepeats, fc.nat(), ({ facts, repeats }, cut) => {
        const live = fold(facts);
        const page = fold(facts.slice(0, (cut % facts.length) + 1));
        expect(fold(facts, page)).toEqual(live); // all of them again, over a page of some
        const noisy = facts.flatMap((one, i) => [one, ...repeats.filter((r) => r <= i).map((r) => facts[r] ?? one)]);
        expect(fold(noisy)).toEqual(live);
      }),
    );
  });

  it('changes nothing that it was given', () => {
    fc.assert(
      fc.property(history, (facts) => {
        let entry: DirectoryEntry | undefined;
        for (const one of facts) {
          const before = structuredClone(entry);
          const given = entry;
          entry = applyFact(entry, one);
          expect(given).toEqual(before);
          expect(applyFact(entry, one)).toBe(entry);
        }
      }),
    );
  });
});
