/**
 * Carries delegations out (spec 2 §3.2): in the background, detached from whoever asked, by the same path as every other call.
 *
 *   N1. Nothing is sent before the log says that this process carries it out; the message id keeps it from being sent twice, also by
 *       a process that was taken for dead.
 *   N2. One more call is made, RETRY_MS later, only if the first was surely not delivered.
 *   N3. What came of it is written down again and again while the database is away; what a process leaves behind that stops or dies,
 *       recovery resolves.
 *   N4. No more than `atOnce` run in one process (I12); what is beyond stays in the database, and is begun as room comes.
 */
import type { MessageId } from '@molecule/contracts';
import { isUnavailable } from '@molecule/event-store';
import { backoff, sleep } from '@molecule/service';
import type { Answer } from '../call/answer.ts';
import type { DirectCalls } from '../call/direct.ts';
import type { Parts } from '../parts.ts';
import type { DelegationBook, Job } from './book.ts';
import { MAX_CALLS } from './decisions.ts';
import { callBody, isUndelivered, type Outcome, outcomeOf } from './outcome.ts';

/** Spec 2 §3.2: in all, a real upper bound (spec README, choice 7). */
export const LIMIT_MS = 30 * 60_000;
const RETRY_MS = 8_000;
const askAgainMs = backoff({ firstMs: 250, lastMs: 5_000 });
const TOO_LATE = 'the delegation could not be begun within its 30 minutes';
const FAILED = 'the platform failed to make the call';

export interface RunnerParts extends Pick<Parts, 'clock' | 'log' | 'newId'> {
  readonly calls: Pick<DirectCalls, 'handle'>;
  readonly book: Pick<DelegationBook, 'dispatch' | 'queue' | 'settle'>;
  readonly atOnce: number;
  readonly retryMs?: number;
  /** There is room for one more. */
  readonly onRoom: () => void;
}

/** From which call on: of a delegation that another process began. */
export interface Resumed {
  readonly messageId: MessageId;
  readonly attempt: number;
  /** What is left of its time. */
  readonly limitMs: number;
}

type Called = { readonly answer: Answer; readonly outcome: Exclude<Outcome, { outcome: 'not-now' }> };

export class DelegationRunner {
  readonly #parts: RunnerParts;
  readonly #retryMs: number;
  readonly #running = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();
  /** How delegations went in this process since the start, for the metrics. */
  readonly counts = { completed: 0, queued: 0, failed: 0 };

  constructor(parts: RunnerParts) {
    this.#parts = parts;
    this.#retryMs = parts.retryMs ?? RETRY_MS;
  }

  get running(): number {
    return this.#running.size;
  }

  isRunning(trackingId: string): boolean {
    return this.#running.has(trackingId);
  }

  /** How many more may be begun (N4). */
  get room(): number {
    return this.#stopping.signal.aborted ? 0 : Math.max(0, this.#parts.atOnce - this.#running.size);
  }

  /** Begins to carry it out, if there is room. Returns at once. */
  start(job: Job): boolean {
    return this.#launch(job, async () => {
      if (await this.#parts.book.dispatch(job.about, { messageId: job.messageId, attempt: 1 }))
        await this.#carryOut(job, { messageId: job.messageId, attempt: 1, limitMs: LIMIT_MS });
    });
  }

  /** Goes on with what the log says that this process carries out now. */
  resume(job: Job, from: Resumed): boolean {
    return this.#launch(job, () => this.#carryOut(job, from));
  }

  /** Makes the call alone: nobody keeps what comes of it (spec 2 §3.1). */
  startUntracked(job: Job): boolean {
    return this.#launch(job, async () => {
      const deadline = this.#parts.clock.monotonicMs() + LIMIT_MS;
      await this.#call(job, job.messageId, deadline);
    });
  }

  /** Begins nothing more; a pause before another call ends. `settled` tells when what is in flight has ended. */
  stop(): void {
    this.#stopping.abort();
  }

  async settled(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running.values());
  }

  #launch(job: Job, work: () => Promise<void>): boolean {
    const { trackingId } = job.about;
    if (this.room === 0 || this.#running.has(trackingId)) return false;
    const run = work()
      .catch((error: unknown) => {
        const level = isUnavailable(error) ? 'warn' : 'error';
        this.#parts.log[level]({ err: error, delegationId: trackingId }, 'a delegation was left to recovery');
      })
      .finally(() => {
        this.#running.delete(trackingId);
        this.#parts.onRoom();
      });
    this.#running.set(trackingId, run);
    return true;
  }

  async #carryOut(job: Job, { messageId, attempt, limitMs }: Resumed): Promise<void> {
    const { book, clock, newId } = this.#parts;
    const deadline = clock.monotonicMs() + limitMs;
    let called = await this.#call(job, messageId, deadline);
    for (let count = attempt; called && this.#isToBeTriedAgain(called, count, deadline); count++) {
      await sleep(this.#retryMs, this.#stopping.signal);
      if (this.#stopping.signal.aborted) return; // N3
      const next = newId() as MessageId;
      if (!(await this.#stubbornly(() => book.dispatch(job.about, { messageId: next, attempt: count + 1 })))) return;
      called = await this.#call(job, next, deadline);
    }
    if (called) await this.#conclude(job, called.outcome);
  }

  /** N2. */
  #isToBeTriedAgain({ answer, outcome }: Called, count: number, deadline: number): boolean {
    if (outcome.outcome !== 'failed' || count >= MAX_CALLS || !isUndelivered(answer)) return false;
    return this.#parts.clock.monotonicMs() + this.#retryMs < deadline;
  }

  /** One call; as long as nothing was sent because the platform could not, again. `undefined`: we are stopping. */
  async #call({ about, task, origin }: Job, messageId: MessageId, deadline: number): Promise<Called | undefined> {
    const { calls, clock, log } = this.#parts;
    const body = callBody(about.delegationId, task);
    for (let failures = 1; ; failures++) {
      if (this.#stopping.signal.aborted) return undefined;
      const limitMs = deadline - clock.monotonicMs();
      if (limitMs <= 0) return notSent(TOO_LATE);
      let answer: Answer | undefined;
      try {
        const { workspaceId, targetId } = about;
        const caller = { source: 'workspace', id: workspaceId, name: workspaceId } as const;
        await calls.handle({ caller, target: targetId, body, limitMs, messageId, origin }, (given) => {
          answer = given;
        });
      } catch (error) {
        if (!isUnavailable(error) && answer === undefined) {
          log.error({ err: error, delegationId: about.delegationId }, 'the call of a delegation failed');
          return notSent(FAILED);
        }
      }
      if (answer !== undefined) {
        const outcome = outcomeOf(answer);
        if (outcome.outcome !== 'not-now') return { answer, outcome };
      }
      await sleep(askAgainMs(failures), this.#stopping.signal);
    }
  }

  async #conclude({ about }: Job, outcome: Called['outcome']): Promise<void> {
    const { book } = this.#parts;
    switch (outcome.outcome) {
      case 'known':
        return; // the log knows more than this process: recovery
      case 'queued':
        this.counts.queued++;
        await this.#stubbornly(() => book.queue(about, (outcome.queueId ?? about.trackingId) as MessageId));
        return;
      case 'completed':
      case 'failed':
        this.counts[outcome.outcome]++;
        await this.#stubbornly(() => book.settle(about, outcome));
    }
  }

  /** N3. */
  async #stubbornly<Result>(work: () => Promise<Result>): Promise<Result> {
    for (let failures = 1; ; failures++) {
      try {
        return await work();
      } catch (error) {
        if (!isUnavailable(error) || (failures > 3 && this.#stopping.signal.aborted)) throw error;
        if (failures === 1) this.#parts.log.warn({ err: error }, 'what became of a delegation waits for the database');
        await sleep(askAgainMs(failures), new AbortController().signal);
      }
    }
  }
}

const notSent = (error: string): Called => ({
  answer: { status: 500, body: JSON.stringify({ error }), error },
  outcome: { outcome: 'failed', error },
});
