/** One who listens, and what was written to it and not read yet. */
import type { Buffer } from 'node:buffer';
import type { Credential } from './credential.ts';
import type { Wire } from './wire.ts';

/** A client may leave this many bytes unread, or as many events as its wire allows, whichever comes first. */
export const MAX_BYTES = 1024 * 1024;
/** How long a client may stay at its bound before it is cut off. */
export const MAX_STALLED_MS = 10_000;

/** Where frames are written: the socket under a WebSocket, or a response. */
export interface FrameSink {
  /** `written` is called when the frame has left this process, or never will. */
  write(frame: Buffer, written: () => void): unknown;
  /** Bytes accepted and not yet handed to the system. */
  readonly writableLength: number;
}

/** Whom it hears of: everybody, those whom a workspace may communicate with, or one workspace alone. */
export type Audience =
  | { readonly kind: 'everything' }
  | { readonly kind: 'neighbours'; readonly of: string }
  | { readonly kind: 'workspace'; readonly id: string };

/** Why we end a connection. */
export type Farewell = 'right-ended' | 'too-slow' | 'stopping';

export interface ClientOptions {
  readonly sink: FrameSink;
  readonly wire: Wire;
  readonly audience: Audience;
  readonly credential: Credential;
  /** Ends the connection. */
  close(why: Farewell): void;
}

export class Client {
  readonly options: ClientOptions;
  readonly #maxFrames: number;
  #unread = 0;
  /** Since when it is at its bound, by the clock of the fan-out. */
  #stalledSince: number | null = null;

  constructor(options: ClientOptions) {
    this.options = options;
    this.#maxFrames = options.wire.maxFrames;
  }

  /** `false`: the client is at its bound and does not get this frame. */
  take(frame: Buffer): boolean {
    const { sink } = this.options;
    if (this.#unread >= this.#maxFrames || sink.writableLength + frame.length > MAX_BYTES) return false;
    this.#unread++;
    sink.write(frame, this.#written);
    return true;
  }

  /** It did not get a frame; `true` when that has gone on for too long. */
  hasStalled(nowMs: number): boolean {
    this.#stalledSince ??= nowMs;
    return nowMs - this.#stalledSince >= MAX_STALLED_MS;
  }

  // One function per client, not one per frame.
  readonly #written = (): void => {
    this.#unread--;
    if (this.#unread < this.#maxFrames / 2 && this.options.sink.writableLength < MAX_BYTES / 2) this.#stalledSince = null;
  };
}
