/** Opens a ledger: waits for PostgreSQL, brings the schema up to date, and hands out the store. */
import { fileURLToPath } from 'node:url';
import { backoff, sleep } from '@molecule/service';
import type pg from 'pg';
import type { Logger } from 'pino';
import { clientConfig, connect, openPool, whereIs } from './connection.ts';
import { isUnavailable } from './errors.ts';
import { PostgresLedger } from './ledger.ts';
import { type MigrationSource, migrate } from './migrate.ts';
import type { AnyAggregate, Ledger } from './types.ts';

export interface OpenLedgerOptions<Tables> {
  readonly databaseUrl: string;
  /** The PostgreSQL schema of the service; created when it is not there. */
  readonly schema: string;
  readonly service: string;
  readonly log: Logger;
  /** Connections at most; 10 where nothing is said. Leading and rebuilding use connections of their own. */
  readonly poolSize?: number;
  /** Milliseconds that a statement may take; 5,000 where nothing is said. */
  readonly statementTimeoutMs?: number;
  /** The directory of the service's own migrations. */
  readonly migrations: string;
  /**
   * Every aggregate of the service. They tell how old facts are read before anybody has used the aggregate, and which facts a
   * projection takes when it is rebuilt; without them a rebuilt projection is shown every fact of the log.
   */
  readonly aggregates?: readonly AnyAggregate<Tables>[];
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
  /** Hears again and again what is being waited for. */
  readonly onWaiting?: (waiting: { readonly where: string; readonly waitedMs: number; readonly error: Error }) => void;
}

const OWN_MIGRATIONS = fileURLToPath(new URL('../../../migrations/event-store', import.meta.url));
const POOL_SIZE = 10;
const STATEMENT_TIMEOUT_MS = 5_000;
const SAY_EVERY_MS = 5_000;
const retryMs = backoff({ firstMs: 50, lastMs: 2_000 });

/**
 * Waits for PostgreSQL as long as it takes, saying where. What waiting cannot mend (a wrong password, no such database) is thrown.
 * @throws MigrationRefused when schema and program do not fit; the signal's reason when told to stop
 */
export async function openLedger<Tables>({
  databaseUrl,
  schema,
  service,
  log,
  poolSize = POOL_SIZE,
  statementTimeoutMs = STATEMENT_TIMEOUT_MS,
  migrations,
  aggregates,
  signal = new AbortController().signal,
  onWaiting,
}: OpenLedgerOptions<Tables>): Promise<Ledger<Tables>> {
  const options = { databaseUrl, schema, name: `molecule ${service}` };
  const patient = () =>
    connect(clientConfig({ ...options, statementTimeoutMs: 0 }), (error) =>
      log.warn({ err: error }, 'a database connection was lost'),
    );
  const sources: MigrationSource[] = [
    { origin: 'event-store', directory: OWN_MIGRATIONS },
    { origin: service, directory: migrations },
  ];
  await whenThere({ databaseUrl, log, signal, ...(onWaiting && { onWaiting }) }, async () => {
    const client = await patient();
    try {
      await migrate(client, { schema, sources, log, signal });
    } finally {
      await client.end().catch(() => {});
    }
  });

  let ledger: PostgresLedger<Tables> | undefined;
  const pool: pg.Pool = openPool(clientConfig({ ...options, statementTimeoutMs }), {
    size: poolSize,
    log,
    onLost: () => ledger?.forgetStates(),
  });
  ledger = new PostgresLedger<Tables>({ service, schema, log, pool, connect: patient, ...(aggregates && { aggregates }) });
  return ledger;
}

async function whenThere(
  {
    databaseUrl,
    log,
    signal,
    onWaiting,
  }: Pick<OpenLedgerOptions<never>, 'databaseUrl' | 'log' | 'onWaiting'> & {
    readonly signal: AbortSignal;
  },
  work: () => Promise<void>,
): Promise<void> {
  const where = whereIs(databaseUrl);
  const started = performance.now();
  let saidAt = Number.NEGATIVE_INFINITY;
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      if (!isUnavailable(error) || !(error instanceof Error)) throw error;
      const now = performance.now();
      onWaiting?.({ where, waitedMs: now - started, error });
      if (now - saidAt >= SAY_EVERY_MS) {
        saidAt = now;
        log.warn({ where, waitedMs: Math.round(now - started), reason: error.message }, 'waiting for PostgreSQL');
      }
      await sleep(retryMs(attempt), signal);
    }
  }
}
