/** Lost connections: nothing is lost, nothing is stored twice, nobody is told the wrong thing (E1, E4), and the process lives on. */
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { isUnavailable } from './errors.ts';
import { cuttingRelay } from './fixtures/cutting-relay.ts';
import { add, it as base, plain, type Tables, tally } from './fixtures/tally.ts';
import type { Ledger, Projection } from './types.ts';

/** A ledger behind a relay that cuts connections. */
const it = base
  .extend('relay', async ({ postgresUrl }, { onCleanup }) => {
    const relay = await cuttingRelay(postgresUrl);
    onCleanup(() => relay.close());
    return relay;
  })
  .extend('cut', ({ relay, replica }) => replica({ databaseUrl: relay.url }));

const terminateOthers = (ledger: Ledger<Tables>) =>
  ledger.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  );

describe('a connection that is lost', () => {
  it('while idle: is replaced, and remembered states are forgotten', async ({ ledger, replica }) => {
    const killer = await replica();
    await ledger.transact(plain, { id: 'a', commandId: '1' }, add(1));
    await terminateOthers(killer);
    expect(await ledger.transact(plain, { id: 'a', commandId: '2' }, add(1))).toMatchObject({ version: 2, repeated: false });
  });

  it('while loading: the command is done again', async ({ ledger, replica }) => {
    const killer = await replica();
    await ledger.transact(tally, { id: 'a', commandId: '1' }, add(1));
    const lock = await killer.pool.connect();
    await lock.query('begin; lock table events in access exclusive mode');
    const loading = ledger.transact(tally, { id: 'b', commandId: '1' }, add(1));
    const waiting = `from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;
    await waitFor(async () => (await killer.pool.query(`select ${waiting}`)).rowCount === 1, { what: 'the load to wait' });
    await killer.pool.query(`select pg_terminate_backend(pid) ${waiting}`);
    await lock.query('rollback');
    lock.release();
    expect(await loading).toMatchObject({ version: 1, repeated: false });
  });

  it('between append and commit: nothing is stored but by the second attempt', async ({ ledger, replica }) => {
    const killer = await replica();
    let runs = 0;
    const killing: Projection<Tables, never> = {
      name: 'test.killing.v1',
      tables: [],
      apply: async () => {
        if (runs++ === 0) await terminateOthers(killer);
      },
    };
    const commit = await ledger.transact({ ...tally, inline: [...tally.inline, killing] }, { id: 'a', commandId: '1' }, add(1));
    expect(commit).toMatchObject({ version: 1, repeated: false });
    expect(await ledger.db.selectFrom('tallies').selectAll().execute()).toMatchObject([{ total: '1' }]);
  });

  it('E3: whose process stands still in a transaction, holds the log back for no longer than a statement may take', async ({
    ledger,
    replica,
  }) => {
    const frozen = await replica();
    const standing = Promise.withResolvers<void>();
    const transaction = frozen.transaction(async (tx) => {
      await tx.query('select pg_current_xact_id()');
      await standing.promise;
      await tx.query('select');
    });
    await ledger.transact(plain, { id: 'a', commandId: '1' }, add(1));
    expect((await ledger.readFacts({ limit: 10 })).hidden).toBe(true);
    const seen = async () => (await ledger.readFacts({ limit: 10 })).facts.length === 1;
    await waitFor(seen, { timeoutMs: 15_000, what: 'the server to end the transaction' });
    standing.resolve();
    await expect(transaction).rejects.toSatisfy(isUnavailable);
    expect(await frozen.transact(plain, { id: 'a', commandId: '2' }, add(1))).toMatchObject({ version: 2, repeated: false });
  });

  it('E4: during the commit of a command: its facts are found, and it is told as the first', async ({ cut, relay }) => {
    let alongside = 0;
    const lost = relay.cutAfter('commit\0');
    const commit = await cut.transact(tally, { id: 'a', commandId: '1' }, add(1), async () => {
      alongside++;
    });
    await lost;
    expect(commit).toMatchObject({ version: 1, repeated: false, facts: [{ data: { amount: 1 } }] });
    expect(alongside).toBe(1);
    expect(await cut.load(tally, 'a')).toEqual({ state: { total: 1, closed: false }, version: 1 });
  });

  it('E4: during the one statement of a command: the same', async ({ cut, relay }) => {
    const lost = relay.cutAfter('insert into events');
    const commits = await Promise.all(['a', 'b'].map((id) => cut.transact(plain, { id, commandId: '1' }, add(1))));
    await lost;
    expect(commits).toMatchObject([
      { version: 1, repeated: false },
      { version: 1, repeated: false },
    ]);
    expect((await cut.readFacts({ limit: 10 })).facts).toHaveLength(2);
  });

  it('E4: during the commit of a transaction: its answer is given, and nothing is done again', async ({ cut, relay }) => {
    let runs = 0;
    const lost = relay.cutAfter('commit\0');
    const answer = await cut.transaction(async (tx) => {
      runs++;
      await tx.load(tally, 'a');
      await tx.append(tally, 'a', add(1)(), 0, { commandId: '1' });
      await tx.query(`insert into notes values ('only once', '')`);
      return `run ${runs}`;
    });
    await lost;
    expect({ answer, runs }).toEqual({ answer: 'run 1', runs: 1 });
    expect(await cut.load(tally, 'a')).toMatchObject({ version: 1 });
  });

  it('during a commit without facts: it is said that nobody knows', async ({ cut, relay }) => {
    const lost = relay.cutAfter('commit\0');
    const unknown = cut.transaction((tx) => tx.query(`insert into notes values ('once', '')`));
    await expect(unknown).rejects.toSatisfy(isUnavailable);
    await lost;
    expect(await cut.db.selectFrom('notes').selectAll().execute()).toHaveLength(1);
  });

  it('E4: during many small commits: each is told as stored', async ({ cut, relay }) => {
    const lost = relay.cutAfter('insert into events');
    const entries = ['a', 'b', 'c'].map((id) => ({ id, commandId: '1', expectedVersion: 0, facts: add(1)() }));
    expect(await cut.appendMany(plain, entries)).toEqual(['stored', 'stored', 'stored']);
    await lost;
    expect(await cut.appendMany(plain, entries)).toEqual(['repeated', 'repeated', 'repeated']);
  });
});

describe('a database that is away', () => {
  it('is told as unavailable within two seconds, and needs nothing but to come back', async ({ cut, relay }) => {
    await cut.transact(plain, { id: 'a', commandId: '1' }, add(1));
    relay.setDown(true);
    const started = performance.now();
    await expect(cut.transact(plain, { id: 'a', commandId: '2' }, add(1))).rejects.toSatisfy(isUnavailable);
    await expect(cut.load(plain, 'a')).rejects.toSatisfy(isUnavailable);
    await expect(cut.db.selectFrom('notes').selectAll().execute()).rejects.toSatisfy(isUnavailable);
    expect(await cut.healthy()).toMatchObject({ ok: false });
    expect(performance.now() - started).toBeLessThan(2_000);

    relay.setDown(false);
    expect(await cut.healthy()).toEqual({ ok: true, detail: 'schema registry' });
    expect(await cut.transact(plain, { id: 'a', commandId: '2' }, add(1))).toMatchObject({ version: 2 });
  });

  it('that does not answer in time is unavailable, and its connection is not lent again', async ({ replica }) => {
    const hasty = await replica({ statementTimeoutMs: 200 });
    await expect(hasty.transaction((tx) => tx.query('select pg_sleep(10)'))).rejects.toSatisfy(isUnavailable);
    expect(await hasty.transact(plain, { id: 'a', commandId: '1' }, add(1))).toMatchObject({ version: 1 });
  });

  it('a table that changes under prepared statements is no reason to fail', async ({ ledger, replica }) => {
    const elsewhere = await replica();
    const all = () => ledger.transaction((tx) => tx.db.selectFrom('notes').selectAll().where('note_id', '=', 'a').execute());
    await ledger.db.insertInto('notes').values({ note_id: 'a', text: 'b' }).execute();
    expect(await all()).toEqual([{ note_id: 'a', text: 'b' }]);
    await elsewhere.pool.query(`alter table notes add column more text default 'c'`);
    expect(await all()).toEqual([{ note_id: 'a', text: 'b', more: 'c' }]);
  });
});
