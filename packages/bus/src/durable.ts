/** The durable consumer of a service: made once, corrected in place when a newer version wants it otherwise. */
import { STREAMS } from '@molecule/contracts';
import {
  AckPolicy,
  type ConsumerConfig,
  type ConsumerInfo,
  DeliverPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
} from '@nats-io/jetstream';
import { nanos } from '@nats-io/transport-node';
import type { Bus } from './connection.ts';

/** How many facts are asked for at a time. */
export const BATCH = 256;
/** How long the server waits for a fact to be settled before it gives it again. */
export const ACK_WAIT_MS = 30_000;

/** What may change on a consumer that exists. */
const CHANGEABLE = {
  ack_wait: nanos(ACK_WAIT_MS),
  max_deliver: -1,
  max_ack_pending: 4 * BATCH,
} as const satisfies Partial<ConsumerConfig>;

/** Repeatable, by any number of replicas at once. */
export async function ensureConsumer(bus: Bus, name: string): Promise<ConsumerInfo> {
  const { consumers } = bus.jsm;
  const existing = await infoOf(bus, name);
  if (!existing) return add(bus, name, { deliver_policy: DeliverPolicy.All });
  if (existing.config.ack_policy !== AckPolicy.All) {
    // How it is settled cannot be changed: made anew where it stood. Dying in between means repeats, which are borne.
    await consumers.delete(STREAMS.facts, name);
    const next = existing.ack_floor.stream_seq + 1;
    return add(bus, name, { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: next });
  }
  const isSame = Object.entries(CHANGEABLE).every(([field, value]) => existing.config[field as keyof ConsumerConfig] === value);
  return isSame ? existing : consumers.update(STREAMS.facts, name, { ...existing.config, ...CHANGEABLE });
}

const add = (bus: Bus, name: string, from: Partial<ConsumerConfig>): Promise<ConsumerInfo> =>
  bus.jsm.consumers.add(STREAMS.facts, { durable_name: name, ack_policy: AckPolicy.All, ...CHANGEABLE, ...from });

async function infoOf(bus: Bus, name: string): Promise<ConsumerInfo | undefined> {
  try {
    return await bus.jsm.consumers.info(STREAMS.facts, name);
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound) return undefined;
    throw error;
  }
}
