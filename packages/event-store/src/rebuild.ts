/**
 * Rebuilds read models from the log while the system runs, and compares them with the live ones (I3).
 *
 *   B1. The rebuilt tables are temporary tables of one connection: they stand before the live ones on its search path, so the very
 *       projections that fill the live tables fill them; they cost no right but to connect, and leave nothing behind.
 *   B2. Most of the log is replayed in short transactions. An open one would hold back every reader of every log on the server (E3).
 *   B3. What is compared is one moment: rebuilt and live tables are read in one snapshot, after the rest of the log as this
 *       snapshot shows it.
 *   B4. To mend, the live tables are locked against writers before that snapshot is taken, so no commit falls between comparison
 *       and repair. Only rows that differ are touched.
 */
import type { RebuildReport, RecordedFact } from '@molecule/contracts';
import type pg from 'pg';
import type { Logger } from 'pino';
import { compareTable, mendTable } from './compare.ts';
import { kyselyOn } from './connection.ts';
import { isContended } from './errors.ts';
import type { KnownAggregates } from './gate.ts';
import { BEGINNING, cursorOf, placeOf } from './log.ts';
import { FOLLOW, type FollowRow } from './statements.ts';
import type { AnyProjection, LogCursor } from './types.ts';

const BATCH = 500;
const ATTEMPTS = 3;

export interface RebuildOptions<Tables> {
  readonly service: string;
  readonly schema: string;
  readonly log: Logger;
  /** A connection of its own, without time limits. */
  readonly connect: () => Promise<pg.Client>;
  readonly known: KnownAggregates<Tables>;
  readonly projections: readonly AnyProjection<Tables>[];
  /** Compare only. */
  readonly check: boolean;
}

export async function rebuild<Tables>(options: RebuildOptions<Tables>): Promise<RebuildReport> {
  const { service, log, connect, check } = options;
  const started = performance.now();
  const client = await connect();
  try {
    const rebuilding = new Rebuilding(options, client);
    await rebuilding.prepare();
    await rebuilding.replaySettled();
    const report = await rebuilding.finish();
    const differing = report.projections.filter(({ missing, unexpected }) => missing + unexpected > 0).map(({ table }) => table);
    log.info({ facts: report.facts, differing, check, ms: Math.round(performance.now() - started) }, 'read models rebuilt');
    return { service, ...report };
  } finally {
    await client.end().catch(() => {});
  }
}

class Rebuilding<Tables> {
  readonly #options: RebuildOptions<Tables>;
  readonly #client: pg.Client;
  readonly #tables: readonly string[];
  #cursor: LogCursor = BEGINNING;
  #facts = 0;

  constructor(options: RebuildOptions<Tables>, client: pg.Client) {
    this.#options = options;
    this.#client = client;
    this.#tables = [...new Set(options.projections.flatMap(({ tables }) => tables))];
  }

  /** B1. The planner knows nothing of these tables, and must not take them for small. */
  async prepare(): Promise<void> {
    const { schema } = this.#options;
    await this.#client.query('set synchronous_commit = off; set enable_seqscan = off; set client_min_messages = warning');
    for (const table of this.#tables)
      await this.#client.query(`create temporary table ${quoted(table)} (like ${schema}.${quoted(table)} including all)`);
  }

  /** B2: up to where the log is settled. */
  async replaySettled(): Promise<void> {
    for (let full = true; full; ) {
      await this.#within('begin', async () => {
        const rows = (await this.#follow(this.#cursor)).filter(({ settled }) => settled);
        await this.#apply(rows);
        const last = rows.at(-1);
        if (last) this.#cursor = cursorOf(last);
        this.#facts += rows.length;
        full = rows.length === BATCH;
        return 'commit';
      });
    }
    await this.#client.query('set enable_seqscan = on');
    for (const table of this.#tables) await this.#client.query(`analyze ${quoted(table)}`);
  }

  /** B3, B4. */
  async finish(): Promise<Omit<RebuildReport, 'service'>> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#finishOnce();
      } catch (error) {
        // A writer and we waited for each other; one of us had to give way.
        if (!isContended(error) || attempt === ATTEMPTS) throw error;
      }
    }
  }

  async #finishOnce(): Promise<Omit<RebuildReport, 'service'>> {
    const { schema, projections, check } = this.#options;
    const report: RebuildReport['projections'] = [];
    let facts = this.#facts;
    await this.#within('begin isolation level repeatable read', async () => {
      if (!check && this.#tables.length > 0) {
        const live = this.#tables.map((table) => `${schema}.${quoted(table)}`).join(', ');
        await this.#client.query(`set local synchronous_commit = on; set local lock_timeout = '5s'`);
        await this.#client.query(`lock table ${live} in share row exclusive mode`);
      }
      for (let after = this.#cursor, full = true; full; ) {
        const rows = await this.#follow(after);
        await this.#apply(rows);
        const last = rows.at(-1);
        if (last) after = cursorOf(last);
        facts += rows.length;
        full = rows.length === BATCH;
      }
      for (const { name, tables } of projections)
        for (const table of tables)
          report.push({ projection: name, table, ...(await compareTable(this.#client, schema, quoted(table))) });
      if (check) return 'rollback';
      for (const { table, missing, unexpected } of report)
        if (missing + unexpected > 0) await mendTable(this.#client, schema, quoted(table));
      return 'commit';
    });
    return { facts, projections: report };
  }

  async #follow(after: LogCursor): Promise<FollowRow[]> {
    return (await this.#client.query<FollowRow & pg.QueryResultRow>(FOLLOW, [...placeOf(after), BATCH])).rows;
  }

  async #apply(rows: readonly FollowRow[]): Promise<void> {
    const { known, projections } = this.#options;
    const db = kyselyOn<Tables>(this.#client);
    for (const row of rows) {
      const fact: RecordedFact = known.read(row);
      for (const projection of projections) if (known.shows(row.stream, projection)) await projection.apply(db, fact as never);
    }
  }

  async #within(begin: string, work: () => Promise<'commit' | 'rollback'>): Promise<void> {
    await this.#client.query(begin);
    try {
      await this.#client.query(await work());
    } catch (error) {
      await this.#client.query('rollback').catch(() => {});
      throw error;
    }
  }
}

const quoted = (table: string): string => `"${table.replaceAll('"', '""')}"`;
