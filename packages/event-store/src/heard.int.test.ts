/** What a reader has taken is noted with its rows (D9). */
import { randomUUID } from 'node:crypto';
import { describe, expect } from 'vitest';
import { it } from './fixtures/tally.ts';
import { takeOnce } from './heard.ts';

const by = (reader: string, factId: string) => ({ reader, factId });

describe('a reader', () => {
  it('takes each fact once, in whatever order they come', async ({ ledger }) => {
    const [first, second] = [randomUUID(), randomUUID()];
    expect(await takeOnce(ledger.db, by('a', second))).toBe(true);
    expect(await takeOnce(ledger.db, by('a', first))).toBe(true);
    expect(await takeOnce(ledger.db, by('a', second))).toBe(false);
    expect(await takeOnce(ledger.db, by('b', second))).toBe(true);
  });

  it('takes it with what it stores, or not at all', async ({ ledger }) => {
    const factId = randomUUID();
    const hear = (fails: boolean) =>
      ledger.transaction(async (tx) => {
        const isNew = await takeOnce(tx.db, by('a', factId));
        if (isNew) await tx.query(`insert into notes values ('1', 'heard')`);
        if (fails) throw new Error('stumbled');
        return isNew;
      });
    await expect(hear(true)).rejects.toThrow('stumbled');
    expect(await hear(false)).toBe(true);
    expect(await hear(false)).toBe(false);
    expect(await ledger.db.selectFrom('notes').selectAll().execute()).toHaveLength(1);
  });

  it('forgets what cannot come again', async ({ ledger }) => {
    for (let n = 0; n < 3; n++) await takeOnce(ledger.db, by('a', randomUUID()));
    await ledger.pool.query(`update heard set heard_at = now() - interval '31 days'`);
    const factId = randomUUID();
    expect(await takeOnce(ledger.db, by('a', factId))).toBe(true);
    const { rows } = await ledger.pool.query('select fact_id from heard');
    expect(rows).toEqual([{ fact_id: factId }]);
  });
});
