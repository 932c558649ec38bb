/** What is around a service under test: the registry's stand-in, gateways' beats, its tables, and what everybody is told. */
import { BeatPublisher, type Bus, followFacts } from '@molecule/bus';
import { type AnyRecordedFact, type BeatMark, type FactType, HeartbeatBody } from '@molecule/contracts';
import { type Log, Scope } from '@molecule/service';
import pg from 'pg';
import { manualClock } from './manual-clock.ts';
import { StandInRegistry, type StandInRegistryOptions } from './stand-in-registry.ts';
import { waitFor } from './wait-for.ts';

export interface SurroundingsOptions {
  readonly bus: Bus;
  readonly log: Log;
  readonly postgresUrl: string;
  /** Where the service under test keeps its tables. */
  readonly schema: string;
  readonly applyFact: StandInRegistryOptions['applyFact'];
}

export class Surroundings {
  readonly registry: StandInRegistry;
  /** The clock of the registry, the gateways, and of services that are given it; it begins now. */
  readonly clock = manualClock(new Date());
  /** What was told to everybody, by anybody, in order. */
  readonly facts: AnyRecordedFact[] = [];
  /** What is opened here is closed with the test, last first. */
  readonly scope = new Scope();
  readonly #beats: BeatPublisher;
  readonly #pool: pg.Pool;

  constructor({ bus, log, postgresUrl, schema, applyFact }: SurroundingsOptions) {
    this.registry = new StandInRegistry({ bus, log, clock: this.clock, applyFact }).serve();
    this.#beats = new BeatPublisher(bus, { gateway: 'gateway-test', clock: this.clock });
    this.#pool = new pg.Pool({ connectionString: postgresUrl, max: 2, options: `-c search_path=${schema}` });
    this.#pool.on('error', () => undefined).on('connect', (client) => client.on('error', () => undefined));
  }

  static async open(options: SurroundingsOptions): Promise<Surroundings> {
    const around = new Surroundings(options);
    const { scope, facts, registry } = around;
    await scope.open(
      () => around.#pool,
      (pool) => pool.end(),
    );
    await scope.open(
      () => registry,
      (open) => open.stop(),
    );
    await scope.open(
      () => around.#beats,
      async (open) => open.close(),
    );
    await scope.open(
      () => followFacts(options.bus, { log: options.log, onFact: (fact) => void facts.push(fact), onGap: () => undefined }),
      (open) => open.stop(),
    );
    return around;
  }

  /** Rows of the service's own tables. */
  async rows<Row extends object>(text: string, values: unknown[] = []): Promise<Row[]> {
    return (await this.#pool.query<Row>(text, values)).rows;
  }

  /** A beat, as a gateway passes it on. Returns the mark of requests that come after it. */
  beat(workspaceId: string, fields: Record<string, unknown> = {}): BeatMark | null {
    this.#beats.publish(HeartbeatBody.parse({ workspace_id: workspaceId, ...fields }));
    return this.#beats.mark();
  }

  /** The facts of a type that were told so far. */
  told<Type extends FactType>(type: Type): Extract<AnyRecordedFact, { type: Type }>[] {
    return this.facts.filter((fact): fact is Extract<AnyRecordedFact, { type: Type }> => fact.type === type);
  }

  /** The same, once there are that many. */
  toldTimes<Type extends FactType>(type: Type, count: number): Promise<Extract<AnyRecordedFact, { type: Type }>[]> {
    const enough = () => {
      const facts = this.told(type);
      return facts.length >= count && facts;
    };
    return waitFor(enough, { what: `${count} of ${type}`, timeoutMs: 10_000 });
  }

  close(): Promise<void> {
    return this.scope.close();
  }
}
