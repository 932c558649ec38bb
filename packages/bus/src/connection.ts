/**
 * The connection to NATS: one per service, for its whole life.
 *
 *   C1. It waits for a server that is not there yet, says so, and never gives up by itself.
 *   C2. A lost link is noticed within two pings (20 s), and re-made for ever.
 *   C3. What the bus cannot do now is visible in `healthy()`: no link, or publishes that are not acknowledged.
 */

import { backoff, type Log, sleep } from '@molecule/service';
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from '@nats-io/jetstream';
import { type ConnectionOptions, connect, type NatsConnection } from '@nats-io/transport-node';
import { type Features, featuresOf } from './features.ts';

/** Things that happened to this connection since it was opened; each only grows. */
export interface BusCounts {
  reconnects: number;
  /** Publishes of facts that had to be repeated. */
  factRetries: number;
  /** Facts that were set aside by a consumer here. */
  factsParked: number;
  /** Facts that a follower or consumer found missing in the stream. */
  factGaps: number;
  beatsMalformed: number;
  /** How often a jump in a gateway's beats was noticed. */
  beatGaps: number;
  /** Re-reads of the last beats. */
  beatReplays: number;
  /** Waits for a beat mark that ended without it. */
  beatWaitsLate: number;
  /** Live events that nobody could be told, because the link was down or the event too large. */
  liveDropped: number;
  /** Requests refused because too many were being answered. */
  requestsShed: number;
}

export interface Bus {
  readonly nats: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly serverVersion: string;
  readonly features: Features;
  readonly log: Log;
  readonly counts: BusCounts;
  /** Whether the link is up now. */
  readonly connected: boolean;
  /** When the link came up last, `performance.now()` milliseconds. */
  readonly connectedSince: number;
  /** Called after each reconnection; returns the way to leave. */
  onReconnect(listener: () => void): () => void;
  /** A part of the service says what it cannot do, or with `null` that it can again. Shows in `healthy()`. */
  complain(part: string, detail: string | null): void;
  healthy(): { ok: boolean; detail: string };
  /** Sends what is buffered and closes, within 3 s. */
  close(): Promise<void>;
}

export interface OpenBusOptions {
  /** `nats://host:port`, several separated by commas; may carry `user:password@`. */
  readonly servers: string | readonly string[];
  /** Shown in the server's list of connections. */
  readonly name: string;
  readonly log: Log;
  /** Stops the waiting for a first connection. */
  readonly signal?: AbortSignal;
}

const CONNECT_TIMEOUT_MS = 2_000;
const PING_INTERVAL_MS = 10_000; // C2; limits, trap 8
const CLOSE_MS = 3_000;
const PROGRESS_EVERY_MS = 5_000;

/** Connects, waiting for the server as long as it takes (C1). Rejects only when `signal` is aborted, or the server is too old. */
export async function openBus({ servers, name, log, signal = new AbortController().signal }: OpenBusOptions): Promise<Bus> {
  const { addresses, user, pass } = parseServers(servers);
  const options: ConnectionOptions = {
    servers: addresses,
    name,
    timeout: CONNECT_TIMEOUT_MS,
    pingInterval: PING_INTERVAL_MS,
    maxPingOut: 2,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 100,
    ignoreAuthErrorAbort: true,
    noAsyncTraces: true,
    ...(user === undefined ? {} : { user, pass: pass ?? '' }),
  };
  const nats = await firstConnection(options, { addresses, log, signal });
  try {
    return await NatsBus.over(nats, log);
  } catch (error) {
    await nats.close();
    throw error;
  }
}

async function firstConnection(
  options: ConnectionOptions,
  { addresses, log, signal }: { addresses: readonly string[]; log: Log; signal: AbortSignal },
): Promise<NatsConnection> {
  const pauseMs = backoff({ firstMs: 100, lastMs: 2_000 });
  let saidAt = Number.NEGATIVE_INFINITY;
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted();
    try {
      return await connect(options);
    } catch (error) {
      if (performance.now() - saidAt >= PROGRESS_EVERY_MS) {
        saidAt = performance.now();
        log.warn({ servers: addresses, reason: error instanceof Error ? error.message : 'unknown' }, 'waiting for NATS');
      }
      await sleep(pauseMs(attempt), signal);
    }
  }
}

class NatsBus implements Bus {
  readonly nats: NatsConnection;
  readonly js: JetStreamClient;
  readonly jsm: JetStreamManager;
  readonly counts: BusCounts = {
    reconnects: 0,
    factRetries: 0,
    factsParked: 0,
    factGaps: 0,
    beatsMalformed: 0,
    beatGaps: 0,
    beatReplays: 0,
    beatWaitsLate: 0,
    liveDropped: 0,
    requestsShed: 0,
  };
  connected = true;
  connectedSince = performance.now();
  readonly log: Log;
  readonly #listeners = new Set<() => void>();
  readonly #complaints = new Map<string, string>();
  #closing = false;

  constructor(nats: NatsConnection, jsm: JetStreamManager, log: Log) {
    this.nats = nats;
    this.jsm = jsm;
    this.js = jetstream(nats, { timeout: CONNECT_TIMEOUT_MS });
    this.log = log;
  }

  static async over(nats: NatsConnection, log: Log): Promise<NatsBus> {
    const jsm = await jetstreamManager(nats, { checkAPI: false, timeout: CONNECT_TIMEOUT_MS });
    const bus = new NatsBus(nats, jsm, log);
    const { missing } = bus.features;
    if (missing.length > 0) log.info({ server: bus.serverVersion, without: missing }, 'the bus server is older: doing without');
    if (nats.info?.jetstream !== true) log.warn({ server: bus.serverVersion }, 'the bus server has JetStream switched off');
    void bus.#watch();
    return bus;
  }

  get serverVersion(): string {
    return this.nats.info?.version ?? 'unknown';
  }

  get features(): Features {
    return featuresOf(this.serverVersion);
  }

  onReconnect(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  complain(part: string, detail: string | null): void {
    if (detail === null) this.#complaints.delete(part);
    else this.#complaints.set(part, detail);
  }

  healthy(): { ok: boolean; detail: string } {
    if (this.nats.isClosed()) return { ok: false, detail: 'closed' };
    if (!this.connected) return { ok: false, detail: 'not connected to NATS; reconnecting' };
    const [complaint] = this.#complaints;
    if (complaint) return { ok: false, detail: `${complaint[0]}: ${complaint[1]}` };
    return { ok: true, detail: `NATS ${this.serverVersion}` };
  }

  async close(): Promise<void> {
    if (this.#closing || this.nats.isClosed()) return;
    this.#closing = true;
    const bound = new AbortController();
    if (this.connected) await Promise.race([this.nats.drain().catch(() => {}), sleep(CLOSE_MS, bound.signal)]);
    bound.abort();
    await this.nats.close();
  }

  /** The client reconnects by itself; we say so, remember it, and tell those who have to look again. */
  async #watch(): Promise<void> {
    for await (const change of this.nats.status()) {
      switch (change.type) {
        case 'disconnect':
          this.connected = false;
          if (!this.#closing) this.log.warn({ server: change.server }, 'the bus is gone');
          break;
        case 'reconnect':
          this.connected = true;
          this.connectedSince = performance.now();
          this.counts.reconnects++;
          this.log.info({ server: change.server }, 'the bus is back');
          for (const listener of [...this.#listeners]) this.#tell(listener);
          break;
        case 'error':
          this.log.error({ err: change.error }, 'the bus server refused something');
          break;
        case 'slowConsumer':
          this.log.warn({ subject: change.sub.getSubject(), pending: change.pending }, 'a subscription falls behind');
          break;
        default:
          this.log.debug({ change: change.type }, 'bus connection changed');
      }
    }
  }

  #tell(listener: () => void): void {
    try {
      listener();
    } catch (error) {
      this.log.error({ err: error }, 'a listener to reconnections failed');
    }
  }
}

/** Splits addresses from the credentials in them; those of the first address that has any are used for all. */
export function parseServers(servers: string | readonly string[]): {
  addresses: string[];
  user: string | undefined;
  pass: string | undefined;
} {
  const texts = (typeof servers === 'string' ? servers.split(',') : servers)
    .map((text) => text.trim())
    .filter((text) => text !== '');
  const urls = texts.map((text) => new URL(text.includes('://') ? text : `nats://${text}`));
  const withUser = urls.find((url) => url.username !== '');
  return {
    addresses: urls.map((url) => `${url.protocol}//${url.host}`),
    user: withUser && decodeURIComponent(withUser.username),
    pass: withUser && decodeURIComponent(withUser.password),
  };
}
