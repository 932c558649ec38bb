/**
 * Looks for what is due, and sees each occurrence through to its end (spec 2 §6.4).
 *
 *   I7. A due instant ends as fired or skipped exactly once, with any number of replicas and after any crash: the claim is
 *       fenced by the log's versions, and the message by its id.
 *   T1. One schedule that fails, hangs or crashes holds up no other.
 *   T2. Whatever happens to a run, `next_run_at` has moved on before the run begins.
 */
import { type Log, sleep } from '@molecule/service';
import type { Parts } from '../parts.ts';
import { InvalidCron, InvalidTimezone, parseCron } from './cron.ts';
import * as decisions from './decisions.ts';
import { fire, messageIdOf, RUN_LIMIT_MS } from './fire.ts';
import { Places } from './places.ts';
import { abandonedOccurrences, type DueSchedule, dueSchedules } from './projections/schedule-list.ts';
import { schedule } from './schedule.ts';

const BATCH = 50;
const AT_ONCE = 10;
const DEFER = { everyMs: 10_000, times: 12 } as const;

export interface TickOptions {
  /** How long a run waits for room between two looks, and how often it looks. */
  readonly defer?: { readonly everyMs: number; readonly times: number };
}

/** Runs occurrences for one worker: at most ten at a time, each on its own. */
export class Runner {
  readonly #parts: Parts;
  readonly #log: Log;
  readonly #signal: AbortSignal;
  readonly #defer: { readonly everyMs: number; readonly times: number };
  readonly #running = new Map<string, Promise<void>>();
  /** Only sending takes a place: who waits for room at a busy agent holds up nobody (T1). */
  readonly #places = new Places(AT_ONCE);

  constructor(parts: Parts, signal: AbortSignal, { defer = DEFER }: TickOptions = {}) {
    this.#parts = parts;
    this.#log = parts.log;
    this.#signal = signal;
    this.#defer = defer;
  }

  /** One look: takes on everything that is due now, batch by batch, and returns when all of it has been taken on. */
  async tick(): Promise<void> {
    for (;;) {
      const now = this.#parts.clock.now();
      const due = await dueSchedules(this.#parts.ledger.db, now, BATCH);
      // One that cannot be advanced (its cron no longer parses) stays due: it must not keep us here.
      const advanced = await Promise.all(due.map((one) => this.#takeOn(one, now)));
      if (due.length < BATCH || !advanced.includes(true) || this.#signal.aborted) return;
    }
  }

  /** Takes over what dead workers held. */
  async recover(): Promise<void> {
    const { ledger, worker } = this.#parts;
    for (const left of await abandonedOccurrences(ledger.db)) {
      if (left.worker === null || left.messageId === null || this.#running.has(left.scheduleId)) continue;
      const commandId = `take-over-${left.dueAt.toISOString()}-${left.worker}-${worker}`;
      const { facts } = await ledger.transact(
        schedule,
        { id: left.scheduleId, commandId },
        decisions.takeOver(left.worker, worker),
      );
      if (facts.length > 0) this.#start({ ...left, messageId: left.messageId });
    }
  }

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  /** Whether the occurrence moved on: claimed, or left to a runtime of its own. */
  async #takeOn(due: DueSchedule, now: Date): Promise<boolean> {
    const { ledger, capabilities, worker } = this.#parts;
    try {
      const nextRunAt = parseCron(due.cronExpr, due.timezone, now).next(now).toISOString();
      if (capabilities.has(due.workspaceId, 'scheduler')) {
        const decide = decisions.leaveToRuntime({ now: now.toISOString(), nextRunAt });
        await ledger.transact(schedule, { id: due.scheduleId, commandId: `native-${due.dueAt.toISOString()}` }, decide);
        return true;
      }
      const messageId = messageIdOf(due.scheduleId, due.dueAt);
      const claim = decisions.claim({ now: now.toISOString(), nextRunAt, worker, messageId });
      const { facts, repeated } = await ledger.transact(
        schedule,
        { id: due.scheduleId, commandId: `claim-${due.dueAt.toISOString()}-${worker}` },
        claim,
      );
      if (facts.length > 0 && !repeated) this.#start({ ...due, messageId });
      return true;
    } catch (error) {
      const expected = error instanceof InvalidCron || error instanceof InvalidTimezone;
      this.#log[expected ? 'warn' : 'error']({ err: error, scheduleId: due.scheduleId }, 'a due schedule could not be taken on');
      return false;
    }
  }

  /** Lets the occurrence run by itself. */
  #start(due: DueSchedule & { readonly messageId: string }): void {
    const run = this.#run(due)
      .catch((error: unknown) => {
        // Still held by us, and by nobody once our lease ends: it is taken over then.
        this.#log.error({ err: error, scheduleId: due.scheduleId }, 'a scheduled run did not end; it will be taken over');
      })
      .finally(() => this.#running.delete(due.scheduleId));
    this.#running.set(due.scheduleId, run);
  }

  async #run(due: DueSchedule & { readonly messageId: string }): Promise<void> {
    const limit = AbortSignal.any([this.#signal, AbortSignal.timeout(RUN_LIMIT_MS + this.#defer.everyMs * this.#defer.times)]);
    const busy = await this.#waitForRoom(due, limit);
    if (this.#signal.aborted) return;
    if (busy > 0) {
      await this.#end(due, 'skip', (ending) => decisions.skipBusy({ ...ending, activeTasks: busy }));
      return;
    }
    const outcome = await this.#places
      .take(() => fire(this.#parts, due, limit))
      .catch((error: unknown) => {
        if (this.#signal.aborted) throw error;
        this.#log.warn({ err: error, scheduleId: due.scheduleId }, 'a scheduled message could not be sent');
        return { error: 'failed to reach the a2a-proxy', empty: false };
      });
    await this.#end(due, 'fire', (ending) => decisions.fire({ ...ending, ...outcome }));
  }

  /** The number of active tasks that still left no room after the last look; 0 as soon as there is room. */
  async #waitForRoom({ workspaceId }: DueSchedule, signal: AbortSignal): Promise<number> {
    for (let look = 0; ; look++) {
      const active = this.#activeTasks(workspaceId);
      const capacity = this.#parts.directory.get(workspaceId)?.maxConcurrentTasks ?? 1;
      if (active < capacity) return 0;
      if (look === this.#defer.times || signal.aborted) return active;
      await sleep(this.#defer.everyMs, signal);
    }
  }

  #activeTasks(workspaceId: DueSchedule['workspaceId']): number {
    const { capabilities, directory } = this.#parts;
    return capabilities.activeTasks(workspaceId) ?? directory.get(workspaceId)?.activeTasks ?? 0;
  }

  /** Bookkeeping is done even while the service stops: only a dead process leaves an occurrence to others. */
  async #end(due: DueSchedule, how: string, decide: (ending: decisions.Ending) => decisions.Decision): Promise<void> {
    const { ledger, clock, worker } = this.#parts;
    const now = clock.now();
    const ending = {
      worker,
      dueAt: due.dueAt.toISOString(),
      ranAt: now.toISOString(),
      nextRunAt: parseCron(due.cronExpr, due.timezone, now).next(now).toISOString(),
    };
    await ledger.transact(schedule, { id: due.scheduleId, commandId: `${how}-${ending.dueAt}-${worker}` }, decide(ending));
  }
}
