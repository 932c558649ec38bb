/**
 * Ends messages that wait, without an attempt: because their sender does not want them any longer, because nobody should, or because
 * their time is over. What is being dispatched is left alone: its end is the agent's.
 */
import { type MessageId, Refusal, type WorkspaceId } from '@molecule/contracts';
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../database.ts';
import { type DropReason, drop } from '../message/decisions.ts';
import { messages } from '../message/message.ts';
import type { Parts } from '../parts.ts';
import { release } from './enqueue.ts';

const PAGE = 500;
const AT_ONCE = 8;
/** Minutes: the age of what nobody could have queued. */
const OLDEST = 1_000_000_000;

interface Droppable {
  readonly messageId: MessageId;
  readonly workspaceId: WorkspaceId;
}

export class Drops {
  readonly #parts: Pick<Parts, 'ledger' | 'newId' | 'log'>;

  constructor(parts: Pick<Parts, 'ledger' | 'newId' | 'log'>) {
    this.#parts = parts;
  }

  /** What is cancelled already is cancelled. @throws Refusal for what is being dispatched, or has ended otherwise */
  async cancel(item: Droppable): Promise<void> {
    for (;;) {
      if (await this.#drop(item, 'cancelled')) return;
      const { state } = await this.#parts.ledger.load(messages, item.messageId);
      switch (state.status) {
        case 'waiting': // it came back in between
          continue;
        case 'ended':
          if (state.end.type === 'a2a.dropped' && state.end.error === 'cancelled') return;
          throw alreadyEnded();
        case 'claimed':
        case 'open':
          throw beingDispatched();
        case 'absent':
          throw new Error('a message of the mailbox is not in the log');
      }
    }
  }

  /** Spec 2 §2.5: what waits for longer, in one mailbox or in all. */
  stale(minutes: number, workspaceId: string | null): Promise<number> {
    const age = Math.min(minutes, OLDEST);
    return this.#all('stale', (db) =>
      db
        .selectFrom('mailbox')
        .select(columns)
        .where('status', '=', 'queued')
        .where('enqueued_at', '<', sql<Date>`now() - ${age} * interval '1 minute'`)
        .$if(workspaceId !== null, (query) => query.where('workspace_id', '=', workspaceId))
        .limit(PAGE)
        .execute(),
    );
  }

  /** What was to be dispatched by now, and was not. */
  expired(signal?: AbortSignal): Promise<number> {
    return this.#all(
      'expired',
      (db) =>
        db
          .selectFrom('mailbox')
          .select(columns)
          .where('status', '=', 'queued')
          .where('expires_at', 'is not', null)
          .where('expires_at', '<=', sql<Date>`now()`)
          .orderBy('expires_at')
          .limit(PAGE)
          .execute(),
      signal,
    );
  }

  async #all(
    reason: DropReason,
    page: (db: Kysely<Tables>) => Promise<readonly Droppable[]>,
    signal?: AbortSignal,
  ): Promise<number> {
    const { ledger, log } = this.#parts;
    let dropped = 0;
    for (;;) {
      const items = await page(ledger.db);
      let moved = 0;
      for (let at = 0; at < items.length; at += AT_ONCE) {
        const outcomes = await Promise.all(items.slice(at, at + AT_ONCE).map((item) => this.#drop(item, reason)));
        moved += outcomes.filter(Boolean).length;
      }
      dropped += moved;
      if (items.length < PAGE || moved === 0 || signal?.aborted) break;
    }
    if (dropped > 0) log.info({ dropped, reason }, 'dropped messages that waited');
    return dropped;
  }

  async #drop(item: Droppable, reason: DropReason): Promise<boolean> {
    const { ledger, newId } = this.#parts;
    const command = { id: item.messageId, commandId: `drop-${newId()}` };
    const { facts } = await ledger.transact(messages, command, drop(item, reason), (tx) => release(tx, item.messageId));
    return facts.length > 0;
  }
}

const columns = [sql<MessageId>`message_id`.as('messageId'), sql<WorkspaceId>`workspace_id`.as('workspaceId')] as const;

export const beingDispatched = (): Refusal =>
  new Refusal('conflict', 'queued request is being dispatched', { body: { state: 'dispatched' } });
export const alreadyEnded = (): Refusal =>
  new Refusal('conflict', 'queued request has already ended', { body: { state: 'ended' } });
