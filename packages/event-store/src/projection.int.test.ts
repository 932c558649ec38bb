/** Fold, inline projection and rebuilt projection say the same of any history (I3). */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect } from 'vitest';
import { it, type TallyFact, tallies, tally } from './fixtures/tally.ts';
import { replay } from './types.ts';

const fact = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('tally.added' as const),
      data: fc.record({ amount: fc.integer({ min: -1_000, max: 1_000 }) }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('tally.closed' as const), data: fc.constant({}) }) },
);
const command = fc.record({
  id: fc.constantFrom('a', 'b', 'c'),
  commandId: fc.integer({ min: 0, max: 9 }).map(String),
  facts: fc.array(fact, { maxLength: 4 }),
});

describe('any history', () => {
  it('E1, E4: is folded, shown and rebuilt alike', async ({ ledger, replica }) => {
    const replicas = [ledger, await replica()] as const;
    await fc.assert(
      fc.asyncProperty(fc.array(command, { minLength: 1, maxLength: 12 }), async (commands) => {
        const run = randomUUID();
        const model = new Map<string, { facts: TallyFact[]; commands: Set<string> }>();
        for (const [n, { id, commandId, facts }] of commands.entries()) {
          const stream = model.get(id) ?? { facts: [], commands: new Set() };
          model.set(id, stream);
          const isRepeated = stream.commands.has(commandId);
          const commit = await (n % 2 ? replicas[0] : replicas[1]).transact(
            tally,
            { id: `${run}-${id}`, commandId },
            () => facts,
          );
          expect(commit.repeated).toBe(isRepeated);
          if (isRepeated) continue;
          stream.facts.push(...facts);
          if (facts.length > 0) stream.commands.add(commandId);
          expect(commit.version).toBe(stream.facts.length);
        }
        for (const [id, { facts }] of model) {
          const state = replay(tally.fold, facts);
          expect(await ledger.load(tally, `${run}-${id}`)).toEqual({ state, version: facts.length });
          const rows = await ledger.db.selectFrom('tallies').selectAll().where('tally_id', '=', `${run}-${id}`).execute();
          // Closing what was never added to shows nothing.
          const opened = facts.findIndex(({ type }) => type === 'tally.added');
          const closed = opened !== -1 && facts.slice(opened).some(({ type }) => type === 'tally.closed');
          expect(rows).toEqual(opened === -1 ? [] : [{ tally_id: `${run}-${id}`, total: `${state.total}`, closed }]);
        }
      }),
      { numRuns: 25 },
    );
    expect((await ledger.rebuild([tallies], { check: true })).projections).toMatchObject([{ missing: 0, unexpected: 0 }]);
  }, 60_000);
});
