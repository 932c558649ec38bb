/**
 * What the streams of an aggregate held at a time: for reads of the past, that fold what they need.
 *
 *   H1. All pages show one moment of the database, so that no stream is ahead of another. The transaction only reads: it is given no
 *       id, and holds back no reader of the log (E3).
 *   H2. One scan in the order of (stream, version), a page at a time: its cost is the whole log's length, never its square, and each
 *       statement is bound in time like any other.
 *   H3. Of each stream the longest beginning that was recorded by then, wherever clocks may have jumped.
 */
import type { Fact } from '@molecule/contracts';
import type pg from 'pg';
import { withClient } from './connection.ts';
import { type FactRow, readRecorded } from './gate.ts';
import { HISTORY } from './statements.ts';
import type { Aggregate, HistoryQuestion, Recorded } from './types.ts';

/** So few that parsing them lets others have their turn. */
const PAGE = 1_000;

export async function readHistory<Tables, State, F extends Fact>(
  pool: pg.Pool,
  aggregate: Aggregate<Tables, State, F>,
  { at, id, always = [] }: HistoryQuestion,
  onFact: (fact: Recorded<F>) => void,
): Promise<void> {
  const streams = id === undefined ? `${aggregate.noun}.%` : `${aggregate.noun}.${id}`;
  await withClient(pool, async (client) => {
    await client.query('begin isolation level repeatable read read only'); // H1
    try {
      let last = { stream: `${aggregate.noun}.`, version: 0 };
      // H3: how far the stream being read goes without a gap.
      let whole = last;
      for (let full = true; full; ) {
        const place = [last.stream, last.version, streams, at, always, PAGE];
        const { rows } = await client.query<FactRow & pg.QueryResultRow>(HISTORY, place);
        for (const row of rows) {
          const { stream, version, type } = row;
          if (stream !== whole.stream) whole = { stream, version: 0 };
          const follows = version === whole.version + 1;
          if (follows) whole = { stream, version };
          if (follows || always.includes(type)) onFact(readRecorded(aggregate, row) as Recorded<F>);
        }
        last = rows.at(-1) ?? last;
        full = rows.length === PAGE;
      }
    } finally {
      await client.query('rollback');
    }
  });
}
