/** Many appends in one statement (W1–W3). */
import { randomUUID } from 'node:crypto';
import { describe, expect } from 'vitest';
import type { NewEntry, Run } from './append.ts';
import { runOn } from './connection.ts';
import { it } from './fixtures/tally.ts';
import { groupCommit } from './group-commit.ts';

const entry = (stream: string, expected: number, id: string = randomUUID()): NewEntry => {
  const meta = { workspaceId: 'w', commandId: randomUUID() };
  return { stream, expected, facts: [{ id, type: 'tally.added', schema: 1, data: { amount: 1 }, meta }] };
};

describe('a group commit', () => {
  it('W1: takes together what is said together', async ({ ledger }) => {
    let statements = 0;
    const run: Run = (query, values) => {
      statements++;
      return runOn(ledger.pool, query, values);
    };
    const group = groupCommit(run);
    const outcomes = await Promise.all(Array.from({ length: 50 }, (_, n) => group.ask(entry(`s.${n}`, 0))));
    expect(outcomes.map(({ kind }) => kind)).toEqual(outcomes.map(() => 'stored'));
    expect(statements).toBe(1);
  });

  it('W2: tells each its own outcome, also when one of them cannot be stored at all', async ({ ledger }) => {
    const group = groupCommit((query, values) => runOn(ledger.pool, query, values));
    const taken = randomUUID();
    await group.ask(entry('s.taken', 0, taken));
    const [good, poison, stale, other] = await Promise.allSettled([
      group.ask(entry('s.good', 0)),
      group.ask(entry('s.poison', 0, taken)),
      group.ask(entry('s.taken', 0)),
      group.ask(entry('s.other', 0)),
    ]);
    expect(good).toMatchObject({ status: 'fulfilled', value: { kind: 'stored' } });
    expect(poison).toMatchObject({ status: 'rejected', reason: { constraint: 'events_id' } });
    expect(stale).toEqual({ status: 'fulfilled', value: { kind: 'conflict' } });
    expect(other).toMatchObject({ status: 'fulfilled', value: { kind: 'stored' } });
  });

  it('stores two of the same stream one after the other', async ({ ledger }) => {
    const group = groupCommit((query, values) => runOn(ledger.pool, query, values));
    const outcomes = await Promise.all([0, 1, 2].map((expected) => group.ask(entry('s.same', expected))));
    const stored = outcomes.filter(({ kind }) => kind === 'stored').length;
    const { rows } = await ledger.pool.query('select version from events order by version');
    expect(rows.map(({ version }) => version)).toEqual(Array.from({ length: stored }, (_, n) => n + 1));
  });
});
