/** What the event store gives and asks for: folds, projections, aggregates, commits, and the ledger that keeps them. */
import type { Fact, FactFamily, RebuildReport, RecordedFact } from '@molecule/contracts';
import type { Kysely } from 'kysely';
import type pg from 'pg';

/** How facts add up to a state. `evolve` is total and pure: no clock, no chance, no throwing, no mutation of `state`. */
export interface Fold<State, F extends Fact> {
  readonly initial: State;
  readonly evolve: (state: State, fact: F) => State;
}

/** A union of facts, as recorded. */
export type Recorded<F extends Fact> = F extends Fact ? RecordedFact<F['type'], F['data']> : never;

/** A read model of the owner: which facts change which rows. Everything in its tables can be rebuilt from the owner's log (I3). */
export interface Projection<Tables, F extends Fact = Fact> {
  /** `registry.workspaces.v1` */
  readonly name: string;
  /** The tables it fills, and nothing else does. Queries in `apply` name them unqualified. */
  readonly tables: readonly string[];
  /** Reads and writes only its own tables and the fact: no clock, no chance, no generated ids. */
  readonly apply: (db: Kysely<Tables>, fact: Recorded<F>) => Promise<unknown>;
}

/** Any projection over these tables, whatever facts it takes. */
export type AnyProjection<Tables> = Projection<Tables, never>;

/** One kind of stream: how it is named, folded, shown and brought up to date. */
export interface Aggregate<Tables, State, F extends Fact> {
  /** The stream of an id is `<noun>.<id>`. */
  readonly noun: string;
  /** The schemas that facts are parsed with, when appended and when read. */
  readonly family: FactFamily;
  readonly fold: Fold<State, F>;
  /** Read models that move in the transaction of the append. */
  readonly inline: readonly Projection<Tables, F>[];
  /** The workspace a fact concerns: the last token of its subject. */
  readonly workspaceOf: (id: string, fact: F) => string;
  /** Brings data of an older schema version to today's shape, by fact type: the one gate, before the schema is applied. */
  readonly upcasters?: Readonly<Record<string, (data: unknown, schema: number) => unknown>>;
  /** Which schema version is written, by fact type; 1 where nothing is said. */
  readonly schemaVersion?: Readonly<Record<string, number>>;
  /** Facts between snapshots of a stream; 100 where nothing is said. */
  readonly snapshotEvery?: number;
  /** To be raised when something that `evolve` calls changes its meaning; changes of `evolve` itself are noticed. */
  readonly foldVersion?: number;
}

/** An aggregate, as far as its states go. */
export type Folded<State, F extends Fact> = Omit<Aggregate<never, State, F>, 'inline'>;

/** What the store must know of an aggregate to read its facts back, whatever its state looks like. */
export type AnyAggregate<Tables> = Pick<Aggregate<Tables, unknown, never>, 'noun' | 'family' | 'inline'> &
  Partial<Pick<Aggregate<Tables, unknown, never>, 'upcasters' | 'schemaVersion'>>;

export interface CommandMeta {
  /** A command stores its facts once in a stream: arriving again it is answered from the log. */
  readonly commandId: string;
  readonly correlationId?: string;
  readonly causationId?: string;
  readonly traceparent?: string;
}

export interface Commit<F extends Fact> {
  /** The stream's version after these facts. */
  readonly version: number;
  readonly facts: readonly Recorded<F>[];
  /** The command had been stored before; `facts` and `version` are what it stored then. */
  readonly repeated: boolean;
}

export interface Loaded<State> {
  readonly state: State;
  /** 0: no such stream yet. */
  readonly version: number;
}

/** An open transaction. Kysely queries and raw ones run in it. */
export interface Tx<Tables> {
  readonly db: Kysely<Tables>;
  /** @throws LateLoad once this transaction has written anything (rule E7). */
  load<State, F extends Fact>(aggregate: Aggregate<Tables, State, F>, id: string): Promise<Loaded<State>>;
  /**
   * Appends, and applies the inline projections. A command id that the stream has already: nothing is stored, `repeated` is true.
   * @throws VersionConflict
   */
  append<State, F extends Fact>(
    aggregate: Aggregate<Tables, State, F>,
    id: string,
    facts: readonly F[],
    expectedVersion: number,
    meta: CommandMeta,
  ): Promise<Commit<F>>;
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(
    text: string,
    values?: readonly unknown[],
  ): Promise<pg.QueryResult<Row>>;
}

export type Appended = 'stored' | 'repeated' | 'conflict';

export interface Entry<F extends Fact> extends CommandMeta {
  readonly id: string;
  readonly expectedVersion: number;
  readonly facts: readonly F[];
}

export interface HistoryQuestion {
  /** Facts recorded after it are left out. */
  readonly at: Date;
  /** Only the stream of this id: then nothing else is read. */
  readonly id?: string;
  /** Types of facts that are told whenever they were recorded. */
  readonly always?: readonly string[];
}

/** Where a reader of the log stands; opaque. */
export type LogCursor = string;

export interface LogPage {
  readonly facts: readonly RecordedFact[];
  /** Where to go on, also when there was nothing. */
  readonly cursor: LogCursor;
  /** There are committed facts that may not be read yet, because an older transaction is still open. */
  readonly hidden: boolean;
}

/** A service's log and its read models, in its own PostgreSQL schema. */
export interface Ledger<Tables> {
  readonly service: string;
  readonly schema: string;
  /** For queries. Every statement is prepared, and bound in time. */
  readonly db: Kysely<Tables>;
  readonly pool: pg.Pool;

  /**
   * Loads, decides, appends and projects: all or nothing. `decide` may run several times and must be pure; what it throws is
   * passed on as it is, after it was thrown on a freshly read state. `alongside` runs in the transaction, only when facts are stored.
   * @throws VersionConflict after 4 attempts; whatever `isUnavailable` recognises.
   */
  transact<State, F extends Fact>(
    aggregate: Aggregate<Tables, State, F>,
    command: { readonly id: string } & CommandMeta,
    decide: (state: State, version: number) => readonly F[],
    alongside?: (tx: Tx<Tables>, commit: Commit<F>) => Promise<void>,
  ): Promise<Commit<F>>;

  /** One transaction over several streams: all loads before the first write. `work` may run several times; it acts only through `tx`. */
  transaction<R>(work: (tx: Tx<Tables>) => Promise<R>): Promise<R>;

  /** Many small commits in one statement, each all or none. Only for aggregates without inline projections. Answers in the order asked. */
  appendMany<State, F extends Fact>(aggregate: Aggregate<Tables, State, F>, entries: readonly Entry<F>[]): Promise<Appended[]>;

  /** The state as it is now, read from the database. */
  load<State, F extends Fact>(aggregate: Aggregate<Tables, State, F>, id: string): Promise<Loaded<State>>;
  /** The state as it was: folds the facts recorded at or before `at`. */
  loadAsOf<State, F extends Fact>(aggregate: Aggregate<Tables, State, F>, id: string, at: Date): Promise<Loaded<State>>;
  /**
   * Every fact that the streams of an aggregate held at a time, stream by stream, each in its order, all as of one moment of the
   * database. It reads the whole log once: for questions about the past that are asked now and then, one at a time.
   */
  readHistory<State, F extends Fact>(
    aggregate: Aggregate<Tables, State, F>,
    question: HistoryQuestion,
    onFact: (fact: Recorded<F>) => void,
  ): Promise<void>;
  /** The log in the order of its commits, never stepping over one that becomes visible late (E3). `limit` facts at most. */
  readFacts(options: { readonly after?: LogCursor; readonly limit: number }): Promise<LogPage>;

  /** Facts were committed: wakes the relay. Called by the ledger itself after each commit. */
  nudge(): void;
  /** Returns the way to stop listening. */
  onNudge(listener: () => void): () => void;

  /** Builds the projections anew from the log and compares them with the live tables; unless `check`, mends what differs (I3). */
  rebuild(projections: readonly AnyProjection<Tables>[], options: { readonly check: boolean }): Promise<RebuildReport>;
  healthy(): Promise<{ ok: boolean; detail: string }>;
  /** Waits for what is running, 4 s at most, and lets go of the connections. */
  close(): Promise<void>;
}

/** Adds facts up, from the beginning or from a state. */
export const replay = <State, F extends Fact>(
  { initial, evolve }: Fold<State, F>,
  facts: readonly F[],
  from: State = initial,
): State => facts.reduce(evolve, from);
