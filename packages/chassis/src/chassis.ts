/**
 * What every service that owns facts is built on: its bus, its log, its relay, its requests and its doors, opened from the bottom
 * up and closed in reverse. A service adds its own parts between `openChassis` and `serve`.
 *
 *   C1. Closing takes nothing new first, then ends what runs, then lets go of connections.
 *   C2. A service answers over HTTP, and calls itself ready, only when everything it stands on is there.
 */
import {
  type Bus,
  type ConsumerLag,
  consumeFacts,
  consumerLag,
  type DeliveredFact,
  ensureStreams,
  exposeBusCounts,
  factsMark,
  openBus,
  publishFacts,
  RequestServer,
} from '@molecule/bus';
import { ask, type FactType, type LedgerService, SCHEMAS, type ServiceHealth, subjects } from '@molecule/contracts';
import { type AnyAggregate, isUnavailable, type Ledger, openLedger, startRelay, whileLeading } from '@molecule/event-store';
import { createListener, type HttpService, listen, type RunningService } from '@molecule/http';
import { type Basics, evaluateHealth, exposeGauge, type HealthCheck, type Scope, startOpsServer } from '@molecule/service';

/** The settings that every such service has, under the same names. */
export interface ChassisConfig {
  readonly NATS_URL: string;
  readonly DATABASE_URL: string;
  readonly MOLECULE_INTERNAL_KEY: string;
  readonly HOST: string;
  readonly PORT: number;
  readonly OPS_PORT: number;
}

export interface ChassisOptions<Tables> {
  readonly service: LedgerService;
  /** The directory of the service's own migrations. */
  readonly migrations: string;
  /** Everything it keeps streams of: they tell how old facts are read, and their inline projections are what `rebuild` rebuilds. */
  readonly aggregates: readonly AnyAggregate<Tables>[];
}

export interface Chassis<Tables> {
  readonly bus: Bus;
  readonly ledger: Ledger<Tables>;
  readonly requests: RequestServer;
  /** Aborted when the service closes. */
  readonly signal: AbortSignal;
  /** What `/readyz` and `ask.<service>.health` say beside the bus and the database. */
  addCheck(name: string, check: HealthCheck): void;
  /**
   * Hears the facts of others, durably: one replica at a time, in order, at least once. A fact that cannot be stored because the
   * database is away, or takes no writes, is waited for and never parked. Both signals are aborted when the lead is lost.
   */
  hear(
    types: readonly FactType[],
    handle: (facts: readonly DeliveredFact[], leading: AbortSignal) => Promise<void>,
    options?: {
      /** Done each time this replica comes to hear, before the first fact. */
      readonly first?: (leading: AbortSignal) => Promise<void>;
    },
  ): void;
  /** Opens the doors: requests over the bus, HTTP, and the ops port. */
  serve(http: HttpService, options?: { readonly beats?: Parameters<typeof createListener>[1]['beats'] }): Promise<RunningService>;
}

/** How often the consumer of others' facts says that it lives, even when nothing comes. */
const CONSUMER_PULSE_MS = 10_000;
/** How long requests in flight may take when the service closes. */
const DRAIN_MS = 5_000;

export async function openChassis<Tables>(
  { service, migrations, aggregates }: ChassisOptions<Tables>,
  config: ChassisConfig,
  basics: Basics,
  scope: Scope,
): Promise<Chassis<Tables>> {
  const { log, metrics, loops, instance } = basics;
  const stopping = new AbortController();
  const checks: Record<string, HealthCheck> = {};

  const bus = await scope.open(
    () => openBus({ servers: config.NATS_URL, name: instance, log, signal: scope.signal }),
    (open) => open.close(),
  );
  await ensureStreams(bus);
  // A server that lost its disk gets its streams back under running services; until then, what publishes into them waits.
  bus.onReconnect(() => {
    ensureStreams(bus).catch((error: unknown) => log.error({ err: error }, 'the streams could not be made sure of'));
  });
  exposeBusCounts(bus, metrics);
  checks['bus'] = () => bus.healthy();
  const ledger = await scope.open(
    () =>
      openLedger<Tables>({
        databaseUrl: config.DATABASE_URL,
        schema: SCHEMAS[service],
        service,
        log,
        migrations,
        aggregates,
        signal: scope.signal,
      }),
    (open) => open.close(),
  );
  checks['database'] = () => ledger.healthy();

  const stopLoops = async () => {
    stopping.abort();
    await loops.stop();
  };
  // For a start that fails half-way.
  await scope.open(() => stopping, stopLoops);
  const nudge = subjects.relayNudge(service);
  startRelay({
    ledger,
    loops,
    log,
    metrics,
    publish: publishFacts(bus, log, stopping.signal),
    target: { mark: () => factsMark(bus), onReturn: (listener) => bus.onReconnect(listener) },
    remoteNudge: { send: () => bus.nats.publish(nudge), onReceive: (wake) => void bus.nats.subscribe(nudge, { callback: wake }) },
  });
  const requests = await scope.open(
    () => new RequestServer(bus, service, log),
    (open) => open.drain(),
  );

  return {
    bus,
    ledger,
    requests,
    signal: stopping.signal,
    addCheck: (name, check) => {
      checks[name] = check;
    },
    hear: (types, handle, { first } = {}) => {
      exposeConsumerLag(bus, service, metrics);
      loops.supervise('facts', CONSUMER_PULSE_MS, (signal, tick) =>
        whileLeading({
          ledger,
          key: `${service}.facts`,
          log,
          signal,
          tick,
          task: async (leading) => {
            await first?.(leading);
            await consumeFacts(bus, {
              consumer: service,
              log,
              signal: leading,
              types,
              handle: (facts) => handle(facts, leading),
              tick,
              isPassing: isUnavailable,
            });
          },
        }),
      );
    },
    serve: async (http, { beats } = {}) => {
      const health = async (): Promise<ServiceHealth> => ({ service, instance, ...(await evaluateHealth({ checks, loops })) });
      const projections = [...new Set(aggregates.flatMap(({ inline }) => inline))];
      const rebuild = (check: boolean) => ledger.rebuild(projections, { check });
      requests.serve(ask.health[service], health);
      requests.serve(ask.rebuild[service], ({ check }) => rebuild(check));
      // C1: closed after the doors, before what the service itself has opened.
      await scope.open(() => stopping, stopLoops);
      const listener = createListener(http, { log, internalKey: config.MOLECULE_INTERNAL_KEY, ...(beats && { beats }) });
      const door = await scope.open(
        () => listen(listener, { port: config.PORT, host: config.HOST, log }),
        (open) => open.close(DRAIN_MS),
      );
      await scope.open(
        () => startOpsServer({ port: config.OPS_PORT, host: config.HOST, checks, loops, metrics, log }),
        (open) => open.close(),
      );
      log.info({ url: door.url }, 'ready');
      return { name: service, http, listener, port: door.port, health, rebuild };
    },
  };
}

/** I12: how far the service is behind the facts of others. Asked of the server when somebody looks; NaN while it cannot be asked. */
function exposeConsumerLag(bus: Bus, service: LedgerService, metrics: Basics['metrics']): void {
  let asked: Promise<ConsumerLag> | undefined;
  // Both figures are asked for in one look, and answered by one question.
  const lag = () => {
    asked ??= consumerLag(bus, service)
      .catch(() => ({ facts: Number.NaN, seconds: Number.NaN }))
      .finally(() => {
        asked = undefined;
      });
    return asked;
  };
  exposeGauge(metrics, {
    name: 'molecule_consumer_lag_facts',
    help: 'Facts of other services that wait to be heard.',
    read: async () => (await lag()).facts,
  });
  exposeGauge(metrics, {
    name: 'molecule_consumer_lag_seconds',
    help: 'Age of the oldest of them, in seconds.',
    read: async () => (await lag()).seconds,
  });
}
