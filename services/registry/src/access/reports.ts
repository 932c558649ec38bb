/**
 * What gateways report now and then: which tokens opened a door lately, and whom they refused.
 *
 *   R1. Each report is heard by one replica, and written in batches; what a crash or a full memory loses is only remembered less well.
 *   R2. The latest use counts, in whatever order reports come.
 *   R3. A report of refusals is one fact, once, however often it is written.
 */
import type { Bus } from '@molecule/bus';
import { type DenialFact, DenialReport, PLATFORM, subjects, TokenUses } from '@molecule/contracts';
import { isUnavailable, type Ledger } from '@molecule/event-store';
import type { Log } from '@molecule/service';
import { sql } from 'kysely';
import type { z } from 'zod';
import type { Tables } from '../database.ts';
import { denial } from './aggregate.ts';

export interface ReportsParts {
  readonly bus: Bus;
  readonly ledger: Ledger<Tables>;
  readonly log: Log;
}

/** Tokens whose use waits to be written. */
const MAX_USES = 100_000;
/** Reports of refusals that wait to be written. */
const MAX_DENIALS = 1_000;
const ROWS_AT_ONCE = 1_000;

export class Reports {
  readonly #parts: ReportsParts;
  readonly #release: readonly (() => void)[];
  #uses = new Map<string, string>();
  #denials: DenialReport[] = [];

  constructor(parts: ReportsParts) {
    this.#parts = parts;
    this.#release = [
      this.#hear(subjects.tokenUses, TokenUses, (uses) => {
        for (const { tokenId, at } of uses) this.#use(tokenId, at);
      }),
      this.#hear(subjects.denials, DenialReport, (report) => {
        if (this.#denials.length < MAX_DENIALS) this.#denials.push(report);
        else parts.log.warn({ gateway: report.gateway }, 'too many refusals wait to be written; a report was dropped');
      }),
    ];
  }

  /** Writes what was heard. What could not be written because the database was away, waits for the next time. */
  async write(): Promise<void> {
    await this.#writeUses();
    await this.#writeDenials();
  }

  close(): void {
    for (const release of this.#release) release();
  }

  #hear<Schema extends z.ZodType>(subject: string, schema: Schema, take: (report: z.infer<Schema>) => void): () => void {
    const { bus, log } = this.#parts;
    const subscription = bus.nats.subscribe(subject, {
      queue: 'registry',
      callback: (error, message) => {
        if (error) return;
        try {
          take(schema.parse(JSON.parse(message.string())));
        } catch (unreadable) {
          log.warn({ err: unreadable, subject }, 'a report cannot be read');
        }
      },
    });
    return () => subscription.unsubscribe();
  }

  #use(tokenId: string, at: string): void {
    const known = this.#uses.get(tokenId);
    if (known === undefined ? this.#uses.size < MAX_USES : Date.parse(known) < Date.parse(at)) this.#uses.set(tokenId, at);
  }

  async #writeUses(): Promise<void> {
    const { ledger } = this.#parts;
    const uses = this.#uses;
    this.#uses = new Map();
    try {
      // In the order of ids, so that replicas that write at the same time wait for each other and never in a circle.
      const rows = [...uses].map(([token_id, last_used_at]) => ({ token_id, last_used_at })).toSorted(byToken);
      for (let from = 0; from < rows.length; from += ROWS_AT_ONCE)
        await ledger.db
          .insertInto('token_uses')
          .values(rows.slice(from, from + ROWS_AT_ONCE))
          .onConflict((conflict) =>
            conflict
              .column('token_id')
              .doUpdateSet({ last_used_at: sql`greatest(token_uses.last_used_at, excluded.last_used_at)` }),
          )
          .execute();
    } catch (error) {
      for (const [tokenId, at] of uses) this.#use(tokenId, at);
      throw error;
    }
  }

  async #writeDenials(): Promise<void> {
    const { ledger, log } = this.#parts;
    for (let report = this.#denials[0]; report !== undefined; report = this.#denials[0]) {
      const { gateway, ...data } = report;
      const denied: DenialFact = { type: 'access.denied', data };
      const commandId = `denied.${gateway}.${report.since}`;
      try {
        await ledger.transact(denial, { id: PLATFORM, commandId }, () => [denied]);
      } catch (error) {
        if (isUnavailable(error)) throw error;
        log.error({ err: error, gateway }, 'a report of refusals could not be stored');
      }
      this.#denials.shift();
    }
  }
}

const byToken = (a: { readonly token_id: string }, b: { readonly token_id: string }): number =>
  a.token_id < b.token_id ? -1 : 1;
