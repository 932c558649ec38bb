/**
 * When workspaces last reached somebody (spec 1 §1.1), which the a2a-proxy knows. `GET /workspaces/:id` is public and cheap:
 *
 *   O1. A workspace is asked about once a second at most, however often it is read: what is shown is a second old at most.
 *   O2. Nobody waits longer than the bound. Without an answer the last one known is shown, `null` where there is none, and for a
 *       second nobody asks, about any workspace.
 *   O3. So many answers are kept and no more.
 */
import type { WorkspaceId } from '@molecule/contracts';
import type { Clock, Log } from '@molecule/service';

const FRESH_MS = 1_000;
const MAX_KEPT = 20_000;

interface Known {
  readonly at: string | null;
  readonly askedMs: number;
}

export interface LastOutboundParts {
  /** Rejects where there is no answer in time. */
  readonly ask: (workspaceId: WorkspaceId) => Promise<string | null>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly log: Pick<Log, 'info'>;
  readonly maxKept?: number;
}

export class LastOutbound {
  readonly #ask: LastOutboundParts['ask'];
  readonly #clock: LastOutboundParts['clock'];
  readonly #log: LastOutboundParts['log'];
  readonly #maxKept: number;
  /** Those asked about longest ago first. */
  readonly #known = new Map<WorkspaceId, Known>();
  readonly #asking = new Map<WorkspaceId, Promise<string | null>>();
  #quietUntilMs = Number.NEGATIVE_INFINITY;

  constructor({ ask, clock, log, maxKept = MAX_KEPT }: LastOutboundParts) {
    this.#ask = ask;
    this.#clock = clock;
    this.#log = log;
    this.#maxKept = maxKept;
  }

  /** RFC 3339, or `null`. Never rejects. */
  async of(id: WorkspaceId): Promise<string | null> {
    const now = this.#clock.monotonicMs();
    const known = this.#known.get(id);
    if (now < this.#quietUntilMs || (known !== undefined && now - known.askedMs < FRESH_MS)) return known?.at ?? null;
    const asking = this.#asking.get(id) ?? this.#refresh(id, now);
    this.#asking.set(id, asking);
    return asking;
  }

  async #refresh(id: WorkspaceId, askedMs: number): Promise<string | null> {
    try {
      const at = await this.#ask(id);
      this.#keep(id, { at, askedMs });
      return at;
    } catch (error) {
      this.#log.info({ err: error }, 'the a2a-proxy did not say when a workspace last made a call');
      this.#quietUntilMs = this.#clock.monotonicMs() + FRESH_MS;
      return this.#known.get(id)?.at ?? null;
    } finally {
      this.#asking.delete(id);
    }
  }

  /** O3. */
  #keep(id: WorkspaceId, known: Known): void {
    this.#known.delete(id);
    this.#known.set(id, known);
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= this.#maxKept) break;
      this.#known.delete(oldest);
    }
  }
}
