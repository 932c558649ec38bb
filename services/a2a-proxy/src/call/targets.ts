/**
 * Which calls are in flight to which workspace, and when something was last heard of it: the memory of the idle clock.
 *
 *   T1. One subscription per process feeds `touch`; an event costs one look-up, however many calls are in flight (design §3).
 *   T2. A workspace is known here only while calls to it are in flight.
 */
/** A call in flight, as far as this file needs to know it. */
export interface InFlight {
  /** The platform stops: nobody waits for it any longer. */
  stop(): void;
}

export class Target {
  readonly workspaceId: string;
  /** When the last event of the workspace was heard, and when the last call to it began; monotonic ms. */
  lastEventMs = Number.NEGATIVE_INFINITY;
  lastDispatchMs = Number.NEGATIVE_INFINITY;
  /** Those that somebody waits for; the mailbox counts its own. */
  direct = 0;
  readonly calls = new Set<InFlight>();

  constructor(workspaceId: string) {
    this.workspaceId = workspaceId;
  }
}

export class Targets {
  readonly #targets = new Map<string, Target>();

  /** Something happened at the workspace: its calls are not idle. */
  touch(workspaceId: string, nowMs: number): void {
    const target = this.#targets.get(workspaceId);
    if (target) target.lastEventMs = nowMs;
  }

  get(workspaceId: string): Target | undefined {
    return this.#targets.get(workspaceId);
  }

  enter(workspaceId: string, call: InFlight, nowMs: number, direct: boolean): Target {
    let target = this.#targets.get(workspaceId);
    if (!target) {
      target = new Target(workspaceId);
      this.#targets.set(workspaceId, target);
    }
    target.calls.add(call);
    target.lastDispatchMs = nowMs;
    if (direct) target.direct++;
    return target;
  }

  leave(target: Target, call: InFlight, direct: boolean): void {
    target.calls.delete(call);
    if (direct) target.direct--;
    if (target.calls.size === 0) this.#targets.delete(target.workspaceId);
  }

  /** Every call in flight. */
  *all(): Iterable<InFlight> {
    for (const { calls } of this.#targets.values()) yield* calls;
  }

  get size(): number {
    let size = 0;
    for (const { calls } of this.#targets.values()) size += calls.size;
    return size;
  }
}
