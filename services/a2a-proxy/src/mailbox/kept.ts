/** What is kept of an agent's reply to a message of the mailbox, for whoever follows it. Pure. */
import { storable } from '../activity/row.ts';
import { readReply } from '../call/classify.ts';
import type { KeptReply } from './items.ts';

/** A larger reply is only measured. */
export const MAX_KEPT_BYTES = 1024 * 1024;

/** JSON byte for byte; other text without what PostgreSQL cannot hold. `whole: false`: the reply was cut. */
export function keptReply(body: Buffer, whole: boolean): KeptReply {
  const bytes = body.length;
  if (!whole || bytes > MAX_KEPT_BYTES) return { text: null, isJson: false, bytes };
  const { text, isJson } = readReply(body, whole);
  return { text: isJson ? text : storable(text), isJson, bytes };
}
