/** Live events: said to whoever listens, stored nowhere. One message carries what was said within a few milliseconds (limits, trap 5). */
import { randomBytes } from 'node:crypto';
import { type LiveEvent, type ServiceName, subjects } from '@molecule/contracts';
import type { Log } from '@molecule/service';
import type { Bus } from './connection.ts';

/** D10. */
const MAX_BATCH_BYTES = 48 * 1024;
/** Between two batches while there is something to say all the time: each wakes everybody who listens. */
const BUSY_MS = 20;

const [OPEN, COMMA, CLOSE] = ['[', ',', ']'].map((text) => Buffer.from(text)) as [Buffer, Buffer, Buffer];

export class LivePublisher {
  /** Where it speaks; its own. */
  readonly subject: string;
  readonly #bus: Bus;
  readonly #flushMs: number;
  readonly #log: Log;
  /** Each as its JSON, behind what stands between it and the one before. */
  #parts: Uint8Array[] = [];
  #events = 0;
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;
  #flushedMs = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(bus: Bus, service: ServiceName, { flushMs = 5, log }: { readonly flushMs?: number; readonly log: Log }) {
    this.#bus = bus;
    this.subject = subjects.live(service, randomBytes(6).toString('hex'));
    this.#flushMs = flushMs;
    this.#log = log;
  }

  /**
   * Goes out within `flushMs`, and soon after a batch within BUSY_MS of it, in order. Never throws; without a link, or above 48 KiB, it
   * is dropped and counted.
   */
  say(event: LiveEvent): void {
    if (this.#closed) return;
    // Bytes at once: text beyond Latin-1 would make the whole batch cost what it costs.
    const json = Buffer.from(JSON.stringify(event));
    const bytes = json.length + 1;
    if (bytes > MAX_BATCH_BYTES) {
      this.#bus.counts.liveDropped++;
      this.#log.warn({ event: event.event, workspaceId: event.workspaceId, bytes }, 'a live event is too large to be told');
      return;
    }
    if (this.#bytes + bytes > MAX_BATCH_BYTES) this.flush();
    this.#parts.push(this.#events === 0 ? OPEN : COMMA, json);
    this.#events++;
    this.#bytes += bytes;
    this.#timer ??= setTimeout(this.#onTimer, Math.max(this.#flushMs, this.#flushedMs + BUSY_MS - performance.now()));
  }

  readonly #onTimer = (): void => this.flush();

  /** Sends what was said so far. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const [parts, events, bytes] = [this.#parts, this.#events, this.#bytes];
    if (events === 0) return;
    this.#parts = [];
    this.#events = 0;
    this.#bytes = 0;
    this.#flushedMs = performance.now();
    if (!this.#bus.connected || this.#bus.nats.isClosed()) {
      this.#bus.counts.liveDropped += events;
      return;
    }
    try {
      parts.push(CLOSE);
      this.#bus.nats.publish(this.subject, Buffer.concat(parts, bytes + CLOSE.length));
    } catch (error) {
      this.#bus.counts.liveDropped += events;
      this.#log.warn({ err: error }, 'live events could not be told');
    }
  }

  close(): void {
    this.flush();
    this.#closed = true;
  }
}

export interface FollowLiveOptions {
  readonly log: Log;
  readonly onEvent: (event: LiveEvent) => void;
  /** A voice of one's own, which one has heard already: its batches are not read. */
  readonly except?: LivePublisher;
  /** Asked before a batch is read: reading for nobody is most of what there is to save when nobody looks. */
  readonly wanted?: () => boolean;
}

/** Hears what every service says, in the order each said it. */
export function followLive(bus: Bus, { log, onEvent, except, wanted = () => true }: FollowLiveOptions): { stop(): void } {
  const subscription = bus.nats.subscribe(subjects.everyLive, {
    callback: (error, message) => {
      if (error) return log.error({ err: error }, 'the subscription to live events failed');
      if (message.subject === except?.subject || !wanted()) return;
      for (const event of readBatch(message.string())) {
        if (!isLiveEvent(event)) log.warn({ subject: message.subject }, 'a live event cannot be read');
        else
          try {
            onEvent(event);
          } catch (failure) {
            log.error({ err: failure, event: event.event }, 'a listener to live events failed');
          }
      }
    },
  });
  return { stop: () => subscription.unsubscribe() };
}

function readBatch(text: string): unknown[] {
  try {
    const batch: unknown = JSON.parse(text);
    return Array.isArray(batch) ? batch : [undefined];
  } catch {
    return [undefined];
  }
}

/** Our own services speak here; a full parse would cost more than it could find. */
const isLiveEvent = (value: unknown): value is LiveEvent => {
  if (typeof value !== 'object' || value === null) return false;
  const { event, workspaceId, timestamp, payload } = value as Partial<Record<keyof LiveEvent, unknown>>;
  return (
    typeof event === 'string' &&
    typeof workspaceId === 'string' &&
    typeof timestamp === 'string' &&
    typeof payload === 'object' &&
    payload !== null
  );
};
