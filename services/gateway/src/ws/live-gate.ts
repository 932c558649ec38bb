/**
 * Keeps what is said live behind the facts it was said after.
 *
 *   L1. A live event with `after: v` passes once the workspace's directory entry shows version v, or after half a second.
 *   L2. Live events of one workspace pass in the order in which they came, held or not.
 *   L3. At most 256 are held per workspace; one more lets the oldest pass, for order matters less than hearing of it.
 */
import type { LiveEvent } from '@molecule/contracts';

export const MAX_HELD_MS = 500;
export const MAX_HELD = 256;

interface Held {
  readonly event: LiveEvent;
  readonly until: number;
}

export interface LiveGateParts {
  /** The version of a workspace's stream that has been shown, 0 if none. */
  readonly versionOf: (workspaceId: string) => number;
  readonly pass: (event: LiveEvent) => void;
  readonly nowMs: () => number;
}

export class LiveGate {
  readonly #held = new Map<string, Held[]>();
  readonly #parts: LiveGateParts;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: LiveGateParts) {
    this.#parts = parts;
  }

  hear(event: LiveEvent): void {
    const waiting = this.#held.get(event.workspaceId);
    if (waiting === undefined) {
      if (this.#mayPass(event)) {
        this.#parts.pass(event);
        return;
      }
      this.#held.set(event.workspaceId, [this.#hold(event)]);
    } else {
      waiting.push(this.#hold(event));
      if (waiting.length > MAX_HELD) this.#parts.pass((waiting.shift() as Held).event);
    }
    this.#timer ??= setTimeout(() => this.#expire(), MAX_HELD_MS);
  }

  /** A fact of this workspace has been shown: what waited for it goes next. */
  shown(workspaceId: string): void {
    const waiting = this.#held.get(workspaceId);
    if (waiting !== undefined) this.#release(workspaceId, waiting);
  }

  /** How many wait. */
  get held(): number {
    let held = 0;
    for (const waiting of this.#held.values()) held += waiting.length;
    return held;
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#held.clear();
  }

  #hold(event: LiveEvent): Held {
    return { event, until: this.#parts.nowMs() + MAX_HELD_MS };
  }

  #mayPass(event: LiveEvent): boolean {
    return event.after === undefined || this.#parts.versionOf(event.workspaceId) >= event.after;
  }

  #release(workspaceId: string, waiting: Held[]): void {
    const now = this.#parts.nowMs();
    let passed = 0;
    for (const { event, until } of waiting) {
      if (until > now && !this.#mayPass(event)) break;
      this.#parts.pass(event);
      passed++;
    }
    if (passed === waiting.length) this.#held.delete(workspaceId);
    else waiting.splice(0, passed);
  }

  #expire(): void {
    this.#timer = undefined;
    for (const [workspaceId, waiting] of this.#held) this.#release(workspaceId, waiting);
    let next = Number.POSITIVE_INFINITY;
    for (const [first] of this.#held.values()) next = Math.min(next, first?.until ?? next);
    if (next !== Number.POSITIVE_INFINITY)
      this.#timer = setTimeout(() => this.#expire(), Math.max(1, next - this.#parts.nowMs()));
  }
}
