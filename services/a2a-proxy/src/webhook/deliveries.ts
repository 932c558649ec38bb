/**
 * A delivery of GitHub may come again: by hand, or because an answer was late. Once is enough (ADR 20).
 *
 *   D1. The message of a delivery has its id from the delivery and from whom it is for: it is dispatched once, and who asks again is
 *       told what became of it.
 *   D2. A message that reached nobody may be sent anew, under the next id: that is what a redelivery by hand is for.
 */
import { randomUUID } from 'node:crypto';
import type { Ledger } from '@molecule/event-store';
import { derivedId } from '@molecule/service';
import type { Tables } from '../database.ts';
import { calls, type Message } from '../message/message.ts';

/** Deliveries that failed so often are not tried again. */
const MAX_ATTEMPTS = 20;

/** The id under which this delivery is dispatched now. */
export async function messageIdOf(
  ledger: Pick<Ledger<Tables>, 'load'>,
  { deliveryId, target }: { readonly deliveryId: string; readonly target: string },
): Promise<string> {
  if (deliveryId === '') return randomUUID();
  for (let attempt = 1; ; attempt++) {
    const id = uuidOf(`${target} ${attempt} ${deliveryId}`);
    if (attempt === MAX_ATTEMPTS) return id;
    const { state } = await ledger.load(calls, id);
    if (!hasFailed(state)) return id; // D1
  }
}

/** D2. */
const hasFailed = (state: Message): boolean =>
  state.status === 'ended' && (state.end.httpStatus < 200 || state.end.httpStatus >= 300);

/** What names a delivery to other services. */
export const commandIdOf = (deliveryId: string): string => `github-${deliveryId === '' ? randomUUID() : uuidOf(deliveryId)}`;

const uuidOf = (name: string): string => derivedId(`github ${name}`);
