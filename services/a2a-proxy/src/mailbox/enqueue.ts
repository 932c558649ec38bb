/**
 * Puts a message into its workspace's mailbox, durably, before anybody is told that it is there (spec 2 §2.2).
 *
 *   Q1. At most one active message per workspace and key: who comes second gets the first one's id, and nothing new is stored.
 *   Q2. When `maxDepth` wait for one workspace, nobody is let in (I12); the sender is told to come back. Those who come at the
 *       very same time may all be let in.
 *   Q3. Nothing waits for a removed workspace.
 */
import { createHash } from 'node:crypto';
import { type Insertable, sql } from 'kysely';
import { storable } from '../activity/row.ts';
import type { Normalised } from '../call/normalise.ts';
import type { PassedHeaders } from '../call/passed-headers.ts';
import type { Tables } from '../database.ts';
import { noteWait } from '../delegation/waits.ts';
import { drop, type Envelope, enqueue, type Priority } from '../message/decisions.ts';
import { messages } from '../message/message.ts';
import { depthOf, waitingFor } from '../message/projections/mailbox.ts';
import type { Parts } from '../parts.ts';
import type { KeptReply } from './items.ts';

const MAX_KEY = 200;
const DROP_PAGE = 500;

/** How somebody wants a message to wait, and to be sent. */
export interface Wish {
  /** What the caller says to the agent in headers. */
  readonly headers?: PassedHeaders | undefined;
  /** The trace that the request is part of. */
  readonly traceparent?: string | null | undefined;
  /** Of a service of ours; others send tasks. */
  readonly priority?: Priority | undefined;
}

export interface Queued {
  readonly queueId: string;
  /** How many wait for the workspace, this one included. */
  readonly depth: number;
}

/** Q2. */
export interface Full {
  readonly depth: number;
  readonly limit: number;
}

export interface MailboxParts extends Pick<Parts, 'ledger' | 'directory' | 'log' | 'worker' | 'newId' | 'clock'> {
  readonly maxDepth: number;
  /** How long a message waits at most; `null`: for ever. */
  readonly ttlMs: number | null;
  /** Something waits for the workspace now. */
  readonly onWaiting: (workspaceId: string) => void;
  /** Nothing waits for the workspace any more, nor will. */
  readonly onGone: (workspaceId: string) => void;
  /** A delegation waits for the message's end. */
  readonly onAwaited: (messageId: string) => void;
}

export class Mailbox {
  readonly #parts: MailboxParts;
  /** How often nobody more was let in, for the metrics. */
  full = 0;

  constructor(parts: MailboxParts) {
    this.#parts = parts;
  }

  /** `null`: it could not be queued. Never rejects: the sender is told that the agent is busy either way. */
  async enqueue(
    envelope: Envelope,
    { text, messageId, delegationId }: Pick<Normalised, 'text' | 'messageId' | 'delegationId'>,
    { headers = [], traceparent = null, priority }: Wish = {},
  ): Promise<Queued | Full | null> {
    const { log, onWaiting, onAwaited } = this.#parts;
    const key = messageId === null ? null : storableKey(messageId);
    try {
      if (this.#isRemoved(envelope.workspaceId)) return null; // Q3
      const queued = await this.#store(envelope, { body: text, headers, traceparent }, { key, priority, delegationId });
      if (queued === null || 'limit' in queued) return queued;
      onWaiting(envelope.workspaceId);
      if (delegationId !== null) onAwaited(queued.queueId);
      // Q3: removed in between; whoever heard of that first may have looked before this was there.
      if (this.#isRemoved(envelope.workspaceId)) await this.dropAll(envelope.workspaceId);
      return queued;
    } catch (error) {
      log.error({ err: error, workspaceId: envelope.workspaceId }, 'a message could not be queued');
      return null;
    }
  }

  async #store(
    envelope: Envelope,
    payload: Pick<Insertable<Tables['messages']>, 'body' | 'headers' | 'traceparent'>,
    {
      key,
      priority,
      delegationId,
    }: { readonly key: string | null; readonly priority: Priority | undefined; readonly delegationId: string | null },
  ): Promise<Queued | Full | null> {
    const { ledger, worker, log, maxDepth } = this.#parts;
    const { messageId, workspaceId } = envelope;
    for (let attempt = 1; ; attempt++) {
      const { sequence, winner, depth } = await this.#look(workspaceId, key);
      if (winner !== null) return { queueId: winner, depth }; // Q1
      if (depth >= maxDepth) {
        log.warn({ workspaceId, depth }, 'a mailbox is full');
        this.full++;
        return { depth, limit: maxDepth }; // Q2
      }
      let depthAfter = depth + 1;
      try {
        const place = { idempotencyKey: key, sequence: BigInt(sequence), worker, expiresAt: this.#expiresAt() };
        const decision = enqueue(envelope, priority === undefined ? place : { ...place, priority });
        const command = { id: messageId, commandId: 'enqueue', ...tracedBy(payload) };
        const { facts } = await ledger.transact(messages, command, decision, async (tx) => {
          await tx.db
            .insertInto('messages')
            .values({ message_id: messageId, workspace_id: workspaceId, idempotency_key: key, ...payload })
            .execute();
          if (delegationId !== null) await noteWait(tx.db, envelope, delegationId);
          depthAfter = await depthOf(tx.db, workspaceId);
        });
        return facts.length > 0 ? { queueId: messageId, depth: depthAfter } : null;
      } catch (error) {
        // Somebody with the same key was quicker: look again.
        if (!isKeyTaken(error) || attempt === 3) throw error;
      }
    }
  }

  /** The next place in the order of arrival, who holds the key, and how many wait: one look. */
  async #look(workspaceId: string, key: string | null): Promise<{ sequence: string; winner: string | null; depth: number }> {
    const { rows } = await sql<{ sequence: string; winner: string | null; depth: number }>`
      select nextval('arrivals') as sequence,
        (select message_id from messages where active and workspace_id = ${workspaceId} and idempotency_key = ${key}) as winner,
        (select count(*)::int from mailbox where workspace_id = ${workspaceId} and status = 'queued') as depth
    `.execute(this.#parts.ledger.db);
    const [row] = rows;
    if (!row) throw new Error('the database answered nothing');
    return row;
  }

  /** Drops what waits for a workspace that is removed. What is being sent ends by itself. */
  async dropAll(workspaceId: string): Promise<number> {
    const { ledger, log, newId } = this.#parts;
    let dropped = 0;
    for (;;) {
      const items = await waitingFor(ledger.db, workspaceId, DROP_PAGE);
      let moved = 0;
      for (const item of items) {
        const { facts } = await ledger.transact(
          messages,
          { id: item.messageId, commandId: `drop-${newId()}` },
          drop(item, 'workspace-removed'),
          (tx) => release(tx, item.messageId),
        );
        moved += facts.length;
      }
      dropped += moved;
      if (items.length < DROP_PAGE || moved === 0) break;
    }
    if (dropped > 0) log.info({ workspaceId, dropped }, 'dropped the messages of a removed workspace');
    this.#parts.onGone(workspaceId);
    return dropped;
  }

  #expiresAt(): Date | null {
    const { ttlMs, clock } = this.#parts;
    return ttlMs === null ? null : new Date(clock.now().getTime() + ttlMs);
  }

  #isRemoved(workspaceId: string): boolean {
    return this.#parts.directory.get(workspaceId)?.status === 'removed';
  }
}

/** What a command says of the trace that it belongs to. */
export const tracedBy = ({
  traceparent,
}: {
  readonly traceparent?: string | null | undefined;
}): { readonly traceparent?: string } => (traceparent ? { traceparent } : {});

/** The message has ended: its key is free, its body is needed no longer, and the reply is there for whoever follows it. */
export const release = async (
  tx: { query(text: string, values?: readonly unknown[]): Promise<unknown> },
  messageId: string,
  reply?: KeptReply,
): Promise<void> => {
  await tx.query('update messages set active = false, reply = $2, reply_is_json = $3, reply_bytes = $4 where message_id = $1', [
    messageId,
    reply?.text ?? null,
    reply?.isJson ?? null,
    reply?.bytes ?? null,
  ]);
};

/** A key as an index can hold it: what is too long or not storable is told apart by its hash. */
export function storableKey(messageId: string): string {
  if (messageId.length <= MAX_KEY && storable(messageId) === messageId) return messageId;
  return `sha256:${createHash('sha256').update(messageId, 'utf16le').digest('hex')}`;
}

function isKeyTaken(error: unknown): boolean {
  for (let current = error; current instanceof Error; current = current.cause) {
    const { code, constraint } = current as { code?: unknown; constraint?: unknown };
    if (code === '23505' && constraint === 'messages_active_key') return true;
  }
  return false;
}
