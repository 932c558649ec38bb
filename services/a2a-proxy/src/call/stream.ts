/**
 * An agent's stream of events on its way to the client that asked for it.
 *
 *   S1. What arrives is passed on at once, byte for byte. The agent is read no faster than the client reads.
 *   S2. A client that leaves, or takes nothing for `stallMs`, has no more of it; the agent notices nothing (spec 2 §1.7): it is read on,
 *       up to MAX_REPLY_BYTES, and what its stream amounts to is recorded.
 *   S3. It ends for the client as it ended here: a stream that breaks off is never completed.
 */
import type { ServerResponse } from 'node:http';
import { type EventSink, MAX_REPLY_BYTES, type Source } from './dispatch.ts';
import { SseReader } from './sse.ts';
import { StreamReply } from './stream-reply.ts';

const HEADERS = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', 'x-accel-buffering': 'no' } as const;

/** Methods whose answer is a stream, as A2A 0.3 and 1.0 name them. */
const STREAMING: ReadonlySet<string> = new Set([
  'message/stream',
  'tasks/resubscribe',
  'SendStreamingMessage',
  'SubscribeToTask',
]);

/** Whether a client wants the events as they come: it says so, or its method does. */
export const asksForStream = (method: string, accept: string): boolean => STREAMING.has(method) || acceptsEvents(accept);

const acceptsEvents = (accept: string): boolean =>
  accept.split(',').some((range) => {
    const [type = '', ...parameters] = range.split(';').map((text) => text.trim().toLowerCase());
    return type === 'text/event-stream' && !parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter));
  });

/** How streams to clients are going, and where they begin. */
export class Streams {
  readonly #stallMs: number;
  readonly #open = new Set<PassedStream>();
  /** How streams to clients ended since the start, for the metrics. */
  readonly counts = { whole: 0, broken: 0, left: 0, stalled: 0 };

  /** `stallMs`: for how long a client may take nothing. */
  constructor(stallMs: number) {
    this.#stallMs = stallMs;
  }

  get open(): number {
    return this.#open.size;
  }

  /** Where the events go that a client asked for; `undefined`: it did not. */
  to(client: ServerResponse, accept: string): (method: string) => EventSink | undefined {
    return (method) => {
      if (!asksForStream(method, accept)) return undefined;
      const stream: PassedStream = new PassedStream({
        client,
        stallMs: this.#stallMs,
        onBegun: () => this.#open.add(stream),
        onOver: (how) => {
          if (this.#open.delete(stream)) this.counts[how]++;
        },
      });
      return stream;
    };
  }

  /** For an answer that nobody waits for any more: only what it amounts to counts. */
  toNobody(method: string): EventSink | undefined {
    return STREAMING.has(method) ? new PassedStream(null) : undefined;
  }
}

interface Client {
  readonly client: ServerResponse;
  readonly stallMs: number;
  readonly onBegun: () => void;
  readonly onOver: (how: keyof Streams['counts']) => void;
}

class PassedStream implements EventSink {
  /** `null`: nobody is there, or not any more. */
  #to: Client | null;
  readonly #reply = new StreamReply(MAX_REPLY_BYTES);
  readonly #reader = new SseReader(MAX_REPLY_BYTES, (data) => this.#reply.take(data));
  #source: Source | undefined;
  #stall: NodeJS.Timeout | undefined;
  #unseen = 0;

  constructor(to: Client | null) {
    this.#to = to;
  }

  begin(status: number, source: Source): void {
    this.#source = source;
    if (this.#to === null) return;
    const { client, onBegun } = this.#to;
    if (client.destroyed) {
      this.#to = null;
      return;
    }
    onBegun();
    client.on('drain', this.#onDrain).on('close', this.#onClose);
    client.writeHead(status, HEADERS).flushHeaders();
  }

  take(chunk: Buffer): boolean {
    if (this.#to !== null && !this.#to.client.write(chunk)) this.#hold(); // S1
    this.#reader.push(chunk);
    if (this.#to !== null) return true;
    this.#unseen += chunk.length;
    return this.#unseen <= MAX_REPLY_BYTES; // S2
  }

  get held(): number {
    return this.#reader.held + this.#reply.held;
  }

  forget(): void {
    this.#reader.forget();
    this.#reply.forget();
  }

  end(): Buffer {
    this.#over('whole')?.end();
    this.#reader.end();
    return Buffer.from(this.#reply.text());
  }

  break(): void {
    this.#over('broken')?.destroy(); // S3
  }

  #hold(): void {
    this.#source?.pause();
    this.#stall ??= setTimeout(this.#onStall, this.#to?.stallMs).unref();
  }

  readonly #onDrain = (): void => {
    clearTimeout(this.#stall);
    this.#stall = undefined;
    this.#source?.resume();
  };

  readonly #onClose = (): void => {
    this.#goOnWithout('left');
  };

  readonly #onStall = (): void => {
    this.#goOnWithout('stalled')?.destroy();
  };

  /** S2. */
  #goOnWithout(how: 'left' | 'stalled'): ServerResponse | undefined {
    const client = this.#over(how);
    this.#source?.resume();
    return client;
  }

  /** Lets go of the client, who is answered. */
  #over(how: keyof Streams['counts']): ServerResponse | undefined {
    if (this.#to === null) return undefined;
    const { client, onOver } = this.#to;
    this.#to = null;
    clearTimeout(this.#stall);
    client.off('drain', this.#onDrain).off('close', this.#onClose);
    onOver(how);
    return client;
  }
}
