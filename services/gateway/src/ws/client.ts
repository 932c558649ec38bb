/**
 * One who listens, and what was written to it and not read yet.
 *
 * A client that came back with the place it had got to (`since`) is first caught up, see replay.ts: what is told meanwhile waits in
 * its backlog. Such a client is told of every gap, also of later ones; others never hear of any.
 */
import type { Buffer } from 'node:buffer';
import type { FactPlace } from '@molecule/bus';
import type { GapReason } from '@molecule/contracts';
import type { Credential } from './credential.ts';
import { gapEvent } from './gap.ts';
import { isLater } from './seq.ts';
import type { Wire } from './wire.ts';

/** A client may leave this many bytes unread, or as many events as its wire allows, whichever comes first. */
export const MAX_BYTES = 1024 * 1024;
/** How long a client may stay at its bound before it is cut off. */
export const MAX_STALLED_MS = 10_000;
/** What may wait while a client is caught up. */
export const MAX_BACKLOG = { frames: 4_096, bytes: 4 * MAX_BYTES } as const;

/** Where frames are written: the socket under a WebSocket, or a response. */
export interface FrameSink {
  /** `written` is called when the frame has left this process, or never will. */
  write(frame: Buffer, written: () => void): unknown;
  /** Bytes accepted and not yet handed to the system. */
  readonly writableLength: number;
}

/** An event as it is written, once for all who speak the same wire. */
export interface Frame {
  readonly bytes: Buffer;
  readonly seq: string;
  /** Where its fact stands; `null` for what is said live. */
  readonly place: FactPlace | null;
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
  /** The `seq` it came back with; `null`: it wants nothing again, and hears of no gap. */
  readonly since: string | null;
  /** Ends the connection. */
  close(why: Farewell): void;
}

export class Client {
  readonly options: ClientOptions;
  readonly #now: () => Date;
  readonly #maxFrames: number;
  readonly #wantsAll: boolean;
  #unread = 0;
  /** Since when it is at its bound, by the clock of the fan-out. */
  #stalledSince: number | null = null;
  #hasLeft = false;
  /** Called when there is room again, or it has left. */
  #wake: (() => void) | undefined;
  /** What is told while it is caught up; `undefined`: it hears things as they happen. */
  #backlog: Backlog | undefined;
  /** Persisted events up to here were told again, or are what it came back with. */
  #caughtUpTo: FactPlace | undefined;
  /** The last that it has. */
  #seq: string;
  #owed: GapReason | undefined;

  constructor(options: ClientOptions, now: () => Date) {
    this.options = options;
    this.#now = now;
    this.#maxFrames = options.wire.maxFrames;
    this.#wantsAll = options.since !== null;
    this.#seq = options.since ?? '';
    if (this.#wantsAll) this.#backlog = new Backlog();
  }

  get hasLeft(): boolean {
    return this.#hasLeft;
  }

  /** Something happened that concerns it. `false`: it is at its bound and does not get this. */
  tell(frame: Frame): boolean {
    if (!this.#wantsAll) return this.#put(frame.bytes);
    if (this.#backlog !== undefined) {
      this.#backlog.keep(frame);
      return true;
    }
    if (this.#isKnown(frame)) return true;
    if (this.#owed === undefined || this.#putGap(this.#owed, this.#seq)) {
      this.#owed = undefined;
      if (this.#putNext(frame)) return true;
    }
    if (frame.place !== null) this.#owed ??= 'too-slow';
    return false;
  }

  /** The gateway itself missed facts; what is told from here on stands behind `seq`. */
  missed(seq: string): void {
    if (!this.#wantsAll) return;
    this.#caughtUpTo = undefined;
    if (this.#backlog !== undefined) this.#backlog.end('missed');
    else if (this.#putGap('missed', seq)) this.#seq = seq;
    else this.#owed = 'missed';
  }

  /** Why it cannot be caught up any more, if so. */
  get interrupted(): GapReason | undefined {
    return this.#backlog?.ended;
  }

  /** While it is caught up: writes what it missed, as soon as there is room. `false`: it has left, or had to. */
  async catchUpWith(frame: Frame): Promise<boolean> {
    while (!this.#hasLeft) {
      if (this.#putNext(frame)) return true;
      await this.#room();
    }
    return false;
  }

  /** It has everything up to `place`: what waited follows, then it hears things as they happen. */
  async goLive(place: FactPlace): Promise<GapReason | null> {
    this.#caughtUpTo = place;
    for (let next = this.#backlog?.shift(); next !== undefined; next = this.#backlog?.shift())
      if (!this.#isKnown(next) && !(await this.catchUpWith(next))) return null;
    if (this.interrupted !== undefined) return this.interrupted;
    this.#backlog = undefined;
    return null;
  }

  /** It cannot have all: it is told so, and hears from here on, behind `seq`, things as they happen. */
  async goLiveBehindGap(reason: GapReason, seq: string): Promise<void> {
    this.#backlog?.end(reason);
    while (!this.#hasLeft && !this.#putGap(reason, seq)) await this.#room();
    this.#seq = seq;
    this.#backlog = undefined;
  }

  /** It did not get a frame; `true` when that has gone on for too long. */
  hasStalled(nowMs: number): boolean {
    this.#stalledSince ??= nowMs;
    return nowMs - this.#stalledSince >= MAX_STALLED_MS;
  }

  leave(): void {
    this.#hasLeft = true;
    this.#backlog = undefined;
    this.#wake?.();
  }

  #isKnown({ place }: Frame): boolean {
    return place !== null && this.#caughtUpTo !== undefined && !isLater(place, this.#caughtUpTo);
  }

  #putNext(frame: Frame): boolean {
    if (!this.#put(frame.bytes)) return false;
    this.#seq = frame.seq;
    return true;
  }

  #putGap(reason: GapReason, seq: string): boolean {
    return this.#put(this.options.wire.encode(gapEvent({ since: this.#seq, reason }, this.#now()), seq));
  }

  #put(bytes: Buffer): boolean {
    const { sink } = this.options;
    if (this.#unread >= this.#maxFrames || sink.writableLength + bytes.length > MAX_BYTES) return false;
    this.#unread++;
    sink.write(bytes, this.#written);
    return true;
  }

  // One function per client, not one per frame.
  readonly #written = (): void => {
    this.#unread--;
    if (!this.#hasRoom()) return;
    this.#stalledSince = null;
    this.#wake?.();
  };

  #hasRoom(): boolean {
    return this.#unread < this.#maxFrames / 2 && this.options.sink.writableLength < MAX_BYTES / 2;
  }

  /** Resolves when there is room, or it has left: because it did not make room within ten seconds, if nothing else. */
  #room(): Promise<void> {
    return new Promise((resolve) => {
      const slow = setTimeout(() => this.options.close('too-slow'), MAX_STALLED_MS);
      slow.unref();
      this.#wake = () => {
        clearTimeout(slow);
        this.#wake = undefined;
        resolve();
      };
    });
  }
}

/** What waits for a client that is caught up; bounded, and over at the first thing that it cannot take. */
class Backlog {
  #frames: Frame[] = [];
  #bytes = 0;
  ended: GapReason | undefined;

  keep(frame: Frame): void {
    if (this.ended !== undefined) return;
    this.#frames.push(frame);
    this.#bytes += frame.bytes.length;
    if (this.#frames.length > MAX_BACKLOG.frames || this.#bytes > MAX_BACKLOG.bytes) this.end('overflow');
  }

  shift(): Frame | undefined {
    const next = this.#frames.shift();
    if (next !== undefined) this.#bytes -= next.bytes.length;
    return next;
  }

  end(why: GapReason): void {
    this.ended ??= why;
    this.#frames = [];
    this.#bytes = 0;
  }
}
