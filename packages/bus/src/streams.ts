/**
 * The three streams of the bus.
 *
 *   FACTS       what happened, for a week: services read it with a durable consumer each. The truth stays in PostgreSQL.
 *   HEARTBEATS  the last beat of each workspace, for a day.
 *   PARKED      what a consumer could not digest, with error and origin, for a month.
 */

import { STREAMS, subjects } from '@molecule/contracts';
import { backoff, sleep } from '@molecule/service';
import {
  DiscardPolicy,
  JetStreamApiCodes,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  StoreCompression,
  type StreamConfig,
} from '@nats-io/jetstream';
import { millis, nanos } from '@nats-io/transport-node';
import type { Bus } from './connection.ts';
import { isBusUnavailable, StreamCannotChange } from './errors.ts';

export interface StreamLimits {
  readonly maxAgeMs: number;
  readonly maxBytes: number;
}

export interface EnsureStreamsOptions {
  /** Copies in a cluster; left as it is when not given, 1 for a new stream. */
  readonly replicas?: number;
  readonly facts?: Partial<StreamLimits>;
  readonly heartbeats?: Partial<StreamLimits>;
  readonly parked?: Partial<StreamLimits>;
}

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const MIB = 1024 * 1024;

/** The window in which the server drops a repeated message id by itself; past it, consumers know a repeat by the fact's id. */
const DUPLICATE_WINDOW_MS = 2 * MINUTE_MS;

/** At the limits the oldest go: a reader that was away for longer is told of the gap. */
export const STREAM_LIMITS = {
  facts: { maxAgeMs: 7 * DAY_MS, maxBytes: 2048 * MIB },
  heartbeats: { maxAgeMs: DAY_MS, maxBytes: 512 * MIB },
  parked: { maxAgeMs: 30 * DAY_MS, maxBytes: 128 * MIB },
} as const satisfies Record<string, StreamLimits>;

const retryMs = backoff({ firstMs: 100, lastMs: 2_000 });

type Wanted = Partial<StreamConfig> & Pick<StreamConfig, 'name'>;

/** What cannot be changed on a stream that exists; the rest is updated in place. */
const FIXED: readonly (keyof StreamConfig)[] = ['storage', 'retention'];

/**
 * Creates the streams, or brings them to the configuration wanted now. Repeatable, by any number of services at once.
 * Throws `StreamCannotChange` naming the fields that an existing stream would not change.
 */
export async function ensureStreams(bus: Bus, options: EnsureStreamsOptions = {}): Promise<void> {
  for (const wanted of wantedStreams(bus, options)) await whenAnswered(bus, wanted.name, () => ensureStream(bus, wanted));
}

/** FACTS as it is now; made if it is not there. */
export interface FactsMark {
  /** Another one means another stream, with other facts under the same sequences. */
  readonly id: string;
  readonly lastSequence: number;
  /** Milliseconds for which it keeps a fact. */
  readonly keepsMs: number;
}

/** By what a publisher recognises the stream it has published into. Waits for JetStream, and says so; brings back streams that are gone. */
export async function factsMark(bus: Bus): Promise<FactsMark> {
  await ensureStreams(bus);
  const { created, state, config } = await bus.jsm.streams.info(STREAMS.facts);
  return { id: created, lastSequence: state.last_seq, keepsMs: millis(config.max_age) || Number.POSITIVE_INFINITY };
}

/** A server that was just started, or a cluster without a leader yet, does not answer: waits, and says so. */
async function whenAnswered(bus: Bus, stream: string, work: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (bus.nats.isClosed() || !isBusUnavailable(error)) throw error;
      if (attempt % 10 === 1) bus.log.warn({ stream, reason: (error as Error).message }, 'waiting for JetStream');
      await sleep(retryMs(attempt), new AbortController().signal);
    }
  }
}

function wantedStreams(bus: Bus, { replicas, facts, heartbeats, parked }: EnsureStreamsOptions): Wanted[] {
  const common = {
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    discard: DiscardPolicy.Old,
    ...(replicas === undefined ? {} : { num_replicas: replicas }),
  };
  const limits = (fallback: StreamLimits, given: Partial<StreamLimits> = {}) => ({
    max_age: nanos(given.maxAgeMs ?? fallback.maxAgeMs),
    max_bytes: given.maxBytes ?? fallback.maxBytes,
  });
  const compressed = bus.features.compression ? { compression: StoreCompression.S2 } : {};
  return [
    {
      ...common,
      ...limits(STREAM_LIMITS.facts, facts),
      ...compressed,
      name: STREAMS.facts,
      subjects: subjects.everyFact,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    },
    {
      ...common,
      ...limits(STREAM_LIMITS.heartbeats, heartbeats),
      name: STREAMS.heartbeats,
      subjects: [subjects.everyHeartbeat],
      max_msgs_per_subject: 1,
      no_ack: true,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    },
    {
      ...common,
      ...limits(STREAM_LIMITS.parked, parked),
      ...compressed,
      name: STREAMS.parked,
      subjects: [subjects.everyParked],
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    },
  ];
}

async function ensureStream({ jsm }: Bus, wanted: Wanted): Promise<void> {
  const existing = await currentConfig(jsm, wanted.name);
  if (!existing) {
    try {
      await jsm.streams.add(wanted);
      return;
    } catch (error) {
      // Somebody else made it in between, perhaps differently.
      const made = await currentConfig(jsm, wanted.name);
      if (!made) throw error;
      return change(jsm, made, wanted);
    }
  }
  await change(jsm, existing, wanted);
}

async function change(jsm: Bus['jsm'], existing: StreamConfig, wanted: Wanted): Promise<void> {
  const differing = (Object.keys(wanted) as (keyof StreamConfig)[]).filter((field) => !same(existing[field], wanted[field]));
  if (differing.length === 0) return;
  const fixed = differing.filter((field) => FIXED.includes(field));
  if (fixed.length > 0) throw cannot(existing, wanted, fixed, 'can only be chosen when a stream is made');
  try {
    await jsm.streams.update(wanted.name, { ...existing, ...wanted });
  } catch (error) {
    if (error instanceof JetStreamApiError) throw cannot(existing, wanted, differing, error.message);
    throw error;
  }
}

const cannot = (existing: StreamConfig, wanted: Wanted, fields: readonly (keyof StreamConfig)[], why: string) => {
  const changes = fields.map((field) => `${field} from ${JSON.stringify(existing[field])} to ${JSON.stringify(wanted[field])}`);
  return new StreamCannotChange(`stream ${wanted.name} exists and cannot change ${changes.join(', ')}: ${why}`);
};

async function currentConfig(jsm: Bus['jsm'], name: string): Promise<StreamConfig | undefined> {
  try {
    return (await jsm.streams.info(name)).config;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === JetStreamApiCodes.StreamNotFound) return undefined;
    throw error;
  }
}

const same = (a: unknown, b: unknown): boolean => {
  if (Array.isArray(a) && Array.isArray(b)) return JSON.stringify([...a].sort()) === JSON.stringify([...b].sort());
  return (a ?? false) === (b ?? false);
};
