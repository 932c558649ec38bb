/**
 * Reads a stream in order, in memory, without acknowledging: an ephemeral push consumer that is made anew whenever
 * anything is odd.
 *
 *   O1. Messages arrive in the order of the stream, each at most once. After a lost link, a restarted server, a missed
 *       heartbeat or a hole in the deliveries it continues behind the last message it had.
 *   O2. What it knows to have missed (the stream's limits ate it, or the stream was made anew) it tells.
 *   O3. It never gives up until stopped; between attempts it waits 100 ms, doubling to 2 s.
 */

import { backoff, type Log, sleep } from '@molecule/service';
import { AckPolicy, DeliverPolicy, JetStreamApiCodes, JetStreamApiError, ReplayPolicy } from '@nats-io/jetstream';
import { createInbox, type Msg, nanos, type Subscription } from '@nats-io/transport-node';
import type { Bus } from './connection.ts';

export interface OrderedFeedOptions {
  readonly stream: string;
  readonly log: Log;
  /** `new`: what is stored from now on. `all`: everything, then what comes. */
  readonly from: 'new' | 'all';
  /** Sequences of this stream have no holes by design; a jump is a gap. */
  readonly contiguous: boolean;
  readonly onMessage: (message: Msg, position: Position, epoch: string) => void;
  /** Something was missed for good (O2). Told before anything that comes behind it; `sequence` and `epoch` show where that begins. */
  readonly onGap: (missed: string) => void;
  /** There is nothing stored that was not given to `onMessage`. Called after each (re)start of an empty feed. */
  readonly onIdle?: () => void;
}

export interface Position {
  readonly sequence: number;
  /** How many stored messages follow; 0 is the end of the stream as of now. */
  readonly pending: number;
}

const IDLE_HEARTBEAT_MS = 5_000;
/** Silent for longer than two heartbeats and a half: the consumer is gone. */
const SILENCE_MS = 12_500;
const INACTIVE_MS = 30_000;
const pauseMs = backoff({ firstMs: 100, lastMs: 2_000 });

export class OrderedFeed {
  readonly #bus: Bus;
  readonly #options: OrderedFeedOptions;
  readonly #stopping = new AbortController();
  readonly #leave: () => void;
  #session: Session | undefined;
  /** The last sequence given on; the next one is wanted. */
  #last = 0;
  #created: string | undefined;
  #ended: Promise<void> = Promise.resolve();
  #restart: () => void = () => {};

  private constructor(bus: Bus, options: OrderedFeedOptions) {
    this.#bus = bus;
    this.#options = options;
    this.#leave = bus.onReconnect(() => this.#restart());
  }

  /** Resolves once the consumer is there: what is stored after that is heard. Rejects only when `signal` is aborted. */
  static async open(bus: Bus, options: OrderedFeedOptions, signal?: AbortSignal): Promise<OrderedFeed> {
    const feed = new OrderedFeed(bus, options);
    const stop = () => {
      feed.#stopping.abort();
      feed.#restart();
    };
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
    feed.#stopping.signal.addEventListener('abort', () => signal?.removeEventListener('abort', stop), { once: true });
    await new Promise<void>((resolve) => {
      feed.#ended = feed.#run(resolve).finally(resolve);
    });
    if (feed.#stopping.signal.aborted) {
      await feed.stop();
      signal?.throwIfAborted();
    }
    return feed;
  }

  /** The last sequence given on. */
  get sequence(): number {
    return this.#last;
  }

  /** When the stream was made, as the server says; another value means other facts under the same sequences. */
  get epoch(): string {
    return this.#created ?? '';
  }

  get alive(): boolean {
    return this.#session !== undefined;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#leave();
    this.#restart();
    await this.#ended;
  }

  async #run(established: () => void): Promise<void> {
    const { signal } = this.#stopping;
    let failures = 0;
    while (!signal.aborted && !this.#bus.nats.isClosed()) {
      try {
        const over = new Promise<string>((resolve) => {
          this.#restart = () => resolve('reconnected, or stopped');
        });
        const session = await this.#open();
        this.#session = session;
        failures = 0;
        established();
        const why = await Promise.race([over, session.over]);
        if (!signal.aborted) this.#options.log.debug({ stream: this.#options.stream, why, at: this.#last }, 'reading anew');
      } catch (error) {
        failures++;
        if (failures === 3 || failures % 30 === 0)
          this.#options.log.warn({ err: error, stream: this.#options.stream, failures }, 'a stream cannot be read; trying again');
        await sleep(pauseMs(failures), signal);
      } finally {
        this.#session?.close();
        this.#session = undefined;
      }
    }
  }

  /** Begins behind the last message that was given on (O1), and says what is no longer there (O2). */
  async #open(): Promise<Session> {
    const { stream, from, onGap, onIdle } = this.#options;
    const { created, state } = await this.#bus.jsm.streams.info(stream);
    const before = this.#created;
    this.#created = created;
    if (before === undefined) {
      this.#last = from === 'new' ? state.last_seq : 0;
    } else if (created !== before || state.last_seq < this.#last) {
      this.#last = from === 'new' ? state.last_seq : 0;
      onGap('the stream was made anew');
    } else if (this.#options.contiguous && state.first_seq > this.#last + 1) {
      const missed = state.first_seq - this.#last - 1;
      this.#last = state.first_seq - 1;
      onGap(`${missed} messages are no longer stored`);
    }
    const session = await Session.open(this.#bus, stream, this.#last + 1, (message, position) => this.#take(message, position));
    if (session.pendingAtStart === 0) onIdle?.();
    return session;
  }

  #take(message: Msg, position: Position): void {
    const { contiguous, onGap, onMessage, log } = this.#options;
    if (position.sequence <= this.#last) return;
    const missed = position.sequence - this.#last - 1;
    this.#last = position.sequence - 1;
    if (contiguous && missed > 0) onGap(`${missed} messages are missing`);
    this.#last = position.sequence;
    try {
      onMessage(message, position, this.epoch);
    } catch (error) {
      log.error({ err: error, subject: message.subject }, 'a reader of a stream failed');
    }
  }
}

/** One ephemeral consumer and its subscription; over at the first oddity. */
class Session {
  readonly over: Promise<string>;
  pendingAtStart = 0;
  readonly #bus: Bus;
  readonly #stream: string;
  #subscription: Subscription | undefined;
  #consumer: string | undefined;
  #delivered = 0;
  #heardAt = performance.now();
  #timer: NodeJS.Timeout | undefined;
  #end: (why: string) => void = () => {};

  private constructor(bus: Bus, stream: string) {
    this.#bus = bus;
    this.#stream = stream;
    this.over = new Promise((resolve) => {
      this.#end = resolve;
    });
  }

  static async open(
    bus: Bus,
    stream: string,
    sequence: number,
    take: (message: Msg, position: Position) => void,
  ): Promise<Session> {
    const session = new Session(bus, stream);
    const inbox = createInbox();
    session.#subscription = bus.nats.subscribe(inbox, {
      callback: (error, message) => (error ? session.#end('subscription refused') : session.#hear(message, take)),
    });
    try {
      const consumer = await bus.jsm.consumers.add(stream, {
        deliver_subject: inbox,
        deliver_policy: DeliverPolicy.StartSequence,
        opt_start_seq: sequence,
        ack_policy: AckPolicy.None,
        replay_policy: ReplayPolicy.Instant,
        idle_heartbeat: nanos(IDLE_HEARTBEAT_MS),
        flow_control: true,
        inactive_threshold: nanos(INACTIVE_MS),
        max_deliver: 1,
        mem_storage: true,
        num_replicas: 1,
      });
      session.#consumer = consumer.name;
      session.pendingAtStart = consumer.num_pending + consumer.delivered.consumer_seq;
      session.#watch();
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#subscription?.unsubscribe();
    this.#subscription = undefined;
    const consumer = this.#consumer;
    this.#consumer = undefined;
    if (consumer !== undefined && this.#bus.connected && !this.#bus.nats.isClosed() && !this.#bus.nats.isDraining())
      this.#bus.jsm.consumers.delete(this.#stream, consumer).catch((error: unknown) => {
        // The server forgets it by itself after 30 s.
        if (!(error instanceof JetStreamApiError && error.code === JetStreamApiCodes.ConsumerNotFound)) this.#end('stopped');
      });
  }

  #hear(message: Msg, take: (message: Msg, position: Position) => void): void {
    if (!this.#subscription) return;
    this.#heardAt = performance.now();
    if (message.headers !== undefined && message.headers.code === 100) {
      this.#control(message);
      return;
    }
    const delivery = parseDelivery(message.reply);
    if (!delivery) return;
    if (delivery.delivered !== this.#delivered + 1) {
      this.#end('a delivery is missing');
      return;
    }
    this.#delivered = delivery.delivered;
    take(message, delivery);
  }

  /** Heartbeats say how far the server has got; flow control wants an answer, or the server stops. */
  #control(message: Msg): void {
    if (message.reply) {
      message.respond();
      return;
    }
    const stalled = message.headers?.get('Nats-Consumer-Stalled');
    if (stalled) this.#bus.nats.publish(stalled);
    const last = Number(message.headers?.get('Nats-Last-Consumer') ?? '');
    if (last > this.#delivered) this.#end('deliveries are missing');
  }

  #watch(): void {
    this.#timer = setTimeout(() => {
      if (performance.now() - this.#heardAt > SILENCE_MS) this.#end('silence');
      else this.#watch();
    }, IDLE_HEARTBEAT_MS);
    this.#timer.unref();
  }
}

/** `$JS.ACK.<stream>.<consumer>.<tries>.<stream sequence>.<delivery>.<time>.<pending>`, or with domain and account after `ACK`. */
export function parseDelivery(reply: string | undefined): (Position & { readonly delivered: number }) | undefined {
  if (!reply?.startsWith('$JS.ACK.')) return undefined;
  const tokens = reply.split('.');
  const at = tokens.length >= 11 ? 7 : 5;
  const sequence = Number(tokens[at]);
  const delivered = Number(tokens[at + 1]);
  const pending = Number(tokens[at + 3]);
  return Number.isInteger(sequence) && Number.isInteger(delivered) && Number.isInteger(pending)
    ? { sequence, delivered, pending }
    : undefined;
}
