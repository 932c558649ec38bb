/** What a schema goes through when a service starts (M1–M5), and how opening waits. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { cuttingRelay } from './fixtures/cutting-relay.ts';
import { add, it as base, openTestLedger, plain } from './fixtures/tally.ts';
import { MigrationRefused } from './migrate.ts';

/** A directory of migrations that a test writes itself. */
const it = base.extend('directory', async ({ task: _ }, { onCleanup }) => {
  const path = await mkdtemp(join(tmpdir(), 'migrations-'));
  onCleanup(() => rm(path, { recursive: true }));
  return {
    path,
    write: (name: string, sql: string) => writeFile(join(path, name), sql),
    remove: (name: string) => rm(join(path, name)),
  };
});

describe('migrations', () => {
  it('M2: are applied once, in order, into the schema of the service', async ({ replica, directory }) => {
    await directory.write('0002-second.sql', 'insert into numbers values (2);');
    await directory.write('0001-first.sql', '-- The first.\ncreate table numbers (n int);\ninsert into numbers values (1);');
    await replica({ migrations: directory.path });
    const ledger = await replica({ migrations: directory.path });
    expect((await ledger.pool.query('select n from registry.numbers order by n')).rows).toEqual([{ n: 1 }, { n: 2 }]);
    const { rows } = await ledger.pool.query('select origin, name from migrations order by applied_at, name');
    expect(rows.map(({ origin, name }) => `${origin}/${name}`)).toEqual([
      'event-store/0001-events.sql',
      'event-store/0002-lost-streams.sql',
      'registry/0001-first.sql',
      'registry/0002-second.sql',
    ]);
  });

  it('M1: of many processes that start at once happen once', async ({ replica }) => {
    const ledgers = await Promise.all([1, 2, 3, 4].map(() => replica({ poolSize: 2 })));
    expect(await ledgers[0]?.transact(plain, { id: 'a', commandId: '1' }, add(1))).toMatchObject({ version: 1 });
  });

  it('M2: that fail leave nothing behind', async ({ replica, directory }) => {
    await directory.write('0001-first.sql', 'create table numbers (n int); select 1 / 0;');
    await expect(replica({ migrations: directory.path })).rejects.toThrow('migration registry/0001-first.sql failed');
    await directory.write('0001-first.sql', 'create table numbers (n int);');
    await replica({ migrations: directory.path });
  });

  it('M3: that were edited, slipped in or misnamed refuse to start', async ({ replica, directory }) => {
    await directory.write('0002-second.sql', 'create table numbers (n int);');
    await replica({ migrations: directory.path });
    const refused = (text: string) => expect(replica({ migrations: directory.path })).rejects.toThrow(text);

    await directory.write('0001-first.sql', 'select 1;');
    await refused('registry/0001-first.sql comes before 0002-second.sql, which is applied');
    await directory.remove('0001-first.sql');

    await directory.write('0002-second.sql', 'create table numbers (n bigint);');
    await refused('registry/0002-second.sql was edited after it had been applied');
    // Only how lines end may differ between checkouts.
    await directory.write('0002-second.sql', 'create table numbers (n int);');

    await directory.write('0002-again.sql', '');
    await refused('two migrations are numbered 0002');
    await directory.remove('0002-again.sql');
    await directory.write('third.sql', '');
    await refused('a migration is named like');
  });

  it('M4: of a newer version are borne, unless they are breaking', async ({ replica, directory }) => {
    await directory.write('0001-first.sql', 'create table numbers (n int);');
    await directory.write('0002-second.sql', 'alter table numbers add column m int;');
    await replica({ migrations: directory.path });
    await directory.remove('0002-second.sql');
    await replica({ migrations: directory.path });

    await directory.write('0002-second.sql', 'alter table numbers add column m int;');
    await directory.write('0003-third.sql', '-- breaking: nobody counts any more\ndrop table numbers;');
    await replica({ migrations: directory.path });
    await directory.remove('0003-third.sql');
    const older = replica({ migrations: directory.path });
    await expect(older).rejects.toThrow(MigrationRefused);
    await expect(older).rejects.toThrow('registry/0003-third.sql was applied by a newer version');
  });

  it('M5: a log from another server is adopted in its order', async ({ ledger, replica }) => {
    for (const n of [1, 2, 3, 4]) await ledger.transact(plain, { id: 'a', commandId: `${n}` }, add(n));
    // As a restored backup would have it: ids that this server gives out only in a long time, two facts published.
    await ledger.pool.query(`update events set transaction_id = (900000000000 + version)::text::xid8`);
    await ledger.pool.query(`insert into relay select 'bus', transaction_id, position from events where version = 2`);
    expect(await ledger.readFacts({ limit: 10 })).toMatchObject({ facts: [], hidden: true });

    const restored = await replica();
    await restored.transact(plain, { id: 'a', commandId: '5' }, add(5));
    const { facts } = await restored.readFacts({ limit: 10 });
    expect(facts.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5]);
    const { rows } = await restored.pool.query(`
      select version from events, relay where (events.transaction_id, events.position) > (relay.transaction_id, relay.position)
      order by version`);
    expect(rows.map(({ version }) => version)).toEqual([3, 4, 5]);
  });
});

describe('opening', () => {
  it('waits for the database, and says where', async ({ postgresUrl, log }) => {
    const relay = await cuttingRelay(postgresUrl);
    relay.setDown(true);
    const waited: string[] = [];
    const ledger = await openTestLedger(
      { databaseUrl: relay.url, log },
      {
        onWaiting: ({ where }) => {
          waited.push(where);
          if (waited.length === 2) relay.setDown(false);
        },
      },
    );
    const { port, pathname } = new URL(relay.url);
    expect(waited[0]).toBe(`127.0.0.1:${port}${pathname}`);
    expect(await ledger.healthy()).toMatchObject({ ok: true });
    await ledger.close();
    await relay.close();
  });

  it('stops waiting when told to', async ({ log }) => {
    const port = await freePort();
    const stop = new AbortController();
    const opening = openTestLedger(
      { databaseUrl: `postgres://nobody@127.0.0.1:${port}/nowhere`, log },
      { signal: stop.signal, onWaiting: () => stop.abort(new Error('enough')) },
    );
    await expect(opening).rejects.toThrow('enough');
  });

  it('does not wait for what waiting cannot mend', async ({ postgresUrl, log }) => {
    const databaseUrl = Object.assign(new URL(postgresUrl), { pathname: '/there_is_no_such_database' }).href;
    await expect(openTestLedger({ databaseUrl, log })).rejects.toThrow('does not exist');
  });

  it('refuses a schema that is no name', async ({ replica }) => {
    await expect(replica({ schema: 'public; drop table' })).rejects.toThrow('not the name of a schema');
  });
});
