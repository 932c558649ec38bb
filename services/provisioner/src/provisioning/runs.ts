/**
 * The starts and stops under way.
 *
 *   R1. One operation at a time for each workspace; a stop, and a newer start, give up the start under way and wait for its end.
 *   R2. A start ends in one fact, or in none when it was overtaken: then what it made is taken away again (W1).
 *   R3. When the platform stops, or another replica leads, a start is given up without a fact: whoever leads next takes it over.
 *   R4. Volumes go only after a proven stop (I6).
 */
import { id12, type WorkspaceId } from '@molecule/contracts';
import { isUnavailable } from '@molecule/event-store';
import { backoff, Gate, sleep } from '@molecule/service';
import { containers } from '../container/container.ts';
import { reportFailed, reportStarted, reportStopped } from '../container/decisions.ts';
import type { Parts } from '../parts.ts';
import { provision, type Start } from './pipeline.ts';

export interface StopResult {
  readonly outcome: 'stopped' | 'not-found' | 'failed' | 'no-backend';
  readonly volumeRemoved: boolean;
}

export interface RunsOptions {
  /** Spec 3 §1.10: for a whole start. */
  readonly deadlineMs?: number;
  /** Starts at a time. */
  readonly atOnce: number;
  readonly onEnd?: (outcome: 'started' | 'failed' | 'given-up', seconds: number) => void;
}

const START_LIMIT_MS = 180_000;
const STOP_LIMIT_MS = 30_000;
/** Of what is no fault of the database. */
const TRIES = 5;
const retryMs = backoff({ firstMs: 100, lastMs: 5_000 });

interface Operation {
  /** Resolves when everything asked for so far has ended. */
  done: Promise<unknown>;
  /** Gives up the start under way or waiting. */
  giveUp: AbortController;
}

export class Runs {
  readonly #parts: Parts;
  readonly #options: RunsOptions;
  readonly #gate: Gate;
  readonly #operations = new Map<string, Operation>();
  readonly #closing = new AbortController();

  constructor(parts: Parts, options: RunsOptions) {
    this.#parts = parts;
    this.#options = options;
    this.#gate = new Gate(options.atOnce);
  }

  /** Starts the workload of a run that was taken on. Returns at once. `leading` ends when another replica may take it over. */
  begin(start: Start, leading: AbortSignal): void {
    const giveUp = new AbortController();
    void this.#next(id12(start.workspaceId), giveUp, async () => {
      const ended = AbortSignal.any([this.#closing.signal, leading]);
      await this.#gate.pass(() => this.#start(start, giveUp.signal, ended));
    });
  }

  /** Whether something is under way for it: what the engine shows now may be a moment on the way. */
  isBusy(prefix: string): boolean {
    return this.#operations.has(prefix);
  }

  /** Ends what runs for a workspace. `workspaceId` is `undefined` for a resource whose workspace nobody knows. */
  stop(
    prefix: string,
    workspaceId: WorkspaceId | undefined,
    { removeVolume, commandId }: { removeVolume: boolean; commandId: string },
  ): Promise<StopResult> {
    return this.#next(prefix, new AbortController(), () => this.#stop(prefix, workspaceId, removeVolume, commandId));
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#operations.size > 0) await Promise.all([...this.#operations.values()].map(({ done }) => done));
  }

  /** Gives up what is under way (R3), and resolves when it has ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    await this.idle();
  }

  /** R1. */
  #next<Result>(prefix: string, giveUp: AbortController, work: () => Promise<Result>): Promise<Result> {
    const before = this.#operations.get(prefix);
    before?.giveUp.abort();
    const result = (before?.done ?? Promise.resolve()).then(work);
    const operation: Operation = { giveUp, done: Promise.resolve() };
    operation.done = result
      .catch((error: unknown) => this.#parts.log.error({ err: error, prefix }, 'an operation on a workload failed unexpectedly'))
      .finally(() => {
        if (this.#operations.get(prefix) === operation) this.#operations.delete(prefix);
      });
    this.#operations.set(prefix, operation);
    return result;
  }

  async #start(start: Start, overtaken: AbortSignal, ended: AbortSignal): Promise<void> {
    const { workspaceId, run } = start;
    const { backend, log } = this.#parts;
    const { deadlineMs = START_LIMIT_MS, onEnd = () => {} } = this.#options;
    const startedAt = performance.now();
    const seconds = () => (performance.now() - startedAt) / 1000;
    if (overtaken.aborted || ended.aborted) return onEnd('given-up', 0);
    const signal = AbortSignal.any([overtaken, ended, AbortSignal.timeout(deadlineMs)]);
    const result = await provision(this.#parts, start, signal);

    if (result.kind === 'started') {
      const fact = reportStarted({ workspaceId, run, url: result.url, backend: backend.name });
      const commandId = `started-${workspaceId}-${run}`;
      const counts = await this.#record(
        () => this.#parts.ledger.transact(containers, { id: workspaceId, commandId }, fact),
        ended,
      );
      if (counts !== undefined && counts.facts.length === 0) await this.#takeAway(workspaceId, run);
      return onEnd('started', seconds());
    }
    if (overtaken.aborted || ended.aborted) return onEnd('given-up', seconds()); // R3
    if (result.kind === 'moot') {
      log.info({ workspaceId, run }, 'a start is not wanted any more');
      await this.#stop(id12(workspaceId), workspaceId, false, `moot-${workspaceId}-${run}`);
      return onEnd('given-up', seconds());
    }
    const { failure, cause } = result;
    log.error({ err: cause, workspaceId, run }, 'a workload could not be started');
    const commandId = `failed-${workspaceId}-${run}`;
    const fact = reportFailed({ workspaceId, run, ...failure });
    await this.#record(() => this.#parts.ledger.transact(containers, { id: workspaceId, commandId }, fact), ended);
    onEnd('failed', seconds());
  }

  /** R2: a stop that another replica was asked for came first. A newer start takes the name over by itself. */
  async #takeAway(workspaceId: WorkspaceId, run: number): Promise<void> {
    const { backend, ledger, log } = this.#parts;
    const { state } = await ledger.load(containers, workspaceId);
    if (state.run !== run || state.phase === 'running') return;
    log.warn({ workspaceId, run }, 'a start was overtaken by a stop, and is taken away again');
    const limit = AbortSignal.timeout(STOP_LIMIT_MS);
    const { outcome } = await backend.stop(id12(workspaceId), limit);
    const proven = outcome === 'stopped' || outcome === 'not-found';
    if (proven && state.phase === 'stopped' && state.volumeRemoved) await backend.removeVolume(id12(workspaceId), limit);
  }

  async #stop(
    prefix: string,
    workspaceId: WorkspaceId | undefined,
    removeVolume: boolean,
    commandId: string,
  ): Promise<StopResult> {
    const { backend, ledger, log } = this.#parts;
    const limit = AbortSignal.timeout(STOP_LIMIT_MS);
    const stopped = await backend.stop(prefix, limit);
    if (stopped.outcome === 'failed') {
      log.error({ err: stopped.cause, prefix }, 'a workload could not be stopped');
      return { outcome: 'failed', volumeRemoved: false };
    }
    if (stopped.outcome === 'no-backend') return { outcome: 'no-backend', volumeRemoved: false };
    const volumeRemoved = removeVolume && (await this.#removeVolume(prefix, limit)); // R4
    if (workspaceId !== undefined) {
      const fact = reportStopped({ workspaceId, volumeRemoved });
      await this.#record(() => ledger.transact(containers, { id: workspaceId, commandId }, fact), limit);
    }
    return { outcome: stopped.outcome, volumeRemoved };
  }

  async #removeVolume(prefix: string, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#parts.backend.removeVolume(prefix, signal);
      return true;
    } catch (error) {
      this.#parts.log.error({ err: error, prefix }, 'a volume could not be removed');
      return false;
    }
  }

  /** What happened has happened: it is recorded as soon as the database is there. `undefined`: the time for that is over. */
  async #record<Result>(work: () => Promise<Result>, until: AbortSignal): Promise<Result | undefined> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (!isUnavailable(error) && attempt >= TRIES) throw error;
        this.#parts.log.warn({ err: error, attempt }, 'what became of a workload could not be recorded');
        await sleep(retryMs(attempt), until);
        if (until.aborted) return undefined;
      }
    }
  }
}
