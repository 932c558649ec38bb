/**
 * Writes what many callers want to append at the same time in one statement, and so in one commit.
 *
 *   W1. Nobody waits for company: an entry is written at once while a writer is free; what comes meanwhile goes together.
 *   W2. An entry's outcome is its own: what is wrong with one entry is never told to another.
 *   W3. An outcome is told after its commit.
 */
import { appendEntries, isRace, type NewEntry, type Run, type Stored } from './append.ts';
import { isBroken, isUnavailable } from './errors.ts';

/** Statements under way at once. */
const WRITERS = 3;
const MAX_ENTRIES = 128;
const MAX_FACTS = 512;
/** A race is over when its statement fails: the next look sees who won. */
const RACES = 3;

interface Waiting {
  readonly entry: NewEntry;
  readonly resolve: (stored: Stored) => void;
  readonly reject: (error: unknown) => void;
}

export class GroupCommit {
  readonly #run: Run;
  #waiting: Waiting[] = [];
  #writers = 0;

  constructor(run: Run) {
    this.#run = run;
  }

  /** Rejects only when it is not known whether the entry was stored, or when it cannot be stored at all. */
  store(entry: NewEntry): Promise<Stored> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ entry, resolve, reject });
      if (this.#writers === WRITERS) return;
      this.#writers++;
      // Whatever else is said in this turn of the event loop goes along.
      queueMicrotask(() => void this.#write());
    });
  }

  async #write(): Promise<void> {
    for (let batch = this.#take(); batch.length > 0; batch = this.#take()) await this.#commit(batch);
    this.#writers--;
  }

  /** The next entries, at most one per stream: two of the same stream cannot both expect its head. */
  #take(): Waiting[] {
    const streams = new Set<string>();
    const batch: Waiting[] = [];
    const later: Waiting[] = [];
    let facts = 0;
    for (const waiting of this.#waiting) {
      const { stream, facts: more } = waiting.entry;
      if (batch.length < MAX_ENTRIES && facts < MAX_FACTS && !streams.has(stream)) {
        streams.add(stream);
        facts += more.length;
        batch.push(waiting);
      } else later.push(waiting);
    }
    this.#waiting = later;
    return batch;
  }

  async #commit(batch: readonly Waiting[]): Promise<void> {
    try {
      const outcomes = await storeTogether(
        this.#run,
        batch.map(({ entry }) => entry),
      );
      for (const [index, { resolve }] of batch.entries()) resolve(outcomes[index] as Stored);
    } catch (error) {
      if (batch.length === 1 || isBroken(error) || isUnavailable(error)) for (const { reject } of batch) reject(error);
      // W2: one of them is not to be stored; the others are.
      else for (const alone of batch) await this.#commit([alone]);
    }
  }
}

/** Stores entries of different streams together; looks again when somebody else was faster, and in the end one by one. */
export async function storeTogether(run: Run, entries: readonly NewEntry[]): Promise<Stored[]> {
  for (let race = 1; race <= RACES; race++) {
    try {
      return await appendEntries(run, entries);
    } catch (error) {
      if (!isRace(error)) throw error;
    }
  }
  if (entries.length === 1) return [{ kind: 'conflict' }];
  const outcomes: Stored[] = [];
  for (const entry of entries) outcomes.push(...(await storeTogether(run, [entry])));
  return outcomes;
}
