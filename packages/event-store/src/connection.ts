/**
 * Connections to PostgreSQL: every one has its schema, its time limits and its error listener.
 *
 *   C1. A pool and each of its clients have an `error` listener: a dying connection is logged and never ends the process.
 *   C2. A connection that failed in a way that leaves its state unknown is thrown away, never lent again.
 *   C3. Every statement is prepared, and bound: `statement_timeout` in the server, a little later a deadline of our own.
 */
import { createHash } from 'node:crypto';
import { Kysely, PostgresDialect, type PostgresPool, type PostgresPoolClient } from 'kysely';
import pg from 'pg';
import type { Logger } from 'pino';
import { isBroken } from './errors.ts';

export interface ConnectionOptions {
  readonly databaseUrl: string;
  readonly schema: string;
  /** Shown by the server in `pg_stat_activity`. */
  readonly name: string;
  /** Milliseconds; 0: no limit. */
  readonly statementTimeoutMs: number;
}

const CONNECT_TIMEOUT_MS = 2_000;
/** The server gives up first, so that a connection is thrown away only when the server itself is stuck. */
const ANSWER_GRACE_MS = 500;
/**
 * A transaction that nobody goes on with, forgotten or of a process that is frozen, holds back every reader of every log on the server
 * (E3): not for longer than a statement may take.
 */
const IDLE_IN_TRANSACTION_MS = 5_000;

/** `host:port/database`, for logs: no user, no password. */
export const whereIs = (databaseUrl: string): string => {
  const url = new URL(databaseUrl);
  const host = url.searchParams.get('host') ?? url.hostname;
  return `${host || 'localhost'}:${url.port || '5432'}${url.pathname}`;
};

/** The configuration of a connection whose unqualified names are those of `schema`. Times are in UTC. */
export function clientConfig({ databaseUrl, schema, name, statementTimeoutMs }: ConnectionOptions): pg.ClientConfig {
  if (!/^[a-z_][a-z0-9_]*$/.test(schema)) throw new TypeError(`not the name of a schema: ${JSON.stringify(schema)}`);
  const settings = {
    search_path: schema,
    timezone: 'UTC',
    statement_timeout: statementTimeoutMs,
    idle_in_transaction_session_timeout: statementTimeoutMs === 0 ? 0 : IDLE_IN_TRANSACTION_MS,
  };
  const url = new URL(databaseUrl);
  const options = Object.entries(settings).map(([setting, value]) => `-c ${setting}=${value}`);
  url.searchParams.set('options', [url.searchParams.get('options') ?? '', ...options].join(' ').trim());
  return {
    connectionString: url.href,
    application_name: name,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    ...(statementTimeoutMs === 0 ? {} : { query_timeout: statementTimeoutMs + ANSWER_GRACE_MS }),
  };
}

/** Connects; the caller ends it. C1: what happens to it while nobody waits for it is told to `onLost`. */
export async function connect(config: pg.ClientConfig, onLost: (error: Error) => void): Promise<pg.Client> {
  const client = new pg.Client(config);
  client.on('error', onLost);
  try {
    await client.connect();
    return client;
  } catch (error) {
    await client.end().catch(() => {});
    throw error;
  }
}

/** `onLost` hears of every connection that died, used or idle. */
export function openPool(
  config: pg.ClientConfig,
  { size, log, onLost }: { readonly size: number; readonly log: Logger; readonly onLost: () => void },
): pg.Pool {
  // So that `begin` and the first statement of a transaction leave together.
  const pipelined: pg.PoolConfig & { readonly pipeline: true } = {
    ...config,
    max: size,
    idleTimeoutMillis: 30_000,
    pipeline: true,
  };
  const pool = new pg.Pool(pipelined);
  const report = (error: Error) => {
    onLost();
    log.warn({ err: error }, 'a database connection was lost');
  };
  pool.on('error', report).on('connect', (client) => client.on('error', report)); // C1
  return pool;
}

/** Lends a connection for as long as `work` takes (C2). */
export async function withClient<R>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<R>): Promise<R> {
  const client = await pool.connect();
  try {
    const result = await work(client);
    client.release();
    return result;
  } catch (error) {
    client.release(isBroken(error));
    throw error;
  }
}

/**
 * Runs `work` in a transaction of its own. `begin` is not waited for: it goes out ahead of the first query, and its failure is that
 * query's failure too.
 */
export async function inTransaction<R>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<R>): Promise<R> {
  const client = await pool.connect();
  let broken = false;
  try {
    const begun = client.query('begin');
    begun.catch(() => {});
    const result = await work(client);
    await begun;
    const { command } = await client.query('commit');
    if (command !== 'COMMIT') throw new Error('a statement failed unnoticed, and its transaction was undone');
    return result;
  } catch (error) {
    broken = isBroken(error);
    if (!broken) await client.query('rollback').catch(() => (broken = true));
    throw error;
  } finally {
    client.release(broken);
  }
}

/** One prepared statement on a connection of its own choosing. Unlike `pool.query`, it keeps the connection when a constraint objects. */
export const runOn = <Row extends pg.QueryResultRow>(
  pool: pg.Pool,
  query: pg.QueryConfig,
  values: readonly unknown[],
): Promise<pg.QueryResult<Row>> => withClient(pool, (client) => client.query<Row>(query, [...values]));

/** How many different texts are prepared; programs that make up more are served unprepared. */
const MAX_PREPARED = 1_000;
const names = new Map<string, string>();

/** A name for a statement, the same for the same text. */
function prepared(text: string): pg.QueryConfig {
  let name = names.get(text);
  if (name === undefined && names.size < MAX_PREPARED) {
    name = createHash('sha256').update(text).digest('base64url').slice(0, 32);
    names.set(text, name);
  }
  return name === undefined ? { text } : { name, text };
}

type Lent = Pick<pg.ClientBase, 'query'>;

/** A connection as Kysely wants it: its statements prepared (C3). `release` says whether it failed beyond use (C2). */
function forKysely(client: Lent, release: (broken: boolean) => void): PostgresPoolClient {
  let broken = false;
  const query = async (text: string, parameters: readonly unknown[]) => {
    try {
      // `begin` and the like come without parameters, and need no plan.
      return await client.query(parameters.length === 0 ? { text } : prepared(text), [...parameters]);
    } catch (error) {
      broken ||= isBroken(error);
      throw error;
    }
  };
  return { query, release: (destroy?: boolean) => release(destroy === true || broken) } as unknown as PostgresPoolClient;
}

/** Kysely over a pool. It does not own the pool: closing it is the opener's business. */
export function kyselyOver<Tables>(pool: pg.Pool): Kysely<Tables> {
  const lending: PostgresPool = {
    options: {},
    connect: async () => {
      const client = await pool.connect();
      return forKysely(client, (broken) => client.release(broken));
    },
    end: async () => {},
  };
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool: lending }) });
}

const bound = new WeakMap<Lent, Kysely<never>>();

/** Kysely on one connection, and so in whatever transaction is open there. */
export function kyselyOn<Tables>(client: Lent): Kysely<Tables> {
  let db = bound.get(client);
  if (!db) {
    const lent = forKysely(client, () => {});
    const lending: PostgresPool = { options: {}, connect: async () => lent, end: async () => {} };
    db = new Kysely<never>({ dialect: new PostgresDialect({ pool: lending }) });
    bound.set(client, db);
  }
  return db as unknown as Kysely<Tables>;
}
