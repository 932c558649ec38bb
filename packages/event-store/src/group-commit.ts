/** Writes what many callers want to append at the same time in one statement, and so in one commit (W1–W3). */
import { appendEntries, isRace, type NewEntry, type Run, type Stored } from './append.ts';
import { isBroken, isUnavailable } from './errors.ts';
import { Together } from './together.ts';

/** Statements under way at once. */
const WRITERS = 3;
const MAX_ENTRIES = 128;
/** A race is over when its statement fails: the next look sees who won. */
const RACES = 3;

/** Asking rejects only when it is not known whether the entry was stored, or when it cannot be stored at all. */
export const groupCommit = (run: Run): Together<NewEntry, Stored> =>
  new Together({
    lanes: WRITERS,
    // Two of the same stream cannot both expect its head.
    fits: (batch, { stream }) => batch.length < MAX_ENTRIES && !batch.some((entry) => entry.stream === stream),
    run: (entries) => storeTogether(run, entries),
    concernsAll: (error) => isBroken(error) || isUnavailable(error),
  });

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
