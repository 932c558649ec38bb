/** A reader's position moves with its rows (D9). */
import { describe, expect } from 'vitest';
import { it } from './fixtures/tally.ts';
import { advance } from './positions.ts';

const at = (position: bigint) => ({ reader: 'test.v1', source: 'facts', position });

describe('a reader', () => {
  it('takes each fact once', async ({ ledger }) => {
    expect(await advance(ledger.db, at(5n))).toBe(true);
    expect(await advance(ledger.db, at(5n))).toBe(false);
    expect(await advance(ledger.db, at(4n))).toBe(false);
    expect(await advance(ledger.db, { ...at(1n), source: 'elsewhere' })).toBe(true);
    expect(await advance(ledger.db, at(9_007_199_254_740_993n))).toBe(true);
    expect(await advance(ledger.db, at(9_007_199_254_740_992n))).toBe(false);
  });

  it('moves with what it stores, or not at all', async ({ ledger }) => {
    const hear = (fails: boolean) =>
      ledger.transaction(async (tx) => {
        const isNew = await advance(tx, at(1n));
        if (isNew) await tx.query(`insert into notes values ('1', 'heard')`);
        if (fails) throw new Error('stumbled');
        return isNew;
      });
    await expect(hear(true)).rejects.toThrow('stumbled');
    expect(await hear(false)).toBe(true);
    expect(await hear(false)).toBe(false);
    expect(await ledger.transaction((tx) => advance(tx.db, at(2n)))).toBe(true);
    expect(await ledger.db.selectFrom('notes').selectAll().execute()).toHaveLength(1);
  });
});
