/**
 * One request to one agent, from the dial to the last byte (spec 2 §1.7). It knows nothing of the client that waits for it.
 *
 *   X1. It ends exactly once: by the reply, by an error, by the idle clock, by the deadline, or because the platform stops.
 *   X2. The idle clock runs over headers and body alike, and starts anew with any event of the workspace, not with bytes:
 *       an agent that drips is cut off like a silent one.
 *   X3. No more than MAX_REPLY_BYTES are read, nor more than all replies may take; what comes after is not waited for. Of a stream
 *       of events that somebody takes, more is.
 *   X4. Without a lease that holds, nothing is written; a lease that ends stops what was sent under it.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { isEventStream } from '@molecule/http';
import type { Clock } from '@molecule/service';
import type { Dispatcher, Pool } from 'undici';
import { classifyFailure, type Failure, GaveUp } from './classify.ts';
import type { PassedHeaders } from './passed-headers.ts';
import { type Reader, ReplyBody, type ReplyMemory } from './reply-body.ts';
import type { InFlight, Target } from './targets.ts';

/** Spec 2 §1.10. */
export const MAX_REPLY_BYTES = 10 * 1024 * 1024;
/** The longest a timer may be set to. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export type Exchange =
  /** `whole: false`: cut at the limit. Times in ms since the dial. */
  | {
      readonly kind: 'reply';
      readonly status: number;
      readonly body: Buffer;
      readonly whole: boolean;
      readonly headersAfterMs: number;
    }
  /** Headers came, the body did not. */
  | { readonly kind: 'broken'; readonly status: number; readonly headersAfterMs: number }
  | { readonly kind: 'failed'; readonly failure: Failure; readonly afterMs: number }
  /** Given up because the platform stops. */
  | { readonly kind: 'stopped' };

export interface DispatchLimits {
  /** Without an event of the workspace for this long it counts as idle. */
  readonly idleMs: number;
  /** In all; may be `Infinity`. */
  readonly limitMs: number;
  /** Under which it may be sent and waited for, if it may not be at any time. */
  readonly lease?: SendLease | undefined;
  /** What its reply takes is counted here. */
  readonly memory?: ReplyMemory | undefined;
}

/** A right to send that may end at any time; what it holds is stopped then. */
export interface SendLease {
  holds(): boolean;
  /** Stops `call` when it ends, at once if it has. Returns what lets go of it. */
  hold(call: InFlight): () => void;
}

export interface DispatchRequest {
  readonly path: string;
  readonly body: string | Buffer;
  /** Besides the content type. */
  readonly headers?: PassedHeaders | undefined;
  /** Where a stream of events goes, if the agent answers with one. */
  readonly events?: EventSink | undefined;
}

/** Takes an agent's events as they come; what they amount to is the reply. */
export interface EventSink {
  begin(status: number, source: Source): void;
  /** `false`: no more is wanted. */
  take(chunk: Buffer): boolean;
  /** About how many bytes it keeps, for the reply. */
  readonly held: number;
  /** Keeps nothing of what has come: there will be no reply of it. */
  forget(): void;
  /** The stream is over. @returns the reply, as JSON */
  end(): Buffer;
  /** It broke off. */
  break(): void;
}

/** Where they come from. */
export interface Source {
  pause(): void;
  resume(): void;
}

const HEADERS = ['content-type', 'application/json'];

export class Dispatch implements Dispatcher.DispatchHandler, Reader {
  readonly startedMs: number;
  readonly #clock: Clock;
  readonly #limits: DispatchLimits;
  readonly #isUnsafe: (error: unknown) => boolean;
  #target: Target | undefined;
  #settle: ((exchange: Exchange) => void) | undefined;
  #controller: Dispatcher.DispatchController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #gaveUp: GaveUp | undefined;
  #letGo: (() => void) | undefined;
  #events: EventSink | undefined;
  #isStream = false;
  #status = 0;
  #headersAfterMs = 0;
  #body = new ReplyBody();

  constructor(clock: Clock, limits: DispatchLimits, isUnsafe: (error: unknown) => boolean) {
    this.startedMs = clock.monotonicMs();
    this.#clock = clock;
    this.#limits = limits;
    this.#isUnsafe = isUnsafe;
  }

  run(pool: Pool, { path, body, headers = [], events }: DispatchRequest, target: Target): Promise<Exchange> {
    this.#target = target;
    this.#events = events;
    return new Promise((resolve) => {
      this.#settle = resolve;
      this.#watch();
      this.#letGo = this.#limits.lease?.hold(this); // X4
      if (this.#gaveUp) return;
      try {
        pool.dispatch({ path, method: 'POST', headers: headers.length === 0 ? HEADERS : [...HEADERS, ...headers], body }, this);
      } catch (error) {
        this.#fail(error);
      }
    });
  }

  /** The platform stops: nobody waits for this any longer. */
  stop(): void {
    this.#giveUp(new GaveUp('stopping'));
  }

  /** X3: its reply takes more memory than there is. */
  breakOff(): void {
    if (this.#isStream) this.#events?.forget();
    else this.#giveUp(new GaveUp('memory'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#limits.lease?.holds() === false) this.stop(); // X4: the process may have been stopped since
    if (this.#gaveUp) controller.abort(this.#gaveUp);
    else this.#controller = controller;
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
    if (status < 200) return; // informational
    this.#status = status;
    this.#headersAfterMs = this.#elapsed();
    if (!this.#events || !this.#settle || status >= 300 || !isEventStream(headers)) return;
    this.#isStream = true;
    this.#events.begin(status, controller);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#settle) return; // given up
    if (this.#isStream && this.#events) {
      const goesOn = this.#events.take(chunk);
      this.#limits.memory?.hold(this, this.#events.held);
      if (!goesOn) this.#enough(controller);
      return;
    }
    const room = MAX_REPLY_BYTES - this.#body.size;
    this.#body.add(chunk.length > room ? chunk.subarray(0, room) : chunk);
    this.#limits.memory?.hold(this, this.#body.size);
    if (chunk.length > room) this.#enough(controller);
  }

  /** X3. */
  #enough(controller: Dispatcher.DispatchController): void {
    this.#reply(false);
    controller.abort(new GaveUp('deadline'));
  }

  onResponseEnd(): void {
    this.#reply(true);
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    this.#fail(error);
  }

  /** Sets the one timer to whichever comes first; when it fires, looks again what has happened since. */
  #watch(): void {
    const now = this.#clock.monotonicMs();
    const lastHeard = Math.max(this.startedMs, this.#target?.lastEventMs ?? 0);
    const idleAt = lastHeard + this.#limits.idleMs;
    const endAt = this.startedMs + this.#limits.limitMs;
    if (now >= endAt) this.#giveUp(new GaveUp('deadline'));
    else if (now >= idleAt) this.#giveUp(new GaveUp('idle'));
    else this.#timer = setTimeout(this.#onTimer, Math.min(Math.ceil(Math.min(idleAt, endAt) - now), MAX_TIMER_MS));
  }

  readonly #onTimer = (): void => this.#watch();

  #giveUp(reason: GaveUp): void {
    if (!this.#settle) return;
    this.#gaveUp = reason;
    this.#fail(reason);
    this.#controller?.abort(reason);
  }

  #reply(whole: boolean): void {
    if (!this.#settle) return;
    const { body, isWhole } = this.#read(whole);
    this.#end({ kind: 'reply', status: this.#status, body, whole: isWhole, headersAfterMs: this.#headersAfterMs });
  }

  #read(isWhole: boolean): { readonly body: Buffer; readonly isWhole: boolean } {
    if (this.#isStream && this.#events) return { body: this.#events.end(), isWhole: true };
    return { body: this.#body.take(), isWhole };
  }

  #fail(error: unknown): void {
    if (error instanceof GaveUp && error.reason === 'stopping') this.#end({ kind: 'stopped' });
    else if (this.#status !== 0) this.#end({ kind: 'broken', status: this.#status, headersAfterMs: this.#headersAfterMs });
    else this.#end({ kind: 'failed', failure: classifyFailure(error, this.#isUnsafe), afterMs: this.#elapsed() });
  }

  /** X1. */
  #end(exchange: Exchange): void {
    const settle = this.#settle;
    if (!settle) return;
    this.#settle = undefined;
    clearTimeout(this.#timer);
    this.#letGo?.();
    if (this.#isStream && exchange.kind !== 'reply') this.#events?.break();
    this.#limits.memory?.release(this);
    this.#body = new ReplyBody();
    settle(exchange);
  }

  #elapsed(): number {
    return Math.round(this.#clock.monotonicMs() - this.startedMs);
  }
}
