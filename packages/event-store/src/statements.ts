/**
 * The statements of the hot path, prepared once per connection under their names.
 *
 *   S1. `append` stores an entry (one command of one stream) whole or not at all: every fact of it sees the same head, and asks
 *       for the same. What another transaction slips in meanwhile violates a unique index and undoes the statement.
 *   S2. `append` never leaves a gap: an entry whose expected version is not the head is refused, whether behind or ahead.
 */
import type pg from 'pg';
import type { FactMeta, FactRow } from './gate.ts';

/** $1: a JSON array of `AppendRow`. Answers one `AppendAnswer`. */
export const APPEND: pg.QueryConfig = {
  name: 'molecule-append',
  text: `
    with fact as materialized (
      select f.*,
        coalesce((select e.version from events e where e.stream = f.stream order by e.version desc limit 1), 0) as head,
        (select e.id from events e where e.stream = f.stream and e.meta ->> 'commandId' = f.meta ->> 'commandId' and e.nth = 1) as known
      from jsonb_to_recordset($1) as f
        (entry int, stream text, expected int, nth int, id uuid, type text, schema int, data jsonb, meta jsonb)
    ), stored as (
      insert into events (id, stream, version, type, schema, nth, data, meta, recorded_at)
      select id, stream, expected + nth, type, schema, nth, data, meta, date_trunc('milliseconds', statement_timestamp())
      from fact where head = expected and known is null
      -- Everybody in the same order: two statements that meet in several streams wait for each other only one way.
      order by stream, nth
      returning transaction_id
    )
    select date_trunc('milliseconds', statement_timestamp()) as at,
      (select transaction_id::text from stored limit 1) as transaction_id,
      (select json_agg(json_build_object('entry', entry, 'known', known)) from fact
        where nth = 1 and (head <> expected or known is not null)) as refused`,
};

export interface AppendRow {
  readonly entry: number;
  readonly stream: string;
  readonly expected: number;
  readonly nth: number;
  readonly id: string;
  readonly type: string;
  readonly schema: number;
  readonly data: unknown;
  readonly meta: FactMeta;
}

export interface AppendAnswer {
  readonly at: Date;
  readonly transaction_id: string | null;
  /** `known`: the id of the first fact of that command, if the stream has it already. */
  readonly refused: readonly { readonly entry: number; readonly known: string | null }[] | null;
}

/** $1: a JSON array of `LoadQuestion`. Answers a `LoadAnswer` for each, in no particular order. */
export const LOAD: pg.QueryConfig = {
  name: 'molecule-load',
  text: `
    select q.n,
      pg_current_xact_id_if_assigned() is not null as late,
      (select json_build_object('version', s.version, 'state', s.state, 'checksum', s.checksum)
        from snapshots s where s.stream = q.stream and s.fold = q.fold) as snapshot,
      (select json_agg(json_build_object('version', e.version, 'type', e.type, 'schema', e.schema, 'data', e.data) order by e.version)
        from events e where e.stream = q.stream
        and e.version > coalesce((select s.version from snapshots s where s.stream = q.stream and s.fold = q.fold), 0)) as facts,
      (select json_agg(e order by e.version) from events e
        where e.stream = q.stream and e.meta ->> 'commandId' = q.command) as command
    from jsonb_to_recordset($1) as q (n int, stream text, fold text, command text)`,
};

export interface LoadQuestion {
  readonly stream: string;
  /** Which fold's snapshots count; `''`: none. */
  readonly fold: string;
  /** The command to look for, if any. */
  readonly command: string | null;
}

export interface LoadAnswer {
  readonly n: number;
  /** This transaction has written already. */
  readonly late: boolean;
  readonly snapshot: { readonly version: number; readonly state: string; readonly checksum: string } | null;
  readonly facts: readonly Pick<FactRow, 'version' | 'type' | 'schema' | 'data'>[] | null;
  /** What the command stored, if it did. */
  readonly command: readonly FactRow[] | null;
}

/** $1 stream, $2 time. The longest beginning of the stream that was recorded by then, wherever clocks may have jumped. */
export const LOAD_AS_OF: pg.QueryConfig = {
  name: 'molecule-load-as-of',
  text: `
    select version, type, schema, data from events
    where stream = $1
      and version < coalesce((select min(version) from events where stream = $1 and recorded_at > $2), 2147483647)
    order by version`,
};

/** $1 stream and $2 version read last, $3 pattern of the streams, $4 time, $5 types that count whenever they were recorded, $6 limit. */
export const HISTORY: pg.QueryConfig = {
  name: 'molecule-history',
  text: `
    select id, stream, version, type, schema, data, meta, recorded_at from events
    where (stream, version) > ($1, $2) and stream like $3 and (recorded_at <= $4 or type = any ($5))
    order by stream, version
    limit $6`,
};

/** $1 transaction id, $2 position, $3 limit. The log after a place, in order; `settled` rows are a beginning of it. */
export const FOLLOW: pg.QueryConfig = {
  name: 'molecule-follow',
  text: `
    select transaction_id::text, position::text, id, stream, version, type, schema, data, meta, recorded_at,
      transaction_id < pg_snapshot_xmin(pg_current_snapshot()) as settled
    from events
    where (transaction_id, position) > ($1::text::xid8, $2::bigint)
    -- The columns, not the texts of the same names above.
    order by events.transaction_id, events.position
    limit $3`,
};

export interface FollowRow extends FactRow {
  readonly transaction_id: string;
  readonly position: string;
  readonly settled: boolean;
}

/** $1 stream, $2 version, $3 fold, $4 state, $5 checksum, $6 whether the present one is damaged. An older one never replaces a newer sound one of the same fold. */
export const SAVE_SNAPSHOT: pg.QueryConfig = {
  name: 'molecule-save-snapshot',
  text: `
    insert into snapshots (stream, version, fold, state, checksum) values ($1, $2, $3, $4, $5)
    on conflict (stream) do update
      set version = excluded.version, fold = excluded.fold, state = excluded.state, checksum = excluded.checksum
      where snapshots.fold <> excluded.fold or snapshots.version < excluded.version or $6`,
};
