/**
 * Looks for what is due, and sees each occurrence through to its end (spec 2 §6.4).
 *
 *   I7. A due instant ends as fired or skipped exactly once, with any number of replicas and after any crash: the claim is
 *       fenced by the log's versions, and the message by its id.
 *   T1. One schedule that fails, hangs or crashes holds up no other.
 *   T2. Whatever happens to a run, `next_run_at` has moved on before the run begins.
 *   T3. What is held in our name is either under way here, or it is taken up again: PostgreSQL may go away at any moment, and the
 *       answer to any commit may be lost.
 *   T4. Whether a message is still wanted is looked up when it gets its turn to be sent, not when the waiting began.
 */
import { isUnavailable } from '@molecule/event-store';
import { backoff, type Log, sleep } from '@molecule/service';
import type { Parts } from '../parts.ts';
import { InvalidCron, InvalidTimezone, parseCron } from './cron.ts';
import * as decisions from './decisions.ts';
import { fire, messageIdOf, type Outcome, RUN_LIMIT_MS } from './fire.ts';
import { Places } from './places.ts';
import { type DueSchedule, dueSchedules, strandedOccurrences } from './projections/schedule-list.ts';
import { schedule } from './schedule.ts';

const BATCH = 50;
const AT_ONCE = 10;
const DEFER = { everyMs: 10_000, times: 12 } as const;
/** Between two attempts to reach a PostgreSQL that is away. */
const pause = backoff({ firstMs: 250, lastMs: 5_000 });

type Occurrence = DueSchedule & { readonly messageId: string };

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
  /** Being claimed or taken over: from before the commit until the run is in `#running` (T3). */
  readonly #taking = new Set<string>();
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

  /** Takes over what dead workers held, and takes up what is held in our name but does not run here (T3). */
  async recover(): Promise<void> {
    const { ledger, worker } = this.#parts;
    for (const left of await strandedOccurrences(ledger.db, worker)) {
      try {
        await this.#alone(left, () => this.#takeUp(left));
      } catch (error) {
        this.#log.error({ err: error, scheduleId: left.scheduleId }, 'a stranded schedule could not be taken up');
      }
    }
  }

  /** Resolves when nothing runs any more. */
  async idle(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  /** Whether the occurrence moved on: claimed, or left to a runtime of its own. */
  async #takeOn(due: DueSchedule, now: Date): Promise<boolean> {
    try {
      return await this.#alone(due, () => this.#claim(due, now));
    } catch (error) {
      const expected = error instanceof InvalidCron || error instanceof InvalidTimezone;
      this.#log[expected ? 'warn' : 'error']({ err: error, scheduleId: due.scheduleId }, 'a due schedule could not be taken on');
      return false;
    }
  }

  async #claim(due: DueSchedule, now: Date): Promise<boolean> {
    const { ledger, capabilities, worker } = this.#parts;
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
  }

  async #takeUp(left: DueSchedule): Promise<boolean> {
    const { ledger, worker } = this.#parts;
    const { scheduleId } = left;
    if (left.worker !== null && left.worker !== worker) {
      const commandId = `take-over-${left.dueAt.toISOString()}-${left.worker}-${worker}`;
      await ledger.transact(schedule, { id: scheduleId, commandId }, decisions.takeOver(left.worker, worker));
    }
    // As the log says now: the row may be older than the end of the run that it speaks of.
    const { state } = await ledger.load(schedule, scheduleId);
    if (state.status !== 'running' || state.occurrence.worker !== worker) return false;
    const { dueAt, messageId } = state.occurrence;
    this.#start({ ...left, dueAt: new Date(dueAt), messageId });
    return true;
  }

  /** `false` at once for what runs here, or is being taken on or up. */
  async #alone({ scheduleId }: DueSchedule, work: () => Promise<boolean>): Promise<boolean> {
    if (this.#running.has(scheduleId) || this.#taking.has(scheduleId)) return false;
    this.#taking.add(scheduleId);
    try {
      return await work();
    } finally {
      this.#taking.delete(scheduleId);
    }
  }

  /** Lets the occurrence run by itself. */
  #start(due: Occurrence): void {
    const run = this.#run(due)
      .catch((error: unknown) => {
        // Still held by us: `recover` takes it up, here or where our lease has ended.
        this.#log.error({ err: error, scheduleId: due.scheduleId }, 'a scheduled run did not end; it will be taken up again');
      })
      .finally(() => this.#running.delete(due.scheduleId));
    this.#running.set(due.scheduleId, run);
  }

  async #run(due: Occurrence): Promise<void> {
    const limit = AbortSignal.any([this.#signal, AbortSignal.timeout(RUN_LIMIT_MS + this.#defer.everyMs * this.#defer.times)]);
    const busy = await this.#waitForRoom(due, limit);
    if (this.#signal.aborted) return;
    if (busy > 0) return this.#end(due, 'skip', (ending) => decisions.skipBusy({ ...ending, activeTasks: busy }));
    const outcome = await this.#places.take(async () => {
      const standing = await this.#patiently(() => this.#standing(due)); // T4
      return standing === 'wanted' ? this.#send(due, limit) : standing;
    });
    if (outcome === 'lost') return;
    if (outcome === 'disabled') return this.#end(due, 'disabled', decisions.skipDisabled);
    return this.#end(due, 'fire', (ending) => decisions.fire({ ...ending, ...outcome }));
  }

  /** `lost`: it was deleted, or somebody else has the occurrence; there is nothing left to end. */
  async #standing(due: Occurrence): Promise<'wanted' | 'disabled' | 'lost'> {
    const { ledger, worker } = this.#parts;
    const { state } = await ledger.load(schedule, due.scheduleId);
    if (!decisions.holds(state, { worker, dueAt: due.dueAt.toISOString() })) return 'lost';
    return state.enabled ? 'wanted' : 'disabled';
  }

  async #send(due: Occurrence, limit: AbortSignal): Promise<Outcome> {
    try {
      return await fire(this.#parts, due, limit);
    } catch (error) {
      if (this.#signal.aborted) throw error;
      this.#log.warn({ err: error, scheduleId: due.scheduleId }, 'a scheduled message could not be sent');
      return { error: 'failed to reach the a2a-proxy', empty: false };
    }
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
    const command = { id: due.scheduleId, commandId: `${how}-${ending.dueAt}-${worker}` };
    await this.#patiently(() => ledger.transact(schedule, command, decide(ending)));
  }

  /** Does it again while PostgreSQL is away, until it works; while the service stops, once more and no longer (T3). */
  async #patiently<Result>(work: () => Promise<Result>): Promise<Result> {
    for (let attempt = 1; ; attempt++) {
      const last = this.#signal.aborted;
      try {
        return await work();
      } catch (error) {
        if (last || !isUnavailable(error)) throw error;
        this.#log.warn({ err: error, attempt }, 'what became of a schedule cannot be stored now; trying again');
        await sleep(pause(attempt), this.#signal);
      }
    }
  }
}
