/**
 * The pulse of a runtime: registers, beats, and pushes when a task starts or ends (spec 4 §4).
 *
 *   H1. One request is on its way at a time: the platform hears of changes in the order they happened.
 *   H2. Pushes that pile up behind a slow platform become one, with the state of that moment; the last state is always told.
 *   H3. While wedged, pushes say so too: a push is never taken for a recovery.
 *   H4. After 429 or 503 nothing is sent before `Retry-After` is over.
 *   H5. What was not accepted is told again after 1 s, doubling to the interval, with jitter.
 *   H6. No answer and no exception ends the loop.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Log } from './log.ts';
import type { Platform, PlatformAnswer } from './platform.ts';
import type { TokenFile } from './token-file.ts';
import type { Wedge } from './wedge.ts';

const BEAT_TIMEOUT_MS = 10_000;
const PUSH_TIMEOUT_MS = 5_000;
const FRESH_CLIENT_AFTER_FAILURES = 10;
/** Longer than this nobody can ask us to be silent: the liveness lease is 180 s. */
const LONGEST_RETRY_AFTER_MS = 120_000;

export interface HeartbeatParts {
  readonly workspaceId: string;
  readonly platform: Platform;
  readonly token: TokenFile;
  readonly wedge: Wedge;
  readonly intervalMs: number;
  /** `runtime_metadata` of a full beat; a throw leaves it out. */
  readonly metadata: () => object;
  /** What `POST /registry/register` is sent. */
  readonly registration: () => object;
  readonly log: Log;
  /** In [0, 1). */
  readonly random: () => number;
}

export class Heartbeat {
  readonly #parts: HeartbeatParts;
  readonly #stopping = new AbortController();
  readonly #startedAt = performance.now();
  #stopped: Promise<void> = Promise.resolve();
  /** H1: the request under way. */
  #sending: Promise<unknown> = Promise.resolve();
  #pushWaits = false;
  #activeTasks = 0;
  #currentTask = '';
  #told = { activeTasks: 0, currentTask: '' };
  #requests = 0;
  #errors = 0;
  #lastError = '';
  #failuresInARow = 0;
  #registered = false;
  #registerAttempts = 0;
  /** In rounds of the loop: when the next attempt to register is due. */
  #registerAt = 0;
  #round = 0;
  #silentUntil = 0;
  #wake: () => void = () => {};
  #nudged = false;

  constructor(parts: HeartbeatParts) {
    this.#parts = parts;
  }

  get activeTasks(): number {
    return this.#activeTasks;
  }

  /** Registers and beats at once, then beats until stopped. */
  start(): void {
    this.#stopped = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#stopped;
    await this.#sending;
  }

  /** A full beat now: something changed that the platform should know. */
  nudge(): void {
    this.#nudged = true;
    this.#wake();
  }

  taskStarted(summary: string): void {
    this.#activeTasks += 1;
    this.#requests += 1;
    this.#currentTask = summary;
    this.#push();
  }

  /** `error`: what went wrong in it, if anything. */
  taskEnded(error?: string): void {
    this.#activeTasks = Math.max(0, this.#activeTasks - 1);
    if (this.#activeTasks === 0) this.#currentTask = '';
    if (error !== undefined) {
      this.#errors += 1;
      this.#lastError = error;
    }
    this.#push();
  }

  async #run(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      try {
        if (performance.now() >= this.#silentUntil) await this.#beat();
      } catch (error) {
        this.#parts.log.error({ err: error }, 'beat failed unexpectedly');
      }
      this.#round += 1;
      await this.#sleep(this.#waitMs());
    }
  }

  #waitMs(): number {
    const { intervalMs, random } = this.#parts;
    const silence = this.#silentUntil - performance.now();
    if (silence > 0) return silence * (1 + random() / 5); // H4
    if (this.#failuresInARow > 0) return Math.min(intervalMs, 500 * 2 ** this.#failuresInARow) * (0.5 + random() / 2); // H5
    // The first wait is somewhere in the second half of the interval, so that agents started together do not stay together.
    return intervalMs * (this.#round <= 1 ? 0.5 + random() / 2 : 0.9 + random() / 5);
  }

  async #beat(): Promise<void> {
    if (!this.#registered && this.#round >= this.#registerAt) await this.#exclusively(() => this.#register());
    await this.#exclusively(async () => {
      const { requests, errors } = { requests: this.#requests, errors: this.#errors };
      if (!(await this.#send(this.#fullBeat(), BEAT_TIMEOUT_MS))) return;
      this.#requests -= requests;
      this.#errors -= errors;
      if (this.#errors === 0) this.#lastError = '';
    });
  }

  /** One attempt; the next ones come with the beats after 1, 2, 4 and so on, never more than 10 apart. */
  async #register(): Promise<void> {
    const { platform, token, registration, log } = this.#parts;
    this.#registerAt = this.#round + Math.min(10, 2 ** this.#registerAttempts);
    this.#registerAttempts += 1;
    try {
      const answer = await platform.post('registry/register', registration(), {
        timeoutMs: BEAT_TIMEOUT_MS,
        token: token.read(),
      });
      this.#heedRetryAfter(answer);
      if (answer.status !== 200) {
        log.warn({ status: answer.status }, 'register was not accepted');
        return;
      }
      this.#registered = true;
      const { auth_token: issued } = JSON.parse(answer.text) as { auth_token?: unknown };
      if (typeof issued === 'string' && issued !== '') token.save(issued);
      log.info({}, 'registered');
    } catch (error) {
      log.warn({ reason: (error as Error).message }, 'register failed');
    }
  }

  #fullBeat(): object {
    const { workspaceId, wedge, metadata, log } = this.#parts;
    let declared: { runtime_metadata: object } | undefined;
    try {
      declared = { runtime_metadata: metadata() };
    } catch (error) {
      log.error({ err: error }, 'the adapter cannot say its capabilities');
    }
    return {
      workspace_id: workspaceId,
      error_rate: this.#requests === 0 ? 0 : Math.min(1, this.#errors / this.#requests),
      sample_error: this.#lastError,
      ...this.#task(),
      uptime_seconds: Math.round((performance.now() - this.#startedAt) / 1000),
      ...wedged(wedge),
      ...declared,
    };
  }

  #task(): { active_tasks: number; current_task: string } {
    this.#told = { activeTasks: this.#activeTasks, currentTask: this.#currentTask };
    return { active_tasks: this.#activeTasks, current_task: this.#currentTask };
  }

  #push(): void {
    if (this.#pushWaits || this.#stopping.signal.aborted) return;
    this.#pushWaits = true;
    void this.#exclusively(async () => {
      this.#pushWaits = false; // H2
      const { activeTasks, currentTask } = this.#told;
      if (activeTasks === this.#activeTasks && currentTask === this.#currentTask) return;
      if (performance.now() < this.#silentUntil) return; // H4; the beat after the silence tells it
      const { workspaceId, wedge } = this.#parts;
      const push = { error_rate: 0, sample_error: '', uptime_seconds: 0, ...wedged(wedge) };
      if (!(await this.#send({ workspace_id: workspaceId, ...this.#task(), ...push }, PUSH_TIMEOUT_MS))) this.#beatSoon();
    }).catch(() => {});
  }

  /** H5: the beat that tells what a failed push could not. */
  #beatSoon(): void {
    void delay(this.#waitMs(), undefined, { signal: this.#stopping.signal }).then(
      () => this.nudge(),
      () => {},
    );
  }

  /** `true` when the platform took it. Never throws. */
  async #send(body: object, timeoutMs: number): Promise<boolean> {
    const { platform, token, log } = this.#parts;
    const post = (bearer: string | undefined) => platform.post('registry/heartbeat', body, { timeoutMs, token: bearer });
    try {
      let answer = await post(token.read());
      if (answer.status === 401) answer = await post(token.reread());
      this.#heedRetryAfter(answer);
      if (answer.status >= 300) throw new Error(`the platform answered ${answer.status}`);
      this.#failuresInARow = 0;
      return true;
    } catch (error) {
      this.#failuresInARow += 1;
      const count = this.#failuresInARow;
      if (count <= 3 || count % 10 === 0)
        log.warn({ reason: (error as Error).message, failures: count }, 'beat was not accepted');
      if (count % FRESH_CLIENT_AFTER_FAILURES === 0) platform.renew();
      return false;
    }
  }

  #heedRetryAfter({ status, headers }: PlatformAnswer): void {
    if (status !== 429 && status !== 503) return;
    const seconds = Number(headers['retry-after']);
    if (!(seconds > 0)) return;
    this.#silentUntil = performance.now() + Math.min(seconds * 1000, LONGEST_RETRY_AFTER_MS);
  }

  #exclusively(work: () => Promise<void>): Promise<void> {
    const done = this.#sending.then(work);
    this.#sending = done.catch((error: unknown) => this.#parts.log.error({ err: error }, 'beat failed unexpectedly'));
    return done;
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#nudged) {
      this.#nudged = false;
      return;
    }
    const awake = new AbortController();
    this.#wake = () => awake.abort();
    if (this.#stopping.signal.aborted) return;
    await delay(ms, undefined, { signal: awake.signal }).catch(() => {});
    this.#nudged = false;
  }
}

/** Only `"wedged"` is ever said; a healthy runtime leaves the key out. */
const wedged = (wedge: Wedge): object =>
  wedge.isWedged() ? { runtime_state: 'wedged', sample_error: wedge.reason() ?? '' } : {};
