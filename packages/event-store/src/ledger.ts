/**
 * The log of facts in PostgreSQL, one stream an aggregate, and the read models that move with it.
 *
 *   E1. A commit's facts are stored all or none, with the rows that show them.
 *   E2. Every committed fact is published at least once, in the order of its stream; the fact's id makes repeats harmless.
 *   E3. A reader of the log has missed nothing and will miss nothing: it never reads beyond the oldest open transaction.
 *   E4. A command stores its facts once in a stream; arriving again it gets the same facts and version, also when the answer to
 *       the first commit was lost, and when the decision would now be another.
 *   E5. Versions of a stream are 1, 2, 3 … without gaps. Who decided on an older version decides again, at most 4 times in all.
 *   E6. States are remembered only to save reading: what is decided on a remembered state is stored only if its version is still
 *       the head; a decision for nothing, or a refusal, is final only on a state just read. A lost connection forgets them all.
 *   E7. Within a transaction all loads come before the first write. A transaction's id is given at its first write, so that in
 *       each stream the order of (transaction, position) is the order of versions.
 *   E8. A snapshot is a shortcut: missing, damaged or older ones change nothing but time.
 *   E9. Old shapes of facts are brought up to date at one gate when read, and facts of unknown types are kept.
 */
import { randomUUID } from 'node:crypto';
import type { Fact } from '@molecule/contracts';
import type { Kysely } from 'kysely';
import type pg from 'pg';
import type { Logger } from 'pino';
import type { NewEntry, Run, Stored } from './append.ts';
import { inTransaction, kyselyOver, runOn } from './connection.ts';
import { CommitUnknown, isBroken, isConnectionLost, VersionConflict } from './errors.ts';
import { KnownAggregates, toStore } from './gate.ts';
import { groupCommit, storeTogether } from './group-commit.ts';
import { readHistory } from './history.ts';
import { type Follow, followLog } from './log.ts';
import { groupedLoads, type Load, readStream, readStreamAsOf } from './read.ts';
import { rebuild } from './rebuild.ts';
import { retrying } from './retry.ts';
import { SnapshotWriter } from './snapshot-writer.ts';
import { RecentStates, Turns } from './streams.ts';
import type { Together } from './together.ts';
import { CommittedBefore, commitOf, OpenTx, streamOf } from './tx.ts';
import type { Aggregate, Appended, CommandMeta, Commit, Entry, HistoryQuestion, Ledger, Loaded, Recorded, Tx } from './types.ts';
import { type AnyAggregate, type AnyProjection, replay } from './types.ts';

/** Streams whose state is remembered. */
const REMEMBERED = 2_048;
/** How long a command waits for its turn on a stream; a contended stream sorts itself out by E5. */
const TURN_MS = 10_000;
/** How long closing waits for transactions that are open. */
const CLOSE_MS = 4_000;
/** Entries per statement of `appendMany`. */
const MANY = 256;

export interface LedgerOptions<Tables> {
  readonly service: string;
  readonly schema: string;
  readonly log: Logger;
  readonly pool: pg.Pool;
  /** A connection of its own, without time limits. */
  readonly connect: () => Promise<pg.Client>;
  /** All there are, if somebody said so. */
  readonly aggregates?: readonly AnyAggregate<Tables>[];
}

export class PostgresLedger<Tables> implements Ledger<Tables> {
  readonly service: string;
  readonly schema: string;
  readonly pool: pg.Pool;
  readonly db: Kysely<Tables>;
  readonly #options: LedgerOptions<Tables>;
  readonly #log: Logger;
  readonly #known: KnownAggregates<Tables>;
  readonly #run: Run;
  readonly #load: Load;
  readonly #group: Together<NewEntry, Stored>;
  readonly #recent = new RecentStates(REMEMBERED);
  readonly #turns = new Turns({ maxWaitMs: TURN_MS, isHopeless: isBroken });
  readonly #snapshots: SnapshotWriter;
  readonly #listeners = new Set<() => void>();
  readonly #meet = (aggregate: AnyAggregate<Tables>): void => this.#known.meet(aggregate);
  #closing: Promise<void> | undefined;

  constructor(options: LedgerOptions<Tables>) {
    const { service, schema, log, pool } = options;
    this.service = service;
    this.schema = schema;
    this.pool = pool;
    this.db = kyselyOver<Tables>(pool);
    this.#options = options;
    this.#log = log;
    this.#known = new KnownAggregates(options.aggregates);
    this.#run = (query, values) => runOn(pool, query, values);
    this.#load = groupedLoads(this.#run);
    this.#group = groupCommit(this.#run);
    this.#snapshots = new SnapshotWriter(this.#run, log);
  }

  /** E6: whoever lost a connection may have lost more. */
  forgetStates(): void {
    this.#recent.clear();
  }

  transact<State, F extends Fact>(
    aggregate: Aggregate<Tables, State, F>,
    { id, ...meta }: { readonly id: string } & CommandMeta,
    decide: (state: State, version: number) => readonly F[],
    alongside?: (tx: Tx<Tables>, commit: Commit<F>) => Promise<void>,
  ): Promise<Commit<F>> {
    this.#meet(aggregate);
    const stream = streamOf(aggregate, id);
    // E4: first facts of our own attempts, one of which may have been committed without our hearing of it.
    const ours = new Set<string>();

    const commit = async (base: Loaded<State> & { whole: boolean }, decided: readonly F[]): Promise<Commit<F>> => {
      const facts = toStore(aggregate, id, decided, meta, randomUUID);
      // Before anything is stored, so that a fold that cannot take its own facts leaves no trace of them.
      const state = replay(aggregate.fold, facts as readonly unknown[] as readonly F[], base.state);
      const entry: NewEntry = { stream, expected: base.version, facts };
      ours.add(facts[0]?.id ?? '');
      this.#recent.forget(stream);
      const committed =
        aggregate.inline.length === 0 && !alongside
          ? await this.#storeAlone<F>(entry)
          : await this.#inTransaction((client) => this.#storeBeside(client, aggregate, entry, alongside));
      // Known already: the loop reads what it stored.
      if (committed === undefined) throw new VersionConflict(stream);
      if (base.whole) {
        this.#recent.set(aggregate, stream, { state, version: committed.version });
        this.#snapshots.passed(aggregate, stream, base.version, committed.version, state);
      }
      this.nudge();
      return committed;
    };

    const attempt = async (count: number): Promise<Commit<F>> => {
      const remembered = count === 1 ? this.#recent.get<State>(aggregate, stream) : undefined;
      if (remembered) {
        const facts = ifWilling(() => decide(remembered.state, remembered.version));
        if (facts.length > 0) return commit({ ...remembered, whole: true }, facts);
      }
      const read = await readStream(this.#load, aggregate, stream, meta.commandId, this.#log);
      const [first] = read.command;
      if (first) return { version: read.command.at(-1)?.version ?? 0, facts: read.command, repeated: !ours.has(first.id) };
      this.#snapshots.missed(aggregate, stream, read);
      const facts = decide(read.state, read.version);
      if (facts.length > 0) return commit(read, facts);
      if (read.whole) this.#recent.set(aggregate, stream, read);
      return { version: read.version, facts: [], repeated: false };
    };

    return this.#turns.take(stream, () => retrying(attempt));
  }

  /** One statement is one transaction, shared with whoever appends at the same time. `undefined`: known already. */
  async #storeAlone<F extends Fact>(entry: NewEntry): Promise<Commit<F> | undefined> {
    const outcome = await this.#group.ask(entry);
    if (outcome.kind === 'conflict') throw new VersionConflict(entry.stream);
    return outcome.kind === 'stored' ? commitOf<F>(entry, outcome.at) : undefined;
  }

  async #storeBeside<State, F extends Fact>(
    tx: OpenTx<Tables>,
    aggregate: Aggregate<Tables, State, F>,
    entry: NewEntry,
    alongside: ((tx: Tx<Tables>, commit: Commit<F>) => Promise<void>) | undefined,
  ): Promise<Commit<F> | undefined> {
    const commit = await tx.store(aggregate, entry);
    if (commit.repeated) return undefined;
    await alongside?.(tx, commit);
    return commit;
  }

  async transaction<R>(work: (tx: Tx<Tables>) => Promise<R>): Promise<R> {
    // E4: what the attempt before answered, if its commit may have happened without our hearing of it.
    let unsure: { readonly result: R; readonly stored: ReadonlySet<string> } | undefined;
    return retrying(async () => {
      if (unsure && (await this.#isStored(unsure.stored))) return unsure.result;
      let open: OpenTx<Tables> | undefined;
      let ended: { readonly result: R } | undefined;
      try {
        const result = await this.#inTransaction(async (tx) => {
          open = tx;
          ended = { result: await work(tx) };
          return ended.result;
        }, unsure?.stored);
        for (const stream of open?.streams ?? []) this.#recent.forget(stream);
        if (open && open.stored.size > 0) this.nudge();
        return result;
      } catch (error) {
        for (const stream of open?.streams ?? []) this.#recent.forget(stream);
        if (error instanceof CommittedBefore && unsure) return unsure.result;
        if (!ended || !open || !isConnectionLost(error)) throw error;
        // Nothing to find out by: the caller is told that the answer is unknown, and nothing is done twice.
        if (open.stored.size === 0) throw new CommitUnknown(error);
        unsure = { result: ended.result, stored: open.stored };
        throw error;
      }
    });
  }

  async #isStored(ids: ReadonlySet<string>): Promise<boolean> {
    const { rows } = await this.#run({ name: 'molecule-is-stored', text: 'select from events where id = $1' }, [[...ids][0]]);
    return rows.length > 0;
  }

  #inTransaction<R>(work: (tx: OpenTx<Tables>) => Promise<R>, unsure?: ReadonlySet<string>): Promise<R> {
    const options = { log: this.#log, meet: this.#meet, ...(unsure && { unsure }) };
    return inTransaction(this.pool, (client) => work(new OpenTx<Tables>({ client, ...options })));
  }

  async appendMany<State, F extends Fact>(
    aggregate: Aggregate<Tables, State, F>,
    entries: readonly Entry<F>[],
  ): Promise<Appended[]> {
    if (aggregate.inline.length > 0) throw new TypeError(`${aggregate.noun} has read models of its own; use transact`);
    this.#meet(aggregate);
    const answers: Appended[] = new Array(entries.length);
    const all = entries.map(({ id, expectedVersion, facts, ...meta }, index) => ({
      index,
      entry: {
        stream: streamOf(aggregate, id),
        expected: expectedVersion,
        facts: toStore(aggregate, id, facts, meta, randomUUID),
      },
    }));
    for (const batch of rounds(all)) {
      const ours = new Set(batch.map(({ entry }) => entry.facts[0]?.id ?? ''));
      const outcomes = await retrying(() =>
        storeTogether(
          this.#run,
          batch.map(({ entry }) => entry),
        ),
      );
      batch.forEach(({ index, entry }, at) => {
        this.#recent.forget(entry.stream);
        answers[index] = appended(outcomes[at] as Stored, ours);
      });
    }
    this.nudge();
    return answers;
  }

  async load<State, F extends Fact>(aggregate: Aggregate<Tables, State, F>, id: string): Promise<Loaded<State>> {
    this.#meet(aggregate);
    const stream = streamOf(aggregate, id);
    const read = await readStream(this.#load, aggregate, stream, null, this.#log);
    this.#snapshots.missed(aggregate, stream, read);
    return { state: read.state, version: read.version };
  }

  loadAsOf<State, F extends Fact>(aggregate: Aggregate<Tables, State, F>, id: string, at: Date): Promise<Loaded<State>> {
    this.#meet(aggregate);
    return readStreamAsOf(this.#run, aggregate, streamOf(aggregate, id), at);
  }

  readHistory<State, F extends Fact>(
    aggregate: Aggregate<Tables, State, F>,
    question: HistoryQuestion,
    onFact: (fact: Recorded<F>) => void,
  ): Promise<void> {
    this.#meet(aggregate);
    return readHistory(this.pool, aggregate, question, onFact);
  }

  readFacts(from: Follow) {
    return followLog(this.#run, this.#known, this.#log, from);
  }

  nudge(): void {
    for (const listener of this.#listeners) listener();
  }

  onNudge(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  rebuild(projections: readonly AnyProjection<Tables>[], { check }: { readonly check: boolean }) {
    const { service, schema, connect, log } = this.#options;
    return rebuild({ service, schema, connect, log, known: this.#known, projections, check });
  }

  async healthy(): Promise<{ ok: boolean; detail: string }> {
    try {
      await this.#run({ text: 'select 1' }, []);
      return { ok: true, detail: `schema ${this.schema}` };
    } catch (error) {
      return { ok: false, detail: error instanceof Error ? error.message : 'no answer' };
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    const { promise: tooLong, resolve } = Promise.withResolvers<'too long'>();
    const timer = setTimeout(resolve, CLOSE_MS, 'too long');
    const closed = this.#snapshots.idle().then(() => this.pool.end());
    if ((await Promise.race([closed, tooLong])) === 'too long')
      this.#log.warn('a transaction is still open; it is left to itself');
    clearTimeout(timer);
  }
}

/** What a decision on a remembered state yields; that it refuses means nothing yet (E6). */
function ifWilling<F>(decide: () => readonly F[]): readonly F[] {
  try {
    return decide();
  } catch {
    return [];
  }
}

const appended = (stored: Stored, ours: ReadonlySet<string>): Appended =>
  stored.kind === 'repeated' && ours.has(stored.firstId) ? 'stored' : stored.kind;

/** Splits entries so that none of a round depends on another of it: the same stream twice means two rounds, in order. */
function rounds<E extends { readonly entry: NewEntry }>(entries: readonly E[]): E[][] {
  const result: E[][] = [];
  const last = new Map<string, number>();
  for (const entry of entries) {
    const { stream } = entry.entry;
    let round = (last.get(stream) ?? -1) + 1;
    while ((result[round]?.length ?? 0) >= MANY) round++;
    if (round === result.length) result.push([]);
    result[round]?.push(entry);
    last.set(stream, round);
  }
  return result;
}
