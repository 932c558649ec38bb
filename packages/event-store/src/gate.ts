/**
 * The one gate between facts as code sees them and facts as rows: what goes in is parsed with its schema and made storable, what
 * comes out is brought up to date and parsed again.
 *
 *   G1. What is folded after an append is what a reader of the log will fold: the very JSON that was stored.
 *   G2. What would not fit the bus is refused here, before it is stored: nothing in the log can hold up the relay.
 *   G3. A fact of a type that this process does not know is kept and handed on as it is; it is not folded.
 */
import {
  type Fact,
  type FactContract,
  type FactFamily,
  factContract,
  MAX_FACT_BYTES,
  type RecordedFact,
  Refusal,
} from '@molecule/contracts';
import { UnreadableFact } from './errors.ts';
import type { AnyAggregate, AnyProjection, CommandMeta } from './types.ts';

/** A fact as a row of the log gives it, in JSON. */
export interface FactRow {
  readonly id: string;
  readonly stream: string;
  readonly version: number;
  readonly type: string;
  readonly schema: number;
  readonly data: unknown;
  readonly meta: FactMeta;
  /** Any spelling of a time that `Date` reads. */
  readonly recorded_at: string | Date;
}

export interface FactMeta {
  readonly workspaceId: string;
  readonly commandId: string;
  readonly correlationId?: string;
  readonly causationId?: string;
  readonly traceparent?: string;
}

/** A fact on its way into the log. */
export interface NewFact {
  readonly id: string;
  readonly type: string;
  readonly schema: number;
  readonly data: unknown;
  readonly meta: FactMeta;
}

type Reading = Pick<AnyAggregate<never>, 'family' | 'upcasters' | 'schemaVersion'>;

const contractOf = ({ family }: Pick<Reading, 'family'>, type: string): FactContract | undefined =>
  (family as Readonly<Record<string, FactContract | undefined>>)[type];

export const isKnown = (aggregate: Reading, type: string): boolean => contractOf(aggregate, type) !== undefined;

/**
 * Makes facts ready to be stored (G1).
 * @throws ZodError, TypeError for what the aggregate's family does not allow: a defect of the decision.
 */
export function toStore<F extends Fact>(
  aggregate: Reading & { readonly workspaceOf: (id: string, fact: F) => string },
  id: string,
  facts: readonly F[],
  meta: CommandMeta,
  newId: () => string,
): NewFact[] {
  return facts.map((fact) => {
    const contract = contractOf(aggregate, fact.type);
    if (!contract) throw new TypeError(`${fact.type} is no fact of this aggregate`);
    return {
      id: newId(),
      type: fact.type,
      schema: aggregate.schemaVersion?.[fact.type] ?? 1,
      data: storable(fact.type, contract.schema.parse(fact.data)),
      meta: {
        workspaceId: clean(aggregate.workspaceOf(id, fact)),
        commandId: clean(meta.commandId),
        ...(meta.correlationId !== undefined && { correlationId: clean(meta.correlationId) }),
        ...(meta.causationId !== undefined && { causationId: clean(meta.causationId) }),
        ...(meta.traceparent !== undefined && { traceparent: clean(meta.traceparent) }),
      },
    };
  });
}

/**
 * The data as JSON keeps it, without what PostgreSQL cannot keep in it: NUL and halves of surrogate pairs become U+FFFD.
 * @throws Refusal
 */
function storable<Value>(type: string, data: Value): Value {
  const text = JSON.stringify(data);
  // Escapes are only written for characters that need them, so their absence in the text settles it.
  if (!/\\u(?:0000|d[89a-f])/.test(text)) {
    refuseLarge(type, text);
    return JSON.parse(text) as Value;
  }
  const cleaned = JSON.parse(text, (_key, member: unknown) => {
    if (typeof member === 'string') return clean(member);
    if (member === null || typeof member !== 'object' || Array.isArray(member)) return member;
    return Object.fromEntries(Object.entries(member).map(([key, inner]) => [clean(key), inner]));
  }) as Value;
  refuseLarge(type, JSON.stringify(cleaned));
  return cleaned;
}

/** What does not fit the bus must not get into the log: the relay could never pass it. @throws Refusal */
function refuseLarge(type: string, text: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAX_FACT_BYTES)
    throw new Refusal('too-large', 'request too large', {
      cause: new RangeError(`${type} of ${bytes} bytes, at most ${MAX_FACT_BYTES}`),
    });
}

const clean = (text: string): string => text.toWellFormed().replaceAll('\0', '\uFFFD');

/** Brings a row's data up to date, and parses it. `undefined`: no type that this aggregate knows (G3). @throws UnreadableFact */
export function readFact(
  aggregate: Reading,
  stream: string,
  row: Pick<FactRow, 'version' | 'type' | 'schema' | 'data'>,
): Fact | undefined {
  const contract = contractOf(aggregate, row.type);
  if (!contract) return undefined;
  try {
    const upcast = row.schema < (aggregate.schemaVersion?.[row.type] ?? 1) ? aggregate.upcasters?.[row.type] : undefined;
    return { type: row.type, data: contract.schema.parse(upcast ? upcast(row.data, row.schema) : row.data) };
  } catch (error) {
    throw new UnreadableFact(stream, row.version, row.type, error);
  }
}

/** A row as a recorded fact, its data as given. */
export const recorded = (
  row: FactRow,
  { data, schema }: { readonly data: unknown; readonly schema: number } = row,
): RecordedFact => ({
  id: row.id,
  stream: row.stream,
  version: row.version,
  type: row.type,
  schema,
  data,
  workspaceId: row.meta.workspaceId,
  recordedAt: new Date(row.recorded_at).toISOString(),
  commandId: row.meta.commandId,
  correlationId: row.meta.correlationId ?? null,
  causationId: row.meta.causationId ?? null,
  traceparent: row.meta.traceparent ?? null,
});

/** A row as its readers of today expect it. Unknown types are handed on as they are (G3). @throws UnreadableFact */
export function readRecorded(aggregate: Reading, row: FactRow): RecordedFact {
  const fact = readFact(aggregate, row.stream, row);
  return fact ? recorded(row, { data: fact.data, schema: aggregate.schemaVersion?.[row.type] ?? 1 }) : recorded(row);
}

/** The aggregates of a ledger, by noun: how a row of the log is read when nobody says which aggregate it belongs to. */
export class KnownAggregates<Tables> {
  readonly #byNoun = new Map<string, AnyAggregate<Tables>>();
  /** Whether the aggregates given at the start are all there are. */
  readonly #declared: boolean;

  constructor(aggregates: readonly AnyAggregate<Tables>[] | undefined) {
    this.#declared = aggregates !== undefined;
    for (const aggregate of aggregates ?? []) this.#byNoun.set(aggregate.noun, aggregate);
  }

  /** Notes an aggregate that is being used. */
  meet(aggregate: AnyAggregate<Tables>): void {
    if (this.#byNoun.get(aggregate.noun) !== aggregate) this.#byNoun.set(aggregate.noun, aggregate);
  }

  /**
   * Whether a projection takes the facts of a stream: when the stream's aggregate names it. Where the aggregates are not declared,
   * or none of them names it, it is shown everything: it would be wrong for good if one were missing.
   */
  shows(stream: string, { name }: AnyProjection<Tables>): boolean {
    const names = ({ inline }: AnyAggregate<Tables>) => inline.some((projection) => projection.name === name);
    if (!this.#declared || ![...this.#byNoun.values()].some(names)) return true;
    const aggregate = this.#of(stream);
    return aggregate !== undefined && names(aggregate);
  }

  /** Reads a row with its aggregate, else with the contract of its type. @throws UnreadableFact */
  read(row: FactRow): RecordedFact {
    const aggregate = this.#of(row.stream);
    if (aggregate && isKnown(aggregate, row.type)) return readRecorded(aggregate, row);
    const contract = factContract(row.type);
    return contract ? readRecorded({ family: { [row.type]: contract } as FactFamily }, row) : recorded(row);
  }

  #of(stream: string): AnyAggregate<Tables> | undefined {
    return this.#byNoun.get(stream.slice(0, stream.indexOf('.')));
  }
}
