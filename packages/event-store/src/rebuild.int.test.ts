/** Rebuilding read models while the system runs (B1–B4). */
import { sql } from 'kysely';
import { describe, expect } from 'vitest';
import { add, it, plain, type Tables, type TallyFact, tallies, tally } from './fixtures/tally.ts';
import type { Ledger, Projection } from './types.ts';

const total = async (ledger: Ledger<Tables>) =>
  (await ledger.db.selectFrom('tallies').select(['tally_id', 'total']).orderBy('tally_id').execute()).map(
    ({ tally_id, total: sum }) => `${tally_id}=${sum}`,
  );

describe('a rebuild', () => {
  it('finds nothing where nothing is wrong', async ({ ledger }) => {
    for (const id of ['a', 'b', 'c']) await ledger.transact(tally, { id, commandId: '1' }, add(1));
    expect(await ledger.rebuild([tallies], { check: true })).toEqual({
      service: 'registry',
      facts: 3,
      projections: [{ projection: 'test.tallies.v1', table: 'tallies', rows: 3, missing: 0, unexpected: 0, examples: [] }],
    });
  });

  it('finds planted differences, leaves them for a check, and mends them otherwise', async ({ ledger }) => {
    for (const id of ['changed', 'deleted', 'same']) await ledger.transact(tally, { id, commandId: '1' }, add(1));
    await ledger.pool.query(`update tallies set total = 7 where tally_id = 'changed'`);
    await ledger.pool.query(`delete from tallies where tally_id = 'deleted'`);
    await ledger.pool.query(`insert into tallies values ('made up', 3, false)`);
    const untouched = async () => (await ledger.pool.query(`select ctid from tallies where tally_id = 'same'`)).rows;
    const before = await untouched();

    const found = await ledger.rebuild([tallies], { check: true });
    expect(found.projections).toMatchObject([{ rows: 3, missing: 2, unexpected: 2 }]);
    expect(found.projections[0]?.examples).toEqual([
      'missing: {"total": 1, "closed": false, "tally_id": "changed"}',
      'missing: {"total": 1, "closed": false, "tally_id": "deleted"}',
      'unexpected: {"total": 3, "closed": false, "tally_id": "made up"}',
      'unexpected: {"total": 7, "closed": false, "tally_id": "changed"}',
    ]);
    expect(await total(ledger)).toEqual(['changed=7', 'made up=3', 'same=1']);

    expect((await ledger.rebuild([tallies], { check: false })).projections).toMatchObject([{ missing: 2, unexpected: 2 }]);
    expect(await total(ledger)).toEqual(['changed=1', 'deleted=1', 'same=1']);
    expect(await untouched()).toEqual(before);
    expect((await ledger.rebuild([tallies], { check: true })).projections).toMatchObject([{ missing: 0, unexpected: 0 }]);
  });

  it('B1: leaves nothing behind, and shows a projection only the facts of its aggregates', async ({ ledger }) => {
    await ledger.transact(tally, { id: 'a', commandId: '1' }, add(1));
    await ledger.transact(plain, { id: 'a', commandId: '1' }, add(50));
    expect((await ledger.rebuild([tallies], { check: true })).projections).toMatchObject([
      { rows: 1, missing: 0, unexpected: 0 },
    ]);
    const { rows } = await ledger.pool.query(`select relname from pg_class where relname = 'tallies'`);
    expect(rows).toHaveLength(1);
  });

  it('B3, B4: sees one moment, and loses no commit, while writers go on', async ({ ledger, replica }) => {
    const writer = await replica();
    await ledger.transact(tally, { id: '0', commandId: 'first' }, add(1));
    const stop = new AbortController();
    let written = 1;
    const writing = Promise.all(
      [0, 1, 2].map(async (who) => {
        for (let n = 0; !stop.signal.aborted; n++) {
          await writer.transact(tally, { id: `${(n + who) % 5}`, commandId: `${who}-${n}` }, add(1));
          written++;
        }
      }),
    );
    for (const check of [true, false, true, false, true]) {
      if (!check) await ledger.pool.query(`update tallies set total = total + 1000 where tally_id = '0'`);
      const { projections } = await ledger.rebuild([tallies], { check });
      expect(projections).toMatchObject([{ missing: check ? 0 : 1, unexpected: check ? 0 : 1 }]);
    }
    stop.abort();
    await writing;
    const { rows } = await ledger.pool.query('select sum(total)::int as total from tallies');
    expect(rows).toEqual([{ total: written }]);
  }, 40_000);

  it('mends tables without a key, row for row', async ({ ledger }) => {
    await ledger.pool.query('create table additions (amount int not null, note json)');
    const additions: Projection<Tables, TallyFact> = {
      name: 'test.additions.v1',
      tables: ['additions'],
      apply: async (db, fact) => {
        if (fact.type !== 'tally.added') return;
        await sql`insert into additions (amount, note) values (${fact.data.amount}, '{"a":1}')`.execute(db);
      },
    };
    for (const [n, amount] of [5, 5, 5, 6].entries()) await ledger.transact(plain, { id: 'a', commandId: `${n}` }, add(amount));
    await ledger.pool.query(`insert into additions values (5, '{"a":1}'), (5, '{"a":2}'), (6, '{"a":1}'), (6, '{"a":1}')`);
    expect((await ledger.rebuild([additions], { check: false })).projections).toMatchObject([
      { rows: 4, missing: 2, unexpected: 2 },
    ]);
    const { rows } = await ledger.pool.query('select amount from additions order by amount');
    expect(rows.map(({ amount }) => amount)).toEqual([5, 5, 5, 6]);
  });

  it('B2: replays in short transactions', async ({ ledger }) => {
    const entries = Array.from({ length: 600 }, (_, n) => ({ id: `${n}`, commandId: '1', expectedVersion: 0, facts: add(1)() }));
    await ledger.appendMany(plain, entries);
    const transactions = new Set<string>();
    const watching: Projection<Tables, TallyFact> = {
      name: 'test.watching.v1',
      tables: ['tallies'],
      apply: async (db) => {
        const { rows } = await sql<{ id: string }>`select pg_current_xact_id()::text as id`.execute(db);
        transactions.add(rows[0]?.id ?? '');
      },
    };
    expect((await ledger.rebuild([watching], { check: true })).facts).toBe(600);
    expect(transactions.size).toBe(2);
  });
});
