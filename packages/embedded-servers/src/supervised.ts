/**
 * A server program as our child: started, watched, started again when it dies, and stopped for good.
 *
 *   S1. A leftover of a killed parent is ended before a new one starts; a process that only has its number is left alone.
 *   S2. It is not alone: when this process is killed, a watcher tells the server to stop. (S1 covers a lost watcher.)
 *   S3. A signal to our process group (Ctrl-C) does not reach it: we stop it ourselves, after what uses it.
 *   S4. A death that nobody asked for is logged and mended, 100 ms later, doubling up to 10 s while it keeps dying.
 *   S5. What it writes goes to a file, never to a pipe: a busy parent cannot hold it up.
 */
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { backoff, type Log } from '@molecule/service';
import { endProcess, isAlive, markOf, readMark } from './process-mark.ts';

export interface Program {
  /** For people: `PostgreSQL`, `NATS`. */
  readonly title: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly options: Pick<SpawnOptions, 'uid' | 'gid' | 'cwd' | 'env'>;
  /** Where its mark is kept. */
  readonly pidFile: string;
  /** Where its output goes; begun anew at each start of ours. */
  readonly logFile: string;
  /** Asks it to stop in order. */
  readonly stopSignal: NodeJS.Signals;
  /** Resolves when it answers, and rejects while it does not (yet). Asked again every few milliseconds. */
  readonly answers: () => Promise<unknown>;
  readonly log: Log;
}

/** What whoever uses an embedded server sees of it. */
export interface EmbeddedServer {
  /** With user, password and database, where it has them. */
  readonly url: string;
  /** Of the process that runs now; changes when it had to be started again. */
  readonly pid: number | undefined;
  /** Stops it in order, within 5 s, then by force. */
  stop(): Promise<void>;
}

/** How long a start may take: a database that recovers after a crash reads its log first. */
const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 5_000;
/** One that lived this long is considered well: the next death begins at the shortest pause again. */
const SETTLED_MS = 30_000;

export class Supervised {
  readonly #program: Program;
  readonly #pause = backoff({ firstMs: 100, lastMs: 10_000 });
  readonly #stopping = new AbortController();
  #child: ChildProcess | undefined;
  #mending: Promise<void> = Promise.resolve();
  #deaths = 0;

  private constructor(program: Program) {
    this.#program = program;
  }

  /** Ends a leftover, starts the program, and resolves when it answers. @throws Error with the end of its output. */
  static async start(program: Program): Promise<Supervised> {
    await endLeftover(program);
    rmSync(program.logFile, { force: true });
    const supervised = new Supervised(program);
    try {
      await supervised.#launch();
    } catch (error) {
      await supervised.stop();
      throw error;
    }
    return supervised;
  }

  /** Of the process that runs now; changes when it had to be started again. */
  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Stops it in order, within 5 s, then by force. May be called again. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const mark = this.#child?.pid === undefined ? undefined : markOf(this.#child.pid);
    if (mark) await endProcess(mark, this.#program.stopSignal, STOP_WITHIN_MS);
    await this.#mending;
    rmSync(this.#program.pidFile, { force: true });
  }

  async #launch(): Promise<void> {
    const { title, command, args, options, pidFile, logFile, answers, log } = this.#program;
    const startedAt = performance.now();
    const output = openSync(logFile, 'a', 0o600);
    const child = spawn(command, args, { ...options, stdio: ['ignore', output, output], detached: true }); // S3, S5
    closeSync(output);
    this.#child = child;

    const failed = Promise.withResolvers<never>();
    failed.promise.catch(() => undefined);
    child.once('error', (error) => failed.reject(new Error(`${title} cannot be run: ${error.message}`)));
    const mark = child.pid === undefined ? undefined : markOf(child.pid);
    if (mark) writeFileSync(pidFile, JSON.stringify(mark), { mode: 0o600 });
    const unwatch = child.pid === undefined ? () => undefined : stopWithUs(child.pid, this.#program.stopSignal);

    let ready = false;
    child.once('exit', (code, signal) => {
      unwatch();
      failed.reject(new Error(`${title} ended (${signal ?? `code ${code}`})`));
      if (!ready || this.#stopping.signal.aborted) return;
      log.error({ code, signal, logFile }, 'an embedded server died and is started again'); // S4
      if (performance.now() - startedAt > SETTLED_MS) this.#deaths = 0;
      this.#mending = this.#mend();
    });

    try {
      await Promise.race([failed.promise, answering(answers, failed.promise)]);
    } catch (error) {
      const end = (await readFile(logFile, 'utf8').catch(() => '')).trim().split('\n').slice(-12).join('\n');
      throw new Error(`${(error as Error).message}. The end of ${logFile}:\n${end}`, { cause: error });
    }
    ready = true;
  }

  async #mend(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      await delay(this.#pause(++this.#deaths), undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return;
      try {
        await this.#launch();
        this.#program.log.info({ pid: this.pid }, 'the embedded server answers again');
        return;
      } catch (error) {
        const mark = this.pid === undefined ? undefined : markOf(this.pid);
        if (mark) await endProcess(mark, this.#program.stopSignal, STOP_WITHIN_MS);
        if (!signal.aborted)
          this.#program.log.error({ err: error, deaths: this.#deaths }, 'an embedded server could not be started again');
      }
    }
  }
}

/** S1. */
async function endLeftover({ title, pidFile, stopSignal, log }: Program): Promise<void> {
  const mark = readMark(pidFile);
  if (!mark || !isAlive(mark)) return;
  log.warn({ pid: mark.pid, server: title }, 'a server that an earlier process left behind is stopped first');
  await endProcess(mark, stopSignal, STOP_WITHIN_MS);
}

/** S2: the watcher reads from a pipe that only we hold open; it reads to the end when we are gone, however we went. */
function stopWithUs(pid: number, signal: NodeJS.Signals): () => void {
  const watcher = spawn('/bin/sh', ['-c', `read -r _; kill -${signal.slice(3)} ${pid}`], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
    env: {},
  });
  watcher.once('error', () => undefined); // no shell here: then S1 alone has to do
  watcher.stdin?.once('error', () => undefined);
  return () => void watcher.kill('SIGKILL');
}

async function answering(answers: () => Promise<unknown>, failed: Promise<never>): Promise<void> {
  let over = false;
  failed.catch(() => {
    over = true;
  });
  const deadline = performance.now() + READY_WITHIN_MS;
  for (let wait = 5; !over; wait = Math.min(wait * 1.5, 100)) {
    try {
      await answers();
      return;
    } catch (error) {
      if (performance.now() > deadline) throw new Error(`it did not answer within ${READY_WITHIN_MS / 1000} s`, { cause: error });
      await delay(wait);
    }
  }
}
