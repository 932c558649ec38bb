/**
 * Leadership by advisory lock: of the replicas of a service, one at a time does what must not be done by two at once.
 *
 *   L1. A process leads while its own connection holds the lock; when it notices that the connection is gone, it aborts the task,
 *       and waits for it to end before it tries again.
 *   L2. A connection that dies unnoticed is noticed within 15 s; and the server takes the lead from a process that has not been heard of
 *       for 20 s (stopped, swapped out), so that another may lead. Until each has noticed, two may lead: leadership keeps work in order
 *       and from being done twice, but what is done must bear being done twice.
 *   L3. Who waits asks twice a second: a statement that waited in the server would keep old rows from being cleaned up.
 */
import { backoff, sleep } from '@molecule/service';
import type pg from 'pg';
import type { Logger } from 'pino';
import { connect } from './connection.ts';

const ASK_EVERY_MS = 500;
const PING_EVERY_MS = 10_000;
const PING_TIMEOUT_MS = 5_000;
/** Two pings: how long the server believes in a leader that says nothing. */
const SILENCE_MS = 20_000;
const END_TIMEOUT_MS = 1_000;
const retryMs = backoff({ firstMs: 250, lastMs: 10_000 });

export type Leadership = {
  /** What is to be done alone, within one schema. */
  readonly key: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
  /** Ends when told to. Throwing or ending early gives up the lead for a moment. */
  readonly task: (signal: AbortSignal) => Promise<void>;
  /** Called while another process leads, so that waiting does not look like hanging. */
  readonly tick?: () => void;
  /** Milliseconds of silence after which the server ends the connection that holds the lead (L2). */
  readonly silenceMs?: number;
} & (
  | { readonly ledger: { readonly pool: pg.Pool; readonly schema: string } }
  | { readonly pool: pg.Pool; readonly schema: string }
);

/** Runs `task` whenever this process leads, until `signal`. Never rejects. */
export async function whileLeading(options: Leadership): Promise<void> {
  const { key, log, signal } = options;
  for (let failures = 0; !signal.aborted; ) {
    try {
      if (await leadOnce(options)) failures = 0;
      if (!signal.aborted) log.info({ key }, 'the lead was given up');
    } catch (error) {
      if (!signal.aborted) log.warn({ err: error, key }, 'leading failed');
    }
    failures++;
    await sleep(retryMs(failures), signal);
  }
}

/** One term. `true` when this process came to lead. */
async function leadOnce(options: Leadership): Promise<boolean> {
  const { key, log, signal, task, tick, silenceMs = SILENCE_MS } = options;
  const { pool, schema } = 'ledger' in options ? options.ledger : options;
  const lost = new AbortController();
  const client = await connect(configOf(pool, key), (error) => {
    log.warn({ err: error, key }, 'the connection that holds the lead was lost');
    lost.abort();
  });
  client.on('end', () => lost.abort());
  const either = AbortSignal.any([signal, lost.signal]);
  try {
    await client.query(`select set_config('idle_session_timeout', $1, false)`, [`${silenceMs}ms`]); // L2
    while (!(await isOurs(client, `${schema}.${key}`))) {
      tick?.();
      await sleep(ASK_EVERY_MS, either);
      if (either.aborted) return false;
    }
    if (either.aborted) return false;
    log.info({ key }, 'leading');
    const pinging = ping(client, either, () => lost.abort());
    try {
      await task(either);
    } finally {
      lost.abort();
      await pinging;
    }
    return true;
  } finally {
    const { promise: tooLong, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, END_TIMEOUT_MS);
    await Promise.race([client.end().catch(() => {}), tooLong]);
    clearTimeout(timer);
  }
}

/** The settings of the pool's connections, without those of the pool. */
function configOf(pool: pg.Pool, key: string): pg.ClientConfig {
  const { connectionString, connectionTimeoutMillis, query_timeout, application_name = 'molecule' } = pool.options;
  return {
    application_name: `${application_name} ${key}`,
    keepAlive: true,
    ...(connectionString !== undefined && { connectionString }),
    ...(connectionTimeoutMillis !== undefined && { connectionTimeoutMillis }),
    ...(query_timeout !== undefined && { query_timeout }),
  };
}

async function isOurs(client: pg.Client, name: string): Promise<boolean> {
  const { rows } = await client.query<{ ours: boolean }>('select pg_try_advisory_lock(hashtextextended($1, 0)) as ours', [name]);
  return rows[0]?.ours === true;
}

/** Notices a connection that is gone without a word (L2). */
async function ping(client: pg.Client, signal: AbortSignal, onLost: () => void): Promise<void> {
  while (!signal.aborted) {
    await sleep(PING_EVERY_MS, signal);
    if (signal.aborted) return;
    const query = { text: 'select 1', query_timeout: PING_TIMEOUT_MS };
    await client.query(query).catch(onLost);
  }
}
