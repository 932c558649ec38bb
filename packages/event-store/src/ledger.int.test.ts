/** What a commit promises (E1, E4–E7), against a real PostgreSQL. */
import { setTimeout as delay } from 'node:timers/promises';
import { Refusal } from '@molecule/contracts';
import { describe, expect } from 'vitest';
import { LateLoad, VersionConflict } from './errors.ts';
import { add, it, plain, type Tables, type TallyFact, tallies, tally } from './fixtures/tally.ts';
import type { Aggregate } from './types.ts';

const closed: readonly TallyFact[] = [{ type: 'tally.closed', data: {} }];
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index);

describe('a commit', () => {
  it('E1: stores facts and the rows that show them together', async ({ ledger }) => {
    const commit = await ledger.transact(tally, { id: 'a', commandId: '1' }, () => [...add(2)(), ...closed]);
    expect(commit).toMatchObject({ version: 2, repeated: false });
    expect(commit.facts).toMatchObject([
      { type: 'tally.added', stream: 'tally.a', version: 1, schema: 1, data: { amount: 2 }, workspaceId: 'a', commandId: '1' },
      { type: 'tally.closed', stream: 'tally.a', version: 2, correlationId: null, causationId: null, traceparent: null },
    ]);
    expect(await ledger.db.selectFrom('tallies').selectAll().execute()).toEqual([{ tally_id: 'a', total: '2', closed: true }]);
    expect(await ledger.load(tally, 'a')).toEqual({ state: { total: 2, closed: true }, version: 2 });
  });

  it('E1: stores nothing when a projection fails', async ({ ledger }) => {
    const failing: Aggregate<Tables, unknown, TallyFact> = {
      ...tally,
      fold: { initial: null, evolve: (state) => state },
      inline: [tallies, { name: 'test.failing.v1', tables: [], apply: async () => Promise.reject(new Error('out of paint')) }],
    };
    await expect(ledger.transact(failing, { id: 'a', commandId: '1' }, add(1))).rejects.toThrow('out of paint');
    expect(await ledger.load(tally, 'a')).toMatchObject({ version: 0 });
    expect(await ledger.db.selectFrom('tallies').selectAll().execute()).toEqual([]);
  });

  it('E1: stores what is written alongside, or nothing at all', async ({ ledger }) => {
    const note = (text: string, fails: boolean) => () =>
      ledger.transact(plain, { id: 'a', commandId: text }, add(1), async (tx) => {
        await tx.db.insertInto('notes').values({ note_id: text, text }).execute();
        if (fails) throw new Refusal('conflict', 'no');
      });
    await note('kept', false)();
    await expect(note('undone', true)()).rejects.toThrow('no');
    expect(await ledger.db.selectFrom('notes').select('note_id').execute()).toEqual([{ note_id: 'kept' }]);
    expect(await ledger.load(plain, 'a')).toMatchObject({ version: 1 });
  });

  it('E1: undoes everything when a statement failed and nobody noticed', async ({ ledger }) => {
    const careless = ledger.transact(plain, { id: 'a', commandId: '1' }, add(1), async (tx) => {
      await tx.query('select 1 / 0').catch(() => {});
    });
    await expect(careless).rejects.toThrow('undone');
    expect(await ledger.load(plain, 'a')).toMatchObject({ version: 0 });
  });

  it('passes a refusal on as it is, and decides nothing again', async ({ ledger }) => {
    const refusal = new Refusal('forbidden', 'not you');
    let decided = 0;
    const refuse = () => {
      decided++;
      throw refusal;
    };
    await expect(ledger.transact(tally, { id: 'a', commandId: '1' }, refuse)).rejects.toBe(refusal);
    expect(decided).toBe(1);
  });

  it('answers a decision for nothing with the version that is', async ({ ledger }) => {
    await ledger.transact(tally, { id: 'a', commandId: '1' }, add(1));
    expect(await ledger.transact(tally, { id: 'a', commandId: '2' }, () => [])).toEqual({
      version: 1,
      facts: [],
      repeated: false,
    });
  });

  it('refuses what the family does not know, before anything is stored', async ({ ledger }) => {
    const strange = [{ type: 'tally.added', data: { amount: 'many' } }] as unknown as TallyFact[];
    await expect(ledger.transact(plain, { id: 'a', commandId: '1' }, () => strange)).rejects.toThrow('expected number');
    expect(await ledger.load(plain, 'a')).toMatchObject({ version: 0 });
  });

  it('keeps text that PostgreSQL cannot keep as near as it can', async ({ ledger }) => {
    const by = 'NUL \0, half \ud800, backslash \\u0000, whole \u{1f600}';
    const facts = (): TallyFact[] => [{ type: 'tally.added', data: { amount: 1, by } }];
    const { facts: stored } = await ledger.transact(plain, { id: 'a', commandId: '1' }, facts);
    const expected = 'NUL \ufffd, half \ufffd, backslash \\u0000, whole \u{1f600}';
    expect(stored).toMatchObject([{ data: { by: expected } }]);
    expect((await ledger.readFacts({ limit: 10 })).facts).toEqual(stored);
  });
});

describe('a command that arrives again', () => {
  for (const aggregate of [tally, plain]) {
    it(`E4: gets the same facts and version (${aggregate.noun})`, async ({ ledger, replica }) => {
      const command = { id: 'a', commandId: 'the one' };
      const first = await ledger.transact(aggregate, command, () => [...add(2)(), ...add(3)()]);
      await ledger.transact(aggregate, { id: 'a', commandId: 'another' }, add(10));

      const again = { ...first, repeated: true };
      expect(await ledger.transact(aggregate, command, add(99))).toEqual(again);
      const other = await replica();
      expect(await other.transact(aggregate, command, add(99))).toEqual(again);
      expect(await ledger.load(aggregate, 'a')).toEqual({ state: { total: 15, closed: false }, version: 3 });
    });

    it(`E4: also when it would now decide for nothing, or refuse (${aggregate.noun})`, async ({ ledger }) => {
      const command = { id: 'a', commandId: 'close' };
      const first = await ledger.transact(aggregate, command, () => closed);
      expect(await ledger.transact(aggregate, command, () => [])).toEqual({ ...first, repeated: true });
      const refuse = () => {
        throw new Refusal('conflict', 'closed already');
      };
      expect(await ledger.transact(aggregate, command, refuse)).toEqual({ ...first, repeated: true });
    });

    it(`E4: is stored once when it arrives many times at once, here and elsewhere (${aggregate.noun})`, async ({ replica }) => {
      const replicas = await Promise.all([replica(), replica()]);
      const answers = await Promise.all(
        upTo(40).map((n) => replicas[n % 2]?.transact(aggregate, { id: 'a', commandId: 'the one' }, add(1))),
      );
      expect(answers.map((answer) => answer?.version)).toEqual(upTo(40).map(() => 1));
      expect(answers.filter((answer) => answer?.repeated === false)).toHaveLength(1);
      expect(await replicas[0]?.load(aggregate, 'a')).toMatchObject({ state: { total: 1 }, version: 1 });
    });
  }

  it('E4: writes nothing alongside again', async ({ ledger }) => {
    const once = () =>
      ledger.transact(plain, { id: 'a', commandId: '1' }, add(1), async (tx) => {
        await tx.db.insertInto('notes').values({ note_id: '1', text: '' }).execute();
      });
    await once();
    expect(await once()).toMatchObject({ repeated: true, version: 1 });
  });
});

describe('many commands on one stream', () => {
  for (const aggregate of [tally, plain]) {
    it(`E5: 200 at once are stored once each, without gaps (${aggregate.noun})`, async ({ ledger }) => {
      const commits = await Promise.all(upTo(200).map((n) => ledger.transact(aggregate, { id: 'a', commandId: `${n}` }, add(n))));
      expect(commits.map(({ version }) => version).toSorted((a, b) => a - b)).toEqual(upTo(200).map((n) => n + 1));
      const { facts } = await ledger.readFacts({ limit: 1_000 });
      expect(facts.map(({ version }) => version)).toEqual(upTo(200).map((n) => n + 1));
      expect(new Set(facts.map(({ commandId }) => commandId)).size).toBe(200);
      expect(await ledger.load(aggregate, 'a')).toEqual({ state: { total: 19_900, closed: false }, version: 200 });
    });
  }

  it('E5: replicas that meet decide again on what the other stored', async ({ replica }) => {
    const [one, two] = [await replica(), await replica()];
    await one.transact(plain, { id: 'a', commandId: '1' }, add(1));
    await two.transact(plain, { id: 'a', commandId: '2' }, add(10));
    // What `one` remembers is out of date.
    const seen: number[] = [];
    const commit = await one.transact(plain, { id: 'a', commandId: '3' }, ({ total }) => {
      seen.push(total);
      return add(100)();
    });
    expect({ seen, version: commit.version }).toEqual({ seen: [1, 11], version: 3 });
  });

  it('E5: gives up after four attempts', async ({ ledger, replica }) => {
    const rival = await replica();
    let attempts = 0;
    const outrun = ledger.transact(plain, { id: 'a', commandId: 'slow' }, add(1), async () => {
      attempts++;
      throw new VersionConflict('plain.a');
    });
    await expect(outrun).rejects.toThrow(VersionConflict);
    expect(attempts).toBe(4);
    expect(await rival.load(plain, 'a')).toMatchObject({ version: 0 });
  });

  it('E6: nothing and refusals are only final on what the database says', async ({ ledger, replica }) => {
    const elsewhere = await replica();
    await ledger.transact(plain, { id: 'a', commandId: '1' }, add(1));
    await ledger.transact(plain, { id: 'b', commandId: '1' }, add(1));
    for (const id of ['a', 'b']) await elsewhere.transact(plain, { id, commandId: '2' }, () => closed);

    const unlessOpen = ledger.transact(plain, { id: 'a', commandId: '3' }, (state) => (state.closed ? add(1)() : []));
    expect(await unlessOpen).toMatchObject({ version: 3 });
    const refuseUnlessClosed = ledger.transact(plain, { id: 'b', commandId: '3' }, (state) => {
      if (!state.closed) throw new Refusal('conflict', 'still open');
      return add(1)();
    });
    expect(await refuseUnlessClosed).toMatchObject({ version: 3 });
  });
});

describe('a transaction over several streams', () => {
  it('stores all or none, with the rows that show them', async ({ ledger }) => {
    const move = (amount: number, fails = false) =>
      ledger.transaction(async (tx) => {
        const [from, to] = [await tx.load(tally, 'from'), await tx.load(tally, 'to')];
        await tx.append(tally, 'from', [{ type: 'tally.added', data: { amount: -amount } }], from.version, {
          commandId: `${amount}`,
        });
        const commit = await tx.append(tally, 'to', add(amount)(), to.version, { commandId: `${amount}` });
        if (fails) throw new Refusal('conflict', 'no');
        return commit.version;
      });
    expect(await move(5)).toBe(1);
    await expect(move(7, true)).rejects.toThrow('no');
    expect(await ledger.db.selectFrom('tallies').select(['tally_id', 'total']).orderBy('tally_id').execute()).toEqual([
      { tally_id: 'from', total: '-5' },
      { tally_id: 'to', total: '5' },
    ]);
  });

  it('E5: is done again when somebody else was faster', async ({ ledger, replica }) => {
    const rival = await replica();
    let runs = 0;
    await ledger.transaction(async (tx) => {
      const { version } = await tx.load(plain, 'a');
      if (runs++ === 0) await rival.transact(plain, { id: 'a', commandId: 'rival' }, add(1));
      return tx.append(plain, 'a', add(2)(), version, { commandId: 'ours' });
    });
    expect(runs).toBe(2);
    expect(await ledger.load(plain, 'a')).toEqual({ state: { total: 3, closed: false }, version: 2 });
  });

  it('E4: says when a command was stored before', async ({ ledger }) => {
    const first = await ledger.transact(tally, { id: 'a', commandId: '1' }, () => [...add(1)(), ...add(2)()]);
    const again = await ledger.transaction(async (tx) => {
      const { version } = await tx.load(tally, 'a');
      return tx.append(tally, 'a', add(5)(), version, { commandId: '1' });
    });
    expect(again).toEqual({ ...first, repeated: true });
    expect(await ledger.db.selectFrom('tallies').select('total').execute()).toEqual([{ total: '3' }]);
  });

  it('E7: refuses to load after the first write', async ({ ledger }) => {
    const late = ledger.transaction(async (tx) => {
      await tx.append(plain, 'a', add(1)(), 0, { commandId: '1' });
      await tx.load(plain, 'b');
    });
    await expect(late).rejects.toThrow(LateLoad);
    expect(await ledger.load(plain, 'a')).toMatchObject({ version: 0 });
  });

  it('E5: never leaves a gap, whatever version is expected', async ({ ledger }) => {
    const ahead = ledger.transaction((tx) => tx.append(plain, 'a', add(1)(), 5, { commandId: '1' }));
    await expect(ahead).rejects.toThrow(VersionConflict);
  });
});

describe('many small commits at once', () => {
  const entry = (id: string, commandId: string, expectedVersion: number, ...facts: TallyFact[]) => ({
    id,
    commandId,
    expectedVersion,
    facts,
  });

  it('each is stored whole, repeated or refused by itself', async ({ ledger }) => {
    await ledger.transact(plain, { id: 'there', commandId: '1' }, add(1));
    const answers = await ledger.appendMany(plain, [
      entry('new', '1', 0, ...add(1)(), ...add(2)()),
      entry('there', '1', 1, ...add(9)()),
      entry('there', '2', 0, ...add(9)(), ...add(9)()),
      entry('new', '2', 2, ...add(3)()),
      entry('ahead', '1', 3, ...add(9)()),
    ]);
    expect(answers).toEqual(['stored', 'repeated', 'conflict', 'stored', 'conflict']);
    expect(await ledger.load(plain, 'new')).toEqual({ state: { total: 6, closed: false }, version: 3 });
    expect(await ledger.load(plain, 'there')).toMatchObject({ version: 1 });
    expect(await ledger.load(plain, 'ahead')).toMatchObject({ version: 0 });
    expect(await ledger.appendMany(plain, [])).toEqual([]);
  });

  it('E5: writers of the same streams never mix their entries', async ({ replica }) => {
    const replicas = await Promise.all([replica(), replica(), replica()]);
    const answers = await Promise.all(
      replicas.flatMap((ledger, which) =>
        upTo(10).map((round) =>
          ledger.appendMany(
            plain,
            upTo(20).map((stream) => entry(`${(stream * 7 + round) % 20}`, `${which}-${round}`, 0, ...add(1)(), ...add(1)())),
          ),
        ),
      ),
    );
    expect(answers.flat().filter((answer) => answer === 'stored')).toHaveLength(20);
    const { facts } = await (replicas[0] as (typeof replicas)[number]).readFacts({ limit: 100 });
    expect(facts).toHaveLength(40);
    for (const stream of upTo(20)) {
      const ofStream = facts.filter((fact) => fact.stream === `plain.${stream}`);
      expect(ofStream.map(({ version }) => version)).toEqual([1, 2]);
      expect(new Set(ofStream.map(({ commandId }) => commandId)).size).toBe(1);
    }
  });

  it('is not for aggregates that are shown', async ({ ledger }) => {
    await expect(ledger.appendMany(tally, [])).rejects.toThrow('use transact');
  });
});

describe('the state as it was', () => {
  it('is folded from what was recorded by then', async ({ ledger }) => {
    const { facts } = await ledger.transact(plain, { id: 'a', commandId: '1' }, add(1));
    const then = new Date(facts[0]?.recordedAt ?? '');
    // Times are kept to the millisecond: the next fact shall have another.
    while (Date.now() <= then.getTime() + 1) await delay(1);
    await ledger.transact(plain, { id: 'a', commandId: '2' }, add(2));
    expect(await ledger.loadAsOf(plain, 'a', then)).toEqual({ state: { total: 1, closed: false }, version: 1 });
    expect(await ledger.loadAsOf(plain, 'a', new Date(then.getTime() - 1))).toMatchObject({ version: 0 });
    expect(await ledger.loadAsOf(plain, 'a', new Date())).toMatchObject({ state: { total: 3 }, version: 2 });
  });

  it('is told of all streams of an aggregate, in pages, each from its beginning and without a gap', async ({ ledger }) => {
    const ids = upTo(700);
    await ledger.appendMany(plain, [
      ...ids.map((id) => ({ id: String(id), commandId: '1', expectedVersion: 0, facts: [...add(1)(), ...add(2)()] })),
    ]);
    await ledger.transact(tally, { id: 'other', commandId: '1' }, add(9));
    const at = new Date(Date.now() + 1_000);
    // A clock that jumped: the second fact of this stream says that it is from later, the third that it is not.
    await ledger.transact(plain, { id: '1', commandId: '2' }, () => [...add(4)(), ...closed]);
    await ledger.pool.query(
      `update events set recorded_at = recorded_at + interval '1 hour' where stream = 'plain.1' and version = 2`,
    );
    const told: string[] = [];
    await ledger.readHistory(plain, { at, always: ['tally.closed'] }, ({ stream, version }) => told.push(`${stream}@${version}`));
    const expected = ids.flatMap((id) => (id === 1 ? ['plain.1@1', 'plain.1@4'] : [`plain.${id}@1`, `plain.${id}@2`]));
    expect(told.toSorted()).toEqual(expected.toSorted());

    const ofOne: number[] = [];
    await ledger.readHistory(plain, { at, id: '2' }, ({ version }) => ofOne.push(version));
    expect(ofOne).toEqual([1, 2]);
  });
});
