/** Reads streams: the state that a stream's facts add up to, and what a command stored in it. */
import type { Fact } from '@molecule/contracts';
import type { Logger } from 'pino';
import type { Run } from './append.ts';
import { type FactRow, readFact, readRecorded } from './gate.ts';
import { foldOf, openSnapshot } from './snapshots.ts';
import { LOAD, LOAD_AS_OF, type LoadAnswer, type LoadQuestion } from './statements.ts';
import { Together } from './together.ts';
import type { Aggregate, Loaded, Recorded } from './types.ts';

/** Statements under way at once. */
const READERS = 3;
const MAX_STREAMS = 128;

export interface Read<State, F extends Fact> extends Loaded<State> {
  /** What the command had stored; nothing, if it had not. */
  readonly command: readonly Recorded<F>[];
  /** The transaction that read this had written before. */
  readonly late: boolean;
  /** Every fact was of a type that this process knows: the state may be kept. */
  readonly whole: boolean;
  /** How many facts were folded, beyond a snapshot. */
  readonly folded: number;
  readonly damagedSnapshot: boolean;
}

/** Answers one question about one stream. */
export type Load = (question: LoadQuestion) => Promise<LoadAnswer>;

/** Questions that come at the same time are answered by one statement (W1–W3). */
export function groupedLoads(run: Run): Load {
  const together = new Together<LoadQuestion, LoadAnswer>({
    lanes: READERS,
    fits: (batch) => batch.length < MAX_STREAMS,
    run: (questions) => loadTogether(run, questions),
    concernsAll: () => true,
  });
  return (question) => together.ask(question);
}

/** For a connection of one's own. */
export const singleLoads =
  (run: Run): Load =>
  async (question) =>
    (await loadTogether(run, [question]))[0] as LoadAnswer;

async function loadTogether(run: Run, questions: readonly LoadQuestion[]): Promise<LoadAnswer[]> {
  const numbered = questions.map((question, n) => ({ n, ...question }));
  const { rows } = await run<LoadAnswer & Record<string, unknown>>(LOAD, [JSON.stringify(numbered)]);
  return rows.toSorted((a, b) => a.n - b.n);
}

/** One statement, but for a damaged snapshot. @throws UnreadableFact */
export async function readStream<Tables, State, F extends Fact>(
  load: Load,
  aggregate: Aggregate<Tables, State, F>,
  stream: string,
  commandId: string | null,
  log: Logger,
): Promise<Read<State, F>> {
  const fold = foldOf(aggregate);
  const ask = (snapshots: boolean) => load({ stream, fold: snapshots ? fold : '', command: commandId });

  let answer = await ask(true);
  let from = answer.snapshot ? openSnapshot(stream, fold, answer.snapshot) : undefined;
  const damagedSnapshot = answer.snapshot !== null && from === undefined;
  if (damagedSnapshot) {
    log.warn({ stream }, 'a damaged snapshot was ignored');
    answer = await ask(false);
    from = undefined;
  }
  const start: Loaded<State> = from
    ? { state: from.state as State, version: answer.snapshot?.version ?? 0 }
    : { state: aggregate.fold.initial, version: 0 };
  return {
    ...foldRows(aggregate, stream, answer.facts ?? [], start),
    command: (answer.command ?? []).map((row) => readRecorded(aggregate, row) as Recorded<F>),
    late: answer.late,
    damagedSnapshot,
  };
}

/** The state after the facts recorded at or before `at`. */
export async function readStreamAsOf<Tables, State, F extends Fact>(
  run: Run,
  aggregate: Aggregate<Tables, State, F>,
  stream: string,
  at: Date,
): Promise<Loaded<State>> {
  const { rows } = await run<FactRow & Record<string, unknown>>(LOAD_AS_OF, [stream, at]);
  const { state, version } = foldRows(aggregate, stream, rows, { state: aggregate.fold.initial, version: 0 });
  return { state, version };
}

function foldRows<Tables, State, F extends Fact>(
  aggregate: Aggregate<Tables, State, F>,
  stream: string,
  rows: readonly Pick<FactRow, 'version' | 'type' | 'schema' | 'data'>[],
  start: Loaded<State>,
): Loaded<State> & { whole: boolean; folded: number } {
  let { state, version } = start;
  let whole = true;
  for (const row of rows) {
    if (row.version !== version + 1) throw new Error(`${stream} has a gap after version ${version}`);
    version = row.version;
    const fact = readFact(aggregate, stream, row);
    if (fact) state = aggregate.fold.evolve(state, fact as F);
    else whole = false;
  }
  return { state, version, whole, folded: rows.length };
}
