/**
 * Beats out: published without acknowledgement, kept as the last one per workspace (D6).
 *
 *   B1. Beats of one gateway are numbered 1, 2, 3 … in the order they leave, so that a reader knows what it missed.
 *   B2. While the link is down, only the newest beat of each workspace is held; they leave when it is back.
 */
import { type Beat, type BeatMark, type HeartbeatBody, subjects } from '@molecule/contracts';
import type { Clock } from '@molecule/service';
import type { Bus } from './connection.ts';
import { isGuid } from './parse-beat.ts';

/** How many workspaces' beats are held while the link is down; beyond, the longest held goes (the next beat is 30 s away). */
const MAX_HELD = 200_000;

/** A beat on its way out, field by field as in `Beat`; absent metadata is left out when it is written. */
type Stamped = { -readonly [Field in keyof Beat]: Field extends 'workspaceId' ? string : Beat[Field] } & {
  runtimeMetadata: Beat['runtimeMetadata'] | undefined;
};

export class BeatPublisher {
  readonly #bus: Bus;
  readonly #gateway: string;
  readonly #clock: Clock;
  readonly #held = new Map<string, Stamped>();
  readonly #leave: () => void;
  #seq = 0;

  /** `gateway`: this process, unique among all gateways there ever were. */
  constructor(bus: Bus, { gateway, clock }: { readonly gateway: string; readonly clock: Clock }) {
    this.#bus = bus;
    this.#gateway = gateway;
    this.#clock = clock;
    this.#leave = bus.onReconnect(() => this.#sendHeld());
  }

  /** Stamps and sends an accepted beat; nothing to wait for. Throws when the workspace id is not one, or the bus is closed. */
  publish(body: HeartbeatBody): void {
    const workspaceId = body.workspace_id.toLowerCase();
    if (!isGuid(workspaceId)) throw new TypeError(`not a workspace id: ${JSON.stringify(body.workspace_id)}`);
    const beat: Stamped = {
      workspaceId,
      receivedAt: this.#clock.now().getTime(),
      gateway: this.#gateway,
      seq: this.#seq + 1,
      errorRate: body.error_rate,
      sampleError: body.sample_error,
      activeTasks: body.active_tasks,
      uptimeSeconds: body.uptime_seconds,
      currentTask: body.current_task,
      monthlySpend: body.monthly_spend,
      runtimeState: body.runtime_state,
      runtimeMetadata: body.runtime_metadata,
    };
    if (this.#bus.connected) this.#send(beat);
    else this.#hold(beat);
  }

  /** How far this gateway has got; travels with every request it forwards. `null` before its first beat. */
  mark(): BeatMark | null {
    return this.#seq === 0 ? null : { gateway: this.#gateway, seq: this.#seq };
  }

  close(): void {
    this.#leave();
    this.#held.clear();
  }

  #send(beat: Stamped): void {
    const { workspaceId, runtimeMetadata } = beat;
    const subject = runtimeMetadata === undefined ? subjects.partialHeartbeat(workspaceId) : subjects.heartbeat(workspaceId);
    this.#bus.nats.publish(subject, JSON.stringify(beat));
    this.#seq = beat.seq; // B1: counted when it has left
  }

  #hold(beat: Stamped): void {
    // A beat without metadata says nothing about it: what a held one declared must not be lost with it.
    beat.runtimeMetadata ??= this.#held.get(beat.workspaceId)?.runtimeMetadata;
    this.#held.delete(beat.workspaceId);
    this.#held.set(beat.workspaceId, beat);
    if (this.#held.size > MAX_HELD) for (const oldest of this.#held.keys()) return void this.#held.delete(oldest);
  }

  #sendHeld(): void {
    for (const beat of this.#held.values()) {
      beat.seq = this.#seq + 1;
      this.#send(beat);
    }
    this.#held.clear();
  }
}
