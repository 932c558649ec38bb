/** What could not be digested, set aside with its error and its origin: visible, and given again by hand (F20). */
import { STREAMS, subjects } from '@molecule/contracts';
import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { z } from 'zod';
import type { Bus } from './connection.ts';
import { HEADERS } from './envelope.ts';

/** `parked.<consumer>`. */
export const ParkedBody = z.object({
  consumer: z.string(),
  /** Why it was set aside. */
  error: z.string(),
  parkedAt: z.string(),
  origin: z.object({
    /** `''` for what was in no stream. */
    stream: z.string(),
    sequence: z.number().int(),
    subject: z.string(),
    body: z.string(),
  }),
});

export type ParkedBody = z.infer<typeof ParkedBody>;
/** `sequence` is its place in PARKED, and its name in `redriveParked`. */
export type Parked = ParkedBody & { readonly sequence: number };

const ACK_TIMEOUT_MS = 2_000;
const MAX_ERROR_CHARS = 2_000;
const MAX_BODY_CHARS = 256 * 1024;

/** Stores it in PARKED; the same message of the same consumer within two minutes is stored once. Rejects when the bus does not answer. */
export async function park(
  bus: Bus,
  { consumer, error, origin }: { readonly consumer: string; readonly error: string; readonly origin: ParkedBody['origin'] },
): Promise<void> {
  const parked: ParkedBody = {
    consumer,
    error: error.slice(0, MAX_ERROR_CHARS),
    parkedAt: new Date().toISOString(),
    origin: { ...origin, body: origin.body.slice(0, MAX_BODY_CHARS) },
  };
  const msgID =
    origin.stream === '' ? undefined : `${consumer}:${origin.stream}:${origin.sequence}:${parked.parkedAt.slice(0, 16)}`;
  await bus.js.publish(subjects.parked(consumer), JSON.stringify(parked), {
    timeout: ACK_TIMEOUT_MS,
    ...(msgID === undefined ? {} : { msgID }),
  });
}

/** The newest first, at most `limit`, of one consumer or of all. */
export async function listParked(
  bus: Bus,
  { consumer, limit = 100 }: { readonly consumer?: string; readonly limit?: number } = {},
): Promise<Parked[]> {
  const found: Parked[] = [];
  const { state } = await bus.jsm.streams.info(STREAMS.parked);
  for (let sequence = state.last_seq; sequence >= Math.max(state.first_seq, 1) && found.length < limit; sequence--) {
    const parked = await readParked(bus, sequence);
    if (parked && (consumer === undefined || parked.consumer === consumer)) found.push(parked);
  }
  return found;
}

/**
 * Gives a parked message once more to the consumer that had set it aside, and to nobody else; then it is no longer parked.
 * `false` when there is none under this sequence.
 */
export async function redriveParked(bus: Bus, { sequence }: { readonly sequence: number }): Promise<boolean> {
  const parked = await readParked(bus, sequence);
  if (!parked) return false;
  const { origin, consumer } = parked;
  if (origin.stream === STREAMS.facts) {
    const hdrs = headers();
    hdrs.set(HEADERS.onlyFor, consumer);
    await bus.js.publish(origin.subject, origin.body, {
      msgID: `redrive:${STREAMS.parked}:${sequence}`,
      timeout: ACK_TIMEOUT_MS,
      headers: hdrs,
    });
  } else {
    bus.nats.publish(origin.subject, origin.body);
  }
  await bus.jsm.streams.deleteMessage(STREAMS.parked, sequence);
  return true;
}

async function readParked(bus: Bus, sequence: number): Promise<Parked | undefined> {
  const stored = await storedMessage(bus, STREAMS.parked, sequence);
  if (!stored) return undefined;
  const body = ParkedBody.safeParse(safeJson(stored.body));
  return body.success ? { ...body.data, sequence } : undefined;
}

/** One message of a stream, or `undefined` when it is no longer there. */
export async function storedMessage(
  bus: Bus,
  stream: string,
  sequence: number,
): Promise<{ subject: string; body: string; onlyFor: string | undefined } | undefined> {
  try {
    const message = await bus.jsm.streams.getMessage(stream, { seq: sequence });
    if (!message) return undefined;
    const onlyFor = message.header?.get(HEADERS.onlyFor);
    return { subject: message.subject, body: new TextDecoder().decode(message.data), onlyFor: onlyFor || undefined };
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.NoMessageFound) return undefined;
    throw error;
  }
}

function safeJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
