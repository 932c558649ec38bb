/** What a reader of the log can rely on (E3). */
import { describe, expect } from 'vitest';
import { add, it, plain, type Tables } from './fixtures/tally.ts';
import type { Ledger, LogCursor } from './types.ts';

/** A transaction that has appended, and commits when told to. */
function open(ledger: Ledger<Tables>, id: string) {
  const appended = Promise.withResolvers<void>();
  const commit = Promise.withResolvers<void>();
  const done = ledger.transaction(async (tx) => {
    await tx.append(plain, id, add(1)(), 0, { commandId: '1' });
    appended.resolve();
    await commit.promise;
  });
  return {
    appended: appended.promise,
    commit: () => {
      commit.resolve();
      return done;
    },
  };
}

describe('a reader of the log', () => {
  it('E3: does not step over a commit that becomes visible late', async ({ ledger }) => {
    const slow = open(ledger, 'slow'); // takes the first position, commits last
    await slow.appended;
    await ledger.transact(plain, { id: 'fast', commandId: '1' }, add(1)); // takes the second, commits first

    const before = await ledger.readFacts({ limit: 10 });
    expect(before).toMatchObject({ facts: [], hidden: true });
    await slow.commit();
    const after = await ledger.readFacts({ after: before.cursor, limit: 10 });
    expect(after.facts.map(({ stream }) => stream)).toEqual(['plain.slow', 'plain.fast']);
    expect(after.hidden).toBe(false);
  });

  it('E3: is held back only by what is older, and by other services too', async ({ ledger, replica }) => {
    await ledger.transact(plain, { id: 'before', commandId: '1' }, add(1));
    const neighbour = await replica({ schema: 'scheduler', service: 'scheduler' });
    const slow = open(neighbour, 'slow');
    await slow.appended;
    await ledger.transact(plain, { id: 'after', commandId: '1' }, add(1));

    const before = await ledger.readFacts({ limit: 10 });
    expect(before.facts.map(({ stream }) => stream)).toEqual(['plain.before']);
    expect(before.hidden).toBe(true);
    await slow.commit();
    const after = await ledger.readFacts({ after: before.cursor, limit: 10 });
    expect(after.facts.map(({ stream }) => stream)).toEqual(['plain.after']);
  });

  it('E3: misses nothing and sees each stream in order while writers race', async ({ ledger, replica }) => {
    const writers = [ledger, await replica()];
    const total = 300;
    const writing = Promise.all(
      Array.from({ length: total }, async (_, n) => {
        const writer = writers[n % 2] ?? ledger;
        // Transactions of different lengths become visible in another order than that of their positions.
        await writer.transact(plain, { id: `${n % 10}`, commandId: `${n}` }, add(1), async (tx) => {
          await tx.query('select pg_sleep($1)', [(n % 4) / 1_000]);
        });
      }),
    );
    let isWritten = false;
    const written = writing.then(() => {
      isWritten = true;
    });
    const read: string[] = [];
    let cursor: LogCursor | undefined;
    for (let isOver = false; !isOver; ) {
      isOver = isWritten;
      const page = await ledger.readFacts({ ...(cursor !== undefined && { after: cursor }), limit: 50 });
      read.push(...page.facts.map(({ stream, version }) => `${stream}@${version}`));
      ({ cursor } = page);
      isOver &&= page.facts.length === 0;
    }
    await written;
    expect(new Set(read).size).toBe(total);
    for (let stream = 0; stream < 10; stream++) {
      const versions = read.filter((name) => name.startsWith(`plain.${stream}@`)).map((name) => Number(name.split('@')[1]));
      expect(versions).toEqual(Array.from({ length: total / 10 }, (_, n) => n + 1));
    }
  }, 30_000);

  it('refuses a place that is none', async ({ ledger }) => {
    await expect(ledger.readFacts({ after: 'here', limit: 1 })).rejects.toThrow('not a place in the log');
  });
});
