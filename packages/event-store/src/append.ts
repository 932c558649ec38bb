/** Stores entries: the only place in the system where facts enter the log. */
import type pg from 'pg';
import { violatedConstraint } from './errors.ts';
import type { NewFact } from './gate.ts';
import { APPEND, type AppendAnswer, type AppendRow } from './statements.ts';

/** What one command has to say in one stream. */
export interface NewEntry {
  readonly stream: string;
  readonly expected: number;
  /** At least one. */
  readonly facts: readonly NewFact[];
}

export type Stored =
  | { readonly kind: 'stored'; readonly at: Date }
  /** Somebody else's facts came first. */
  | { readonly kind: 'conflict' }
  /** The stream has this command's facts already; `firstId` is the id of the first of them. */
  | { readonly kind: 'repeated'; readonly firstId: string };

export type Run = <Row extends pg.QueryResultRow>(
  query: pg.QueryConfig,
  values: readonly unknown[],
) => Promise<pg.QueryResult<Row>>;

/**
 * Stores entries of different streams in one statement. Each is stored, refused as out of date, or known already; if another
 * transaction gets in between, the whole statement fails with `isRace` and nothing is stored.
 */
export async function appendEntries(run: Run, entries: readonly NewEntry[]): Promise<Stored[]> {
  const rows = entries.flatMap(({ stream, expected, facts }, entry) =>
    facts.map((fact, index): AppendRow => ({ entry, stream, expected, nth: index + 1, ...fact })),
  );
  const { rows: answers } = await run<AppendAnswer & pg.QueryResultRow>(APPEND, [JSON.stringify(rows)]);
  const { at, refused } = answers[0] as AppendAnswer;
  const outcomes: Stored[] = entries.map(() => ({ kind: 'stored', at }));
  for (const { entry, known } of refused ?? [])
    outcomes[entry] = known === null ? { kind: 'conflict' } : { kind: 'repeated', firstId: known };
  return outcomes;
}

const RACES = new Set(['events_version', 'events_command']);

/** Another transaction appended to the same stream, or stored the same command, while the statement ran. */
export const isRace = (error: unknown): boolean => RACES.has(violatedConstraint(error) ?? '');
