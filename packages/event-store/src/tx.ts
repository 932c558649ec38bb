/** An open transaction over the log and the read models beside it. */
import { randomUUID } from 'node:crypto';
import type { Fact } from '@molecule/contracts';
import type { Kysely } from 'kysely';
import type pg from 'pg';
import type { Logger } from 'pino';
import { appendEntries, isRace, type NewEntry, type Run } from './append.ts';
import { kyselyOn } from './connection.ts';
import { LateLoad, VersionConflict } from './errors.ts';
import { type NewFact, recorded, toStore } from './gate.ts';
import { type Load, readStream, singleLoads } from './read.ts';
import type { Aggregate, AnyAggregate, CommandMeta, Commit, Loaded, Recorded, Tx } from './types.ts';

/** What was appended turned out to have been committed by an earlier attempt, whose answer had been lost. */
export class CommittedBefore extends Error {}

export interface TxOptions<Tables> {
  readonly client: pg.ClientBase;
  readonly log: Logger;
  readonly meet: (aggregate: AnyAggregate<Tables>) => void;
  /** Ids of facts that an earlier attempt of the same work may have committed. */
  readonly unsure?: ReadonlySet<string>;
}

export class OpenTx<Tables> implements Tx<Tables> {
  readonly db: Kysely<Tables>;
  /** The ids of the facts stored so far. */
  readonly stored = new Set<string>();
  readonly streams = new Set<string>();
  readonly #client: pg.ClientBase;
  readonly #options: TxOptions<Tables>;
  readonly #run: Run;
  readonly #load: Load;

  constructor(options: TxOptions<Tables>) {
    const { client } = options;
    this.#options = options;
    this.#client = client;
    this.#run = (query, values) => client.query(query, [...values]);
    this.#load = singleLoads(this.#run);
    this.db = kyselyOn<Tables>(client);
  }

  async load<State, F extends Fact>(aggregate: Aggregate<Tables, State, F>, id: string): Promise<Loaded<State>> {
    this.#options.meet(aggregate);
    const stream = streamOf(aggregate, id);
    const { state, version, late } = await readStream(this.#load, aggregate, stream, null, this.#options.log);
    if (late) throw new LateLoad(stream);
    return { state, version };
  }

  async append<State, F extends Fact>(
    aggregate: Aggregate<Tables, State, F>,
    id: string,
    facts: readonly F[],
    expectedVersion: number,
    meta: CommandMeta,
  ): Promise<Commit<F>> {
    this.#options.meet(aggregate);
    if (facts.length === 0) return { version: expectedVersion, facts: [], repeated: false };
    return this.store(aggregate, {
      stream: streamOf(aggregate, id),
      expected: expectedVersion,
      facts: toStore(aggregate, id, facts, meta, randomUUID),
    });
  }

  query<Row extends pg.QueryResultRow>(text: string, values: readonly unknown[] = []): Promise<pg.QueryResult<Row>> {
    return this.#client.query<Row>(text, [...values]);
  }

  /** Appends, and shows the facts to the inline projections. @throws VersionConflict, CommittedBefore */
  async store<State, F extends Fact>(aggregate: Aggregate<Tables, State, F>, entry: NewEntry): Promise<Commit<F>> {
    const { stream } = entry;
    const [outcome] = await appendEntries(this.#run, [entry]).catch((error: unknown) => {
      throw isRace(error) ? new VersionConflict(stream) : error;
    });
    switch (outcome?.kind) {
      case 'stored': {
        this.streams.add(stream);
        for (const { id } of entry.facts) this.stored.add(id);
        const commit = commitOf<F>(entry, outcome.at);
        for (const fact of commit.facts) for (const { apply } of aggregate.inline) await apply(this.db, fact);
        return commit;
      }
      case 'repeated': {
        if (this.#options.unsure?.has(outcome.firstId)) throw new CommittedBefore();
        const commandId = entry.facts[0]?.meta.commandId ?? '';
        const { command } = await readStream(this.#load, aggregate, stream, commandId, this.#options.log);
        return { version: command.at(-1)?.version ?? 0, facts: command, repeated: true };
      }
      default:
        throw new VersionConflict(stream);
    }
  }
}

export const streamOf = ({ noun }: { readonly noun: string }, id: string): string => `${noun}.${id}`;

/** An entry as it stands in the log once it is stored. */
export function commitOf<F extends Fact>({ stream, expected, facts }: NewEntry, at: Date): Commit<F> {
  return {
    version: expected + facts.length,
    facts: facts.map((fact: NewFact, index) => {
      const { id, type, schema, data, meta } = fact;
      return recorded({ id, stream, version: expected + index + 1, type, schema, data, meta, recorded_at: at }) as Recorded<F>;
    }),
    repeated: false,
  };
}
