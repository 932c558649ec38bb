/**
 * Tells every open canvas, every connected workspace and every event stream what happened. It forwards; it decides nothing and
 * remembers nothing.
 *
 *   W1. Each event is written once for all who speak the same wire, and goes to a client at most once, in the order in which it
 *       was published.
 *   W2. What a client has not read is bounded: 256 frames (64 of an event stream) and 1 MiB. What comes on top is dropped for that
 *       client alone, and counted.
 *   W3. A client that stays at its bound for ten seconds is cut off; it comes again and reads the current state.
 *   W4. A workspace client gets what concerns workspaces it may communicate with, judged event by event (spec 1 §6.2); an event
 *       stream what concerns its workspace (§6.3).
 */
import type { FactPlace } from '@molecule/bus';
import type { CanvasEvent } from '@molecule/contracts';
import { Client, type ClientOptions, type Farewell, type Frame } from './client.ts';
import type { Credential } from './credential.ts';
import { EVENT_STREAM, WEBSOCKET, type Wire } from './wire.ts';

export interface FanoutParts {
  readonly canCommunicate: (caller: string, target: string) => boolean;
  readonly nowMs: () => number;
  readonly now: () => Date;
  readonly onDrop: (wire: Wire['name']) => void;
}

export class Fanout {
  readonly #parts: FanoutParts;
  /** Who may hear of any workspace: sockets. */
  readonly #wide = new Set<Client>();
  /** Who hears of one workspace: event streams. */
  readonly #narrow = new Map<string, Set<Client>>();

  constructor(parts: FanoutParts) {
    this.#parts = parts;
  }

  /** Whether anybody listens. */
  get isHeard(): boolean {
    return this.#wide.size > 0 || this.#narrow.size > 0;
  }

  /** From here on it is told what happens, until it leaves. One that comes back is told once it is caught up. */
  join(options: ClientOptions): Client {
    const client = new Client(options, this.#parts.now);
    const { audience } = options;
    if (audience.kind === 'workspace') {
      const listeners = this.#narrow.get(audience.id) ?? new Set();
      this.#narrow.set(audience.id, listeners.add(client));
    } else this.#wide.add(client);
    return client;
  }

  /** May be said more than once. */
  leave(client: Client): void {
    client.leave();
    const { audience } = client.options;
    if (audience.kind !== 'workspace') return void this.#wide.delete(client);
    const listeners = this.#narrow.get(audience.id);
    listeners?.delete(client);
    if (listeners?.size === 0) this.#narrow.delete(audience.id);
  }

  /** `seq`: what clients know its place by, see seq.ts. `place`: that of its fact, `null` for what is said live. */
  publish(event: CanvasEvent, seq: string, place: FactPlace | null): void {
    let frame: Frame | undefined;
    for (const client of this.#wide) {
      if (!this.concerns(client, event.workspace_id)) continue;
      frame ??= { bytes: WEBSOCKET.encode(event, seq), seq, place };
      this.#send(client, frame);
    }
    const listeners = this.#narrow.get(event.workspace_id);
    if (listeners === undefined) return;
    const chunk: Frame = { bytes: EVENT_STREAM.encode(event, seq), seq, place };
    for (const client of listeners) this.#send(client, chunk);
  }

  /** Whether a client is to hear what concerns a workspace, as the tree is now (W4). */
  concerns({ options: { audience } }: Client, workspaceId: string): boolean {
    switch (audience.kind) {
      case 'everything':
        return true;
      case 'neighbours':
        return workspaceId !== '' && this.#parts.canCommunicate(audience.of, workspaceId);
      case 'workspace':
        return workspaceId === audience.id;
    }
  }

  /** The gateway itself missed facts: those are told of it who asked for all. What is told from here on stands behind `seq`. */
  missed(seq: string): void {
    for (const client of this.#everybody()) client.missed(seq);
  }

  closeWhere(isOver: (credential: Credential) => boolean): void {
    for (const { options } of this.#everybody()) if (isOver(options.credential)) options.close('right-ended');
  }

  closeAll(why: Farewell): void {
    for (const { options } of this.#everybody()) options.close(why);
  }

  /** As of now: those who leave meanwhile do not disturb. */
  #everybody(): Client[] {
    return [...this.#wide, ...[...this.#narrow.values()].flatMap((listeners) => [...listeners])];
  }

  #send(client: Client, frame: Frame): void {
    if (client.tell(frame)) return;
    this.#parts.onDrop(client.options.wire.name);
    if (!client.hasStalled(this.#parts.nowMs())) return;
    this.leave(client);
    client.options.close('too-slow');
  }
}
