/** How far the log has been published, and into which stream (R3, R6 of the relay). */
import type pg from 'pg';
import type { Logger } from 'pino';
import { runOn, withClient } from './connection.ts';
import { BEGINNING, placeOf } from './log.ts';
import type { LogCursor } from './types.ts';

/** How long a place may go unremembered: what a killed relay publishes again. */
const REMEMBER_AFTER_MS = 200;
const NAME = 'bus';
/** Clocks differ, and a fact is published a little after it was recorded. */
const MARGIN_MS = 60 * 60_000;

/** Which stream it is, and how far it is filled. */
export interface TargetMark {
  readonly id: string;
  readonly lastSequence: number;
  /** Milliseconds for which it keeps a fact. */
  readonly keepsMs: number;
}

interface Row extends pg.QueryResultRow {
  readonly transaction_id: string;
  readonly position: string;
  readonly target: string | null;
  readonly target_sequence: string;
  readonly returns: number;
}

export class Place {
  cursor: LogCursor = BEGINNING;
  readonly #pool: pg.Pool;
  #remembered: LogCursor = BEGINNING;
  #rememberedAt = performance.now();
  #target: string | null = null;
  /** The highest sequence that the target has acknowledged. */
  #sequence = 0;
  #returns = 0;

  private constructor(pool: pg.Pool) {
    this.#pool = pool;
  }

  static async recall(pool: pg.Pool): Promise<Place> {
    const query = {
      name: 'molecule-relay-recall',
      text: 'select transaction_id::text, position::text, target, target_sequence::text, returns from relay where name = $1',
    };
    const { rows } = await runOn<Row>(pool, query, [NAME]);
    const place = new Place(pool);
    if (rows[0]) place.#stand(rows[0]);
    return place;
  }

  /** Milliseconds until the place should be remembered; for ever, if it is. */
  dueInMs(): number {
    if (this.cursor === this.#remembered) return Number.POSITIVE_INFINITY;
    return Math.max(this.#rememberedAt + REMEMBER_AFTER_MS - performance.now(), 0);
  }

  acknowledged(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence);
  }

  async rememberWhenDue(): Promise<void> {
    if (this.dueInMs() === 0) await this.remember();
  }

  async remember(): Promise<void> {
    const { cursor } = this;
    if (cursor === this.#remembered) return;
    const query = {
      name: 'molecule-relay-remember',
      text: `
        insert into relay (name, transaction_id, position, target, target_sequence, returns)
        values ($1, $2::text::xid8, $3, $4, $5, $6)
        on conflict (name) do update set
          transaction_id = excluded.transaction_id, position = excluded.position,
          target = excluded.target, target_sequence = greatest(relay.target_sequence, excluded.target_sequence)
        where (relay.transaction_id, relay.position) < (excluded.transaction_id, excluded.position)
          and relay.returns = excluded.returns`,
    };
    await runOn(this.#pool, query, [NAME, ...placeOf(cursor), this.#target, this.#sequence, this.#returns]);
    this.#remembered = cursor;
    this.#rememberedAt = performance.now();
  }

  /** Compares the target with what is known of it, and goes back when facts were lost with it. `true`: it did. */
  async meet({ id, lastSequence, keepsMs }: TargetMark, log: Logger): Promise<boolean> {
    if (this.#target === id && lastSequence >= this.#sequence) return false;
    // Published by a version that did not keep the mark: nothing is known to be lost, unless the stream is empty.
    if (this.#target === null && (this.cursor === BEGINNING || lastSequence > 0)) {
      this.#target = id;
      return false;
    }
    log.warn(
      { was: this.#target, is: id, acknowledged: this.#sequence, lastSequence },
      'the stream of facts was lost, or is older than it was; publishing again what it would keep',
    );
    const since = Number.isFinite(keepsMs) ? new Date(Date.now() - keepsMs - MARGIN_MS) : new Date(0);
    const [row] = await withClient(this.#pool, async (client) => {
      const { rows } = await client.query<Row>(
        `
        with since as (
          select transaction_id, position from events where recorded_at < $2
          order by transaction_id desc, position desc limit 1
        )
        insert into relay as r (name, transaction_id, position, target, target_sequence, returns)
        values ($1, coalesce((select transaction_id from since), '0'::xid8), coalesce((select position from since), 0), $3, $4, 1)
        on conflict (name) do update set
          transaction_id = least(r.transaction_id, excluded.transaction_id),
          position = case when (r.transaction_id, r.position) < (excluded.transaction_id, excluded.position)
            then r.position else excluded.position end,
          target = excluded.target, target_sequence = excluded.target_sequence, returns = r.returns + 1
        returning transaction_id::text, position::text, target, target_sequence::text, returns`,
        [NAME, since, id, lastSequence],
      );
      return rows;
    });
    if (row) this.#stand(row);
    return true;
  }

  #stand({ transaction_id, position, target, target_sequence, returns }: Row): void {
    this.cursor = `${transaction_id}.${position}`;
    this.#remembered = this.cursor;
    this.#rememberedAt = performance.now();
    this.#target = target;
    this.#sequence = Number(target_sequence);
    this.#returns = returns;
  }
}
