/**
 * Brings a schema up to date with the SQL files that this program carries (style 19).
 *
 *   M1. One process migrates a schema at a time; the others wait and find it done.
 *   M2. Each file is applied once, in one transaction with the note that it was. The store's own files come first.
 *   M3. A file that was applied is never edited, and none is slipped in before it: either refuses to start.
 *   M4. A process that finds files applied which it does not know is older than the schema. It goes on, unless one of them begins
 *       with `-- breaking`.
 *   M5. A log that came from another server (a restored backup) has transaction ids that this server has not reached. They are
 *       replaced, keeping what was published apart from what was not, and the order of each stream.
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sleep } from '@molecule/service';
import type pg from 'pg';
import type { Logger } from 'pino';

/** The schema and this program do not fit together. */
export class MigrationRefused extends Error {
  override get name(): string {
    return 'MigrationRefused';
  }
}

export interface MigrationSource {
  /** Whose files these are. */
  readonly origin: string;
  readonly directory: string;
}

interface Migration {
  readonly origin: string;
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
  readonly breaking: boolean;
}

interface Applied extends pg.QueryResultRow {
  readonly origin: string;
  readonly name: string;
  readonly checksum: string;
  readonly breaking: boolean;
}

const FILE_NAME = /^\d{4}-[a-z0-9-]+\.sql$/;
const ASK_EVERY_MS = 100;
const SAY_EVERY_MS = 5_000;

/** `client` has no time limits, and `schema` on its search path. @throws MigrationRefused */
export async function migrate(
  client: pg.Client,
  {
    schema,
    sources,
    log,
    signal,
  }: {
    readonly schema: string;
    readonly sources: readonly MigrationSource[];
    readonly log: Logger;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  const files = (await Promise.all(sources.map(read))).flat();
  await takeTurn(client, schema, log, signal); // M1; the lock goes with the connection
  const { rows: found } = await client.query('select from pg_namespace where nspname = $1', [schema]);
  if (found.length === 0) await client.query(`create schema ${schema}`);
  await client.query(`
    create table if not exists migrations (
      origin text not null,
      name text not null,
      checksum text not null,
      breaking boolean not null,
      applied_at timestamptz not null default now(),
      primary key (origin, name))`);
  const { rows: applied } = await client.query<Applied>('select origin, name, checksum, breaking from migrations order by name');
  for (const { origin } of sources) {
    const known = files.filter((file) => file.origin === origin);
    const missing = compare(
      known,
      applied.filter((row) => row.origin === origin),
      log,
    );
    for (const migration of missing) await apply(client, migration, log);
  }
  await adoptForeignTransactions(client, log);
}

async function read({ origin, directory }: MigrationSource): Promise<Migration[]> {
  const names = (await readdir(directory)).filter((name) => name.endsWith('.sql')).toSorted();
  const numbers = new Set<string>();
  for (const name of names) {
    if (!FILE_NAME.test(name)) throw new MigrationRefused(`${origin}/${name}: a migration is named like 0001-what-it-does.sql`);
    if (numbers.has(name.slice(0, 4))) throw new MigrationRefused(`${origin}: two migrations are numbered ${name.slice(0, 4)}`);
    numbers.add(name.slice(0, 4));
  }
  return Promise.all(
    names.map(async (name) => {
      const sql = (await readFile(join(directory, name), 'utf8')).replaceAll('\r\n', '\n');
      const checksum = createHash('sha256').update(sql).digest('hex');
      return { origin, name, sql, checksum, breaking: /^-- breaking\b/.test(sql) };
    }),
  );
}

/** What is still to be applied. M3, M4. */
function compare(known: readonly Migration[], applied: readonly Applied[], log: Logger): Migration[] {
  const files = new Map(known.map((migration) => [migration.name, migration]));
  for (const { origin, name, checksum, breaking } of applied) {
    const file = files.get(name);
    if (!file && breaking)
      throw new MigrationRefused(`${origin}/${name} was applied by a newer version, and this one cannot work with it: update it`);
    if (!file) log.warn({ origin, migration: name }, 'a newer version has migrated the schema');
    else if (file.checksum !== checksum)
      throw new MigrationRefused(`${origin}/${name} was edited after it had been applied: undo that, and add a new file`);
  }
  const done = new Set(applied.map(({ name }) => name));
  const last = applied.filter(({ name }) => files.has(name)).at(-1)?.name ?? '';
  const missing = known.filter(({ name }) => !done.has(name));
  const early = missing.find(({ name }) => name < last);
  if (early)
    throw new MigrationRefused(`${early.origin}/${early.name} comes before ${last}, which is applied: number it after that`);
  return missing;
}

/** M2. */
async function apply(client: pg.Client, { origin, name, sql, checksum, breaking }: Migration, log: Logger): Promise<void> {
  await client.query('begin');
  try {
    await client.query(sql);
    await client.query('insert into migrations (origin, name, checksum, breaking) values ($1, $2, $3, $4)', [
      origin,
      name,
      checksum,
      breaking,
    ]);
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw new Error(`migration ${origin}/${name} failed`, { cause: error });
  }
  log.info({ origin, migration: name }, 'migrated');
}

async function takeTurn(client: pg.Client, schema: string, log: Logger, signal: AbortSignal): Promise<void> {
  for (let waitedMs = 0; ; waitedMs += ASK_EVERY_MS) {
    const { rows } = await client.query<{ ours: boolean }>('select pg_try_advisory_lock(hashtextextended($1, 0)) as ours', [
      `${schema}.migrate`,
    ]);
    if (rows[0]?.ours) return;
    if (waitedMs % SAY_EVERY_MS === 0) log.info({ schema }, 'waiting for another process that migrates this schema');
    await sleep(ASK_EVERY_MS, signal);
    signal.throwIfAborted();
  }
}

/** M5. Ids 1 and 2 are given to no transaction: published facts get the one, the others the other. */
async function adoptForeignTransactions(client: pg.Client, log: Logger): Promise<void> {
  const { rows } = await client.query(
    'select from events where transaction_id >= pg_snapshot_xmax(pg_current_snapshot()) order by transaction_id desc limit 1',
  );
  if (rows.length === 0) return;
  log.warn('the log comes from another server: its transaction ids are replaced');
  await client.query(`
    begin;
    lock table events, relay in exclusive mode;
    update events e set transaction_id = case
      when exists (select from relay r where (e.transaction_id, e.position) <= (r.transaction_id, r.position)) then '1'::xid8
      else '2'::xid8 end;
    update relay set transaction_id = '2', position = 0;
    commit`);
}
