/**
 * Puts to sleep what has been idle for as long as its limit says (spec 1 §2.5, README choice 8).
 *
 *   N1. Idle is who has had no active task, and no call open, for the whole of that time. Beats alone are no work.
 *   N2. What is not known is no idleness: nobody is put to sleep who has not been heard of since our own start for a whole limit, nor
 *       while the proxy does not say what calls there are.
 *   N3. Times are told by the monotonic clock (limits F16).
 */
import { ask } from '@molecule/bus';
import { ask as asks, type WorkspaceId } from '@molecule/contracts';
import type { Parts } from '../parts.ts';
import type { Member } from './fleet.ts';
import { claimSleep, isOvertaken } from './hibernation.ts';

const MINUTE_MS = 60_000;
const TRAFFIC_TIMEOUT_MS = 2_000;

type IdleParts = Pick<Parts, 'bus' | 'ledger' | 'store' | 'fleet' | 'barrier' | 'clock' | 'newId' | 'log'>;

/** Pure: since when it has done nothing, as far as is known; `null`: it is at work, or nobody knows (N2). */
export function quietSince({ idleSince, status }: Pick<Member, 'idleSince' | 'status'>, callSeenAt: number): number | null {
  if (status !== 'online' && status !== 'degraded') return null;
  return idleSince === null ? null : Math.max(idleSince, callSeenAt);
}

export class IdleMonitor {
  readonly #parts: IdleParts;
  /** When a call to it was last seen open, monotonic ms. */
  readonly #callSeenAt = new Map<WorkspaceId, number>();

  constructor(parts: IdleParts) {
    this.#parts = parts;
  }

  /** One pass. */
  async look(): Promise<void> {
    const { ledger, fleet, clock } = this.#parts;
    const limited = await ledger.db
      .selectFrom('workspaces')
      .select(['workspace_id', 'hibernation_idle_minutes'])
      .where('hibernation_idle_minutes', '>', 0)
      .where('status', 'in', ['online', 'degraded'])
      .where('external', '=', false)
      .where('runtime', '<>', 'external')
      .execute();
    const known = new Set(limited.map(({ workspace_id }) => workspace_id));
    for (const id of this.#callSeenAt.keys()) if (!known.has(id)) this.#callSeenAt.delete(id);
    for (const { workspace_id: id, hibernation_idle_minutes: minutes } of limited) {
      const member = fleet.get(id);
      const since = member === undefined ? null : quietSince(member, this.#callSeenAt.get(id) ?? 0);
      if (since === null || minutes === null || clock.monotonicMs() - since < minutes * MINUTE_MS) continue;
      const quiet = await this.#isQuiet(id, minutes * MINUTE_MS);
      if (quiet === null) return; // N2: who does not answer for this one would not for the others, and hold us up for each
      if (quiet) await this.#putToSleep(id);
    }
  }

  /** Whether nothing is going on with its calls now, and it has made none of late; `null`: nobody says. */
  async #isQuiet(workspaceId: WorkspaceId, limitMs: number): Promise<boolean | null> {
    const { bus, clock, log } = this.#parts;
    try {
      const { openCalls, lastOutboundAt } = await ask(
        bus,
        asks['a2a-proxy'].traffic,
        { workspaceId },
        { timeoutMs: TRAFFIC_TIMEOUT_MS },
      );
      if (openCalls > 0) this.#callSeenAt.set(workspaceId, clock.monotonicMs());
      const called = lastOutboundAt !== null && clock.now().getTime() - Date.parse(lastOutboundAt) < limitMs;
      return openCalls === 0 && !called;
    } catch (error) {
      log.info({ err: error, workspaceId }, 'nobody says whether workspaces have calls open; none is put to sleep');
      return null;
    }
  }

  async #putToSleep(id: WorkspaceId): Promise<void> {
    const { newId, log } = this.#parts;
    try {
      await claimSleep(this.#parts, id, { force: false, meta: { commandId: `idle.${newId()}` } });
      log.info({ workspaceId: id }, 'an idle workspace is put to sleep');
    } catch (error) {
      if (!isOvertaken(error)) throw error;
    }
  }
}
