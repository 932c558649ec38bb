/** Snapshots save time and change nothing else (E8), and old shapes are read through one gate (E9). */
import { defineFacts } from '@molecule/contracts';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { z } from 'zod';
import { add, it, plain, type Tables, type Tally, type TallyFact, tallyFacts } from './fixtures/tally.ts';
import type { Aggregate, Ledger } from './types.ts';

/** Counts how much is folded, so that a shortcut shows. */
function counting(every: number, foldVersion = 1) {
  let folded = 0;
  const { initial, evolve } = plain.fold;
  const aggregate: Aggregate<Tables, Tally, TallyFact> = {
    ...plain,
    snapshotEvery: every,
    foldVersion,
    fold: {
      initial,
      evolve: (state, fact) => {
        folded++;
        return evolve(state, fact);
      },
    },
  };
  const foldedBy = async <R>(work: () => Promise<R>): Promise<[R, number]> => {
    folded = 0;
    return [await work(), folded];
  };
  return { aggregate, foldedBy };
}

const fill = async (ledger: Ledger<Tables>, aggregate: Aggregate<Tables, Tally, TallyFact>, count: number) => {
  for (let n = 1; n <= count; n++) await ledger.transact(aggregate, { id: 'a', commandId: `${n}` }, add(n));
};
const snapshotAt = (ledger: Ledger<Tables>, version: number) =>
  waitFor(async () => (await ledger.pool.query('select from snapshots where version = $1', [version])).rowCount === 1);

describe('a snapshot', () => {
  it('E8: is taken on the way, and saves folding what came before', async ({ ledger, replica }) => {
    const { aggregate, foldedBy } = counting(10);
    await fill(ledger, aggregate, 23);
    await snapshotAt(ledger, 20);
    const fresh = await replica();
    expect(await foldedBy(() => fresh.load(aggregate, 'a'))).toEqual([{ state: { total: 276, closed: false }, version: 23 }, 3]);
    expect(await fresh.transact(aggregate, { id: 'a', commandId: 'next' }, ({ total }) => add(total)())).toMatchObject({
      version: 24,
    });
  });

  it('E8: with a flipped bit is noticed, ignored, and written anew', async ({ ledger, replica }) => {
    const { aggregate, foldedBy } = counting(10);
    await fill(ledger, aggregate, 12);
    await snapshotAt(ledger, 10);
    await ledger.pool.query(`update snapshots set state = replace(state, '55', '54')`);
    const fresh = await replica();
    expect(await foldedBy(() => fresh.load(aggregate, 'a'))).toEqual([{ state: { total: 78, closed: false }, version: 12 }, 12]);
    await snapshotAt(ledger, 12);
    expect(await foldedBy(() => fresh.load(aggregate, 'a'))).toEqual([{ state: { total: 78, closed: false }, version: 12 }, 0]);
  });

  it('E8: of another stream, or of another version, is not believed', async ({ ledger, replica }) => {
    const { aggregate } = counting(10);
    await fill(ledger, aggregate, 12);
    await snapshotAt(ledger, 10);
    await ledger.transact(aggregate, { id: 'b', commandId: '1' }, add(1));
    await ledger.pool.query(`insert into snapshots select 'plain.b', version, fold, state, checksum from snapshots`);
    await ledger.pool.query(`update snapshots set version = 8 where stream = 'plain.a'`);
    const fresh = await replica();
    expect(await fresh.load(aggregate, 'a')).toEqual({ state: { total: 78, closed: false }, version: 12 });
    expect(await fresh.load(aggregate, 'b')).toEqual({ state: { total: 1, closed: false }, version: 1 });
  });

  it('E8: of an older fold is not used', async ({ ledger, replica }) => {
    const [older, newer] = [counting(10, 1), counting(10, 2)];
    await fill(ledger, older.aggregate, 12);
    await snapshotAt(ledger, 10);
    const fresh = await replica();
    expect(await newer.foldedBy(() => fresh.load(newer.aggregate, 'a'))).toEqual([
      { state: { total: 78, closed: false }, version: 12 },
      12,
    ]);
    await snapshotAt(ledger, 12);
    expect(await newer.foldedBy(() => fresh.load(newer.aggregate, 'a'))).toMatchObject([{ version: 12 }, 0]);
  });

  it('E8: is not taken of a state that JSON does not keep', async ({ ledger }) => {
    const seen: Aggregate<Tables, ReadonlySet<number>, TallyFact> = {
      ...plain,
      snapshotEvery: 2,
      fold: {
        initial: new Set(),
        evolve: (state, fact) => (fact.type === 'tally.added' ? new Set([...state, fact.data.amount]) : state),
      },
    };
    for (const n of [1, 2, 3, 4]) await ledger.transact(seen, { id: 'a', commandId: `${n}` }, add(n));
    const { rowCount } = await ledger.pool.query('select from snapshots');
    expect(rowCount).toBe(0);
    expect(await ledger.load(seen, 'a')).toEqual({ state: new Set([1, 2, 3, 4]), version: 4 });
  });
});

describe('a fact of yesterday', () => {
  const today = defineFacts({
    'tally.added': { schema: z.object({ cents: z.number().int() }), audience: 'all' },
  });
  type Today = { readonly type: 'tally.added'; readonly data: { readonly cents: number } };
  const renamed: Aggregate<Tables, number, Today> = {
    noun: 'plain',
    family: today,
    fold: { initial: 0, evolve: (cents, { data }) => cents + data.cents },
    inline: [],
    workspaceOf: (id) => id,
    schemaVersion: { 'tally.added': 2 },
    upcasters: { 'tally.added': (data) => ({ cents: (data as { amount: number }).amount * 100 }) },
  };

  it('E9: is brought up to date wherever it is read', async ({ ledger, replica }) => {
    await ledger.transact(plain, { id: 'a', commandId: '1' }, add(3));
    const newer = await replica({ aggregates: [renamed] });
    await newer.transact(renamed, { id: 'a', commandId: '2' }, () => [{ type: 'tally.added' as const, data: { cents: 5 } }]);

    expect(await newer.load(renamed, 'a')).toEqual({ state: 305, version: 2 });
    expect((await newer.readFacts({ limit: 10 })).facts).toMatchObject([
      { schema: 2, data: { cents: 300 } },
      { schema: 2, data: { cents: 5 } },
    ]);
    const { facts } = await newer.transact(renamed, { id: 'a', commandId: '1' }, () => []);
    expect(facts).toMatchObject([{ schema: 2, data: { cents: 300 } }]);
  });

  it('E9: that nothing mends is named, and does not hold up the others', async ({ ledger, replica }) => {
    await ledger.transact(plain, { id: 'a', commandId: '1' }, add(3));
    const { upcasters: _, ...broken } = renamed;
    const newer = await replica({ aggregates: [broken] });
    await expect(newer.load(broken, 'a')).rejects.toThrow('tally.added, version 1 of plain.a, is not what its schema says');
    expect((await newer.readFacts({ limit: 10 })).facts).toMatchObject([{ schema: 1, data: { amount: 3 } }]);
  });

  it('E9: of an unknown type is kept, counted, and not folded', async ({ ledger, replica }) => {
    const { 'tally.added': added } = tallyFacts;
    const knowsLess: Aggregate<Tables, Tally, TallyFact> = { ...plain, family: { 'tally.added': added }, snapshotEvery: 1 };
    await ledger.transact(plain, { id: 'a', commandId: '1' }, () => [...add(1)(), { type: 'tally.closed' as const, data: {} }]);
    const older = await replica({ aggregates: [knowsLess] });
    expect(await older.load(knowsLess, 'a')).toEqual({ state: { total: 1, closed: false }, version: 2 });
    expect(await older.transact(knowsLess, { id: 'a', commandId: '2' }, add(1))).toMatchObject({ version: 3 });
    expect((await older.readFacts({ limit: 10 })).facts.map(({ type }) => type)).toEqual([
      'tally.added',
      'tally.closed',
      'tally.added',
    ]);
    // N2: a state that lacks something must not become a snapshot.
    await older.close();
    expect((await ledger.pool.query('select from snapshots')).rowCount).toBe(0);
  });
});
