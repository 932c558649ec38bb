/** How far the relay is behind, for `/metrics` (I12). Asked of the database when scraped, so every replica tells the same. */
import type { Basics } from '@molecule/service';
import type pg from 'pg';
import { runOn } from './connection.ts';

/** Beyond this the backlog is simply long. */
const MAX_COUNTED = 100_000;

const LAG: pg.QueryConfig = {
  name: 'molecule-relay-lag',
  text: `
    with place as (select transaction_id, position from relay where name = 'bus')
    select count(*)::int as facts, coalesce(extract(epoch from clock_timestamp() - min(recorded_at)), 0)::float8 as seconds
    from (
      select recorded_at from events
      where (transaction_id, position) > (
        coalesce((select transaction_id from place), '0'::xid8), coalesce((select position from place), 0))
      order by transaction_id, position limit ${MAX_COUNTED}
    ) behind`,
};

interface Lag extends pg.QueryResultRow {
  readonly facts: number;
  readonly seconds: number;
}

/** Registers `molecule_outbox_lag_facts` and `molecule_outbox_lag_seconds`. While the database does not answer, they have no value. */
export function registerLag(metrics: Basics['metrics'], pool: pg.Pool): void {
  let asked: Promise<Lag | undefined> | undefined;
  // Both figures are asked for in one scrape, and answered by one query.
  const lag = () => {
    asked ??= runOn<Lag>(pool, LAG, [])
      .then(({ rows }) => rows[0])
      .catch(() => undefined)
      .finally(() => {
        asked = undefined;
      });
    return asked;
  };
  const gauge = (name: string, help: string, measure: (lag: Lag) => number) => {
    const describe = async () => {
      const value = await lag();
      return { name, help, type: 'gauge', aggregator: 'max', values: value ? [{ labels: {}, value: measure(value) }] : [] };
    };
    // What a registry asks of a metric, without depending on the library that makes them.
    const metric = { name, help, type: 'gauge', get: describe, getForPromString: describe, reset: () => {} };
    metrics.registerMetric(metric as unknown as Parameters<typeof metrics.registerMetric>[0]);
  };
  gauge('molecule_outbox_lag_facts', 'Committed facts that the relay has not passed yet.', ({ facts }) => facts);
  gauge('molecule_outbox_lag_seconds', 'Age of the oldest of them, in seconds.', ({ seconds }) => seconds);
}
