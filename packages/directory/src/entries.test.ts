import type { DirectoryEntry } from '@molecule/contracts';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { applyFact } from './apply-fact.ts';
import { Entries } from './entries.ts';
import { created, fact, id, issued } from './testing/facts.ts';

const entry = (n: number, parent: number | null, tokens: readonly number[], removed: boolean): DirectoryEntry => {
  let made = applyFact(undefined, created(id(n), { parentId: parent === null ? null : id(parent) }));
  for (const token of tokens) made = applyFact(made, issued(id(n), made.version + 1, token));
  return removed ? { ...made, status: 'removed' } : made;
};

describe('the entries of the directory', () => {
  it('are found by id, by parent and by token, and the three always agree', () => {
    const puts = fc.array(
      fc.record({
        n: fc.integer({ min: 1, max: 6 }),
        parent: fc.option(fc.integer({ min: 1, max: 6 })),
        tokens: fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { maxLength: 3 }),
        removed: fc.boolean(),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(puts, (all) => {
        const entries = new Entries();
        const model = new Map<string, DirectoryEntry>();
        for (const { n, parent, tokens, removed } of all) {
          // A token belongs to one workspace: its number carries the workspace's.
          const put = entry(n, parent, tokens.length > 0 ? [n] : [], removed);
          entries.put(put);
          model.set(put.workspaceId, put);
        }
        expect(entries.size).toBe(model.size);
        expect([...entries.all()]).toEqual([...model.values()]);
        for (let n = 1; n <= 6; n++) {
          const children = [...model.values()].filter(({ parentId }) => parentId === id(n)).map(({ workspaceId }) => workspaceId);
          expect(entries.childrenOf(id(n)).toSorted()).toEqual(children.toSorted());
          const owner = model.get(id(n));
          const alive = owner !== undefined && owner.status !== 'removed' && owner.tokens.length > 0;
          expect(entries.ownerOf(String(n).repeat(64))).toEqual(alive ? { workspaceId: id(n), tokenId: id(100 + n) } : undefined);
        }
        expect(entries.anyToken()).toBe(
          [...model.values()].some(({ status, tokens }) => status !== 'removed' && tokens.length > 0),
        );
      }),
    );
  });

  it('I5: know no token of a removed workspace', () => {
    const entries = new Entries();
    const alive = entry(1, null, [1], false);
    entries.put(alive);
    expect(entries.anyToken()).toBe(true);
    entries.put(applyFact(alive, fact(id(1), alive.version + 1, 'workspace.removed', { from: 'online' })));
    expect(entries.ownerOf('1'.repeat(64))).toBeUndefined();
    expect(entries.anyToken()).toBe(false);
  });
});
