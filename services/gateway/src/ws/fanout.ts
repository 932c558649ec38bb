/**
 * Tells every open canvas and every connected workspace what happened. It forwards; it decides nothing and remembers nothing.
 *
 *   W1. Each event is one frame, built once, and goes to a client at most once, in the order in which it was published.
 *   W2. What a client has not read is bounded: 256 frames and 1 MiB. What comes on top is dropped for that client alone, and counted.
 *   W3. A client that stays at its bound for ten seconds is cut off with 1013; it reconnects and reads the current state.
 *   W4. A workspace client gets what concerns workspaces it may communicate with, judged event by event (spec 1 §6.2).
 */
import type { Buffer } from 'node:buffer';
import type { CanvasEvent } from '@molecule/contracts';
import { textFrame } from './frame.ts';

/** A client may leave this many frames unread (spec 1 §6.2) … */
export const MAX_FRAMES = 256;
/** … and this many bytes, whichever comes first. */
export const MAX_BYTES = 1024 * 1024;
/** How long a client may stay at its bound before it is cut off. */
export const MAX_STALLED_MS = 10_000;

/** Where frames are written: the socket under a WebSocket. */
export interface FrameSink {
  /** `written` is called when the frame has left this process, or never will. */
  write(frame: Buffer, written: () => void): unknown;
  /** Bytes accepted and not yet handed to the system. */
  readonly writableLength: number;
}

export interface ClientOptions {
  readonly sink: FrameSink;
  /** The workspace that listens, and by which token it was let in; `null` for a canvas, which hears everything. */
  readonly workspace: { readonly id: string; readonly tokenHash: string | null } | null;
  close(code: number, reason: string): void;
}

export interface FanoutParts {
  readonly canCommunicate: (caller: string, target: string) => boolean;
  readonly nowMs: () => number;
  readonly onDrop: () => void;
}

export class Fanout {
  readonly #clients = new Set<Client>();
  readonly #parts: FanoutParts;

  constructor(parts: FanoutParts) {
    this.#parts = parts;
  }

  get size(): number {
    return this.#clients.size;
  }

  /** Returns the way to leave, which may be taken more than once. */
  join(options: ClientOptions): () => void {
    const client = new Client(options);
    this.#clients.add(client);
    return () => void this.#clients.delete(client);
  }

  publish(event: CanvasEvent): void {
    if (this.#clients.size === 0) return;
    let frame: Buffer | undefined;
    for (const client of this.#clients) {
      if (!this.#concerns(client, event.workspace_id)) continue;
      frame ??= textFrame(JSON.stringify(event));
      this.#send(client, frame);
    }
  }

  /** Ends the sockets of workspaces whose token is no longer good. */
  closeWhere(isOver: (workspace: { readonly id: string; readonly tokenHash: string | null }) => boolean, reason: string): void {
    for (const { options } of this.#clients) {
      if (options.workspace !== null && isOver(options.workspace)) options.close(1008, reason);
    }
  }

  closeAll(code: number, reason: string): void {
    for (const { options } of this.#clients) options.close(code, reason);
  }

  #concerns({ options: { workspace } }: Client, workspaceId: string): boolean {
    return workspace === null || (workspaceId !== '' && this.#parts.canCommunicate(workspace.id, workspaceId));
  }

  #send(client: Client, frame: Buffer): void {
    if (client.take(frame)) return;
    this.#parts.onDrop();
    const now = this.#parts.nowMs();
    client.stalledSince ??= now;
    if (now - client.stalledSince < MAX_STALLED_MS) return;
    this.#clients.delete(client);
    client.options.close(1013, 'reading too slowly');
  }
}

class Client {
  readonly options: ClientOptions;
  stalledSince: number | null = null;
  #unread = 0;

  constructor(options: ClientOptions) {
    this.options = options;
  }

  /** `false`: the client is at its bound and does not get this frame. */
  take(frame: Buffer): boolean {
    const { sink } = this.options;
    if (this.#unread >= MAX_FRAMES || sink.writableLength + frame.length > MAX_BYTES) return false;
    this.#unread++;
    sink.write(frame, this.#written);
    return true;
  }

  // One function per client, not one per frame.
  readonly #written = (): void => {
    this.#unread--;
    if (this.#unread < MAX_FRAMES / 2) this.stalledSince = null;
  };
}
