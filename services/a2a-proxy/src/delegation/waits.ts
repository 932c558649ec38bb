/** Which messages of mailboxes belong to delegations: as their bodies say, and only of the workspace that sent them (spec 2 §2.4). */
import type { Kysely } from 'kysely';
import { storable } from '../activity/row.ts';
import type { Tables } from '../database.ts';
import type { Envelope } from '../message/decisions.ts';

/** In bytes: what an index can hold of an id, beside others. */
export const MAX_DELEGATION_ID = 1_024;

/** A longer id is none of a delegation. */
export const isDelegationId = (id: string): boolean => Buffer.byteLength(id) <= MAX_DELEGATION_ID;

/** Called in the transaction that queues the message, so that its end is never missed. */
export async function noteWait(db: Kysely<Tables>, envelope: Envelope, delegationId: string): Promise<void> {
  const { messageId, workspaceId, callerId } = envelope;
  if (callerId === null || !isDelegationId(delegationId)) return;
  const row = { message_id: messageId, workspace_id: callerId, target_id: workspaceId, delegation_id: storable(delegationId) };
  await db
    .insertInto('delegation_waits')
    .values(row)
    .onConflict((of) => of.doNothing())
    .execute();
}
