/** Writes snapshots beside the work (N1, N2). */
import type { Fact } from '@molecule/contracts';
import type { Logger } from 'pino';
import type { Run } from './append.ts';
import type { Read } from './read.ts';
import { foldOf, takeSnapshot } from './snapshots.ts';
import { SAVE_SNAPSHOT } from './statements.ts';
import type { Folded } from './types.ts';

/** Facts between two snapshots, where the aggregate says nothing else. */
const EVERY = 100;

/** Nobody waits for a snapshot, and one that fails is only logged. */
export class SnapshotWriter {
  readonly #run: Run;
  readonly #log: Logger;
  readonly #writing = new Set<Promise<void>>();
  readonly #refused = new WeakSet<object>();

  constructor(run: Run, log: Logger) {
    this.#run = run;
    this.#log = log;
  }

  /** A commit took a stream from one version to another. */
  passed<State, F extends Fact>(aggregate: Folded<State, F>, stream: string, from: number, to: number, state: State): void {
    const every = aggregate.snapshotEvery ?? EVERY;
    if (Math.floor(from / every) < Math.floor(to / every)) this.#write(aggregate, stream, to, state, false);
  }

  /** A stream was read, and there was more to fold than there should be. */
  missed<State, F extends Fact>(aggregate: Folded<State, F>, stream: string, read: Read<State, F>): void {
    if (!read.whole || read.folded < (aggregate.snapshotEvery ?? EVERY)) return;
    this.#write(aggregate, stream, read.version, read.state, read.damagedSnapshot);
  }

  /** Resolves when nothing is being written. */
  async idle(): Promise<void> {
    await Promise.all(this.#writing);
  }

  #write<State, F extends Fact>(
    aggregate: Folded<State, F>,
    stream: string,
    version: number,
    state: State,
    damaged: boolean,
  ): void {
    if (this.#refused.has(aggregate)) return;
    const fold = foldOf(aggregate);
    const snapshot = takeSnapshot(stream, version, fold, state);
    if (!snapshot) {
      this.#refused.add(aggregate);
      this.#log.warn({ noun: aggregate.noun }, 'states of this aggregate do not survive JSON, so it has no snapshots');
      return;
    }
    const writing = this.#run(SAVE_SNAPSHOT, [stream, version, fold, snapshot.state, snapshot.checksum, damaged])
      .then(() => {})
      .catch((error: unknown) => this.#log.warn({ err: error, stream }, 'a snapshot could not be written'))
      .finally(() => this.#writing.delete(writing));
    this.#writing.add(writing);
  }
}
