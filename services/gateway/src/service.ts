/** The gateway, opened from the bottom up: what comes later may use what came before, and is closed before it. */
import {
  ask,
  BeatPublisher,
  type Bus,
  ensureStreams,
  exposeBusCounts,
  followLive,
  listParked,
  openBus,
  RequestServer,
  redriveParked,
} from '@molecule/bus';
import { ask as asks, type ServiceHealth, type ServiceName } from '@molecule/contracts';
import { Directory } from '@molecule/directory';
import {
  adminRefusal,
  createListener,
  httpService,
  type Listener,
  listen,
  type RunningService,
  sendError,
  Upstream,
} from '@molecule/http';
import { type Basics, evaluateHealth, modeOf, type Scope, sleep, startOpsServer } from '@molecule/service';
import type { Config } from './config.ts';
import { Cors } from './cors.ts';
import { createEdge, type Forward } from './edge.ts';
import { EdgeDirectory } from './edge-directory.ts';
import { HEARTBEAT_PATH, heartbeatBridge, heartbeatDoc } from './heartbeat.ts';
import { EdgeMetrics } from './metrics.ts';
import { Principals } from './principal.ts';
import { readReference } from './reference/documents.ts';
import { gatewayRoutes } from './routes.ts';
import { isSocketRequest, SocketDoor } from './ws/door.ts';
import { EventStreams } from './ws/event-stream.ts';
import { Fanout } from './ws/fanout.ts';
import { LiveGate } from './ws/live-gate.ts';
import { judgeConnections, showFact, Teller } from './ws/stream.ts';

/** The services that run in this process: their requests are handed over, not sent. */
export type LocalListeners = Partial<Record<ServiceName, Listener>>;

/** How long a start waits for the registry before it opens the doors without it. */
const DIRECTORY_MS = 2_000;
const DIRECTORY_PULSE_MS = 2_000;
/** Longer than a service gives its own checks (2 s): what is wrong is said by the one that knows. */
const HEALTH_MS = 3_000;
/** The longest that a request over the bus may take. */
const REBUILD_MS = 60_000;
/** How long requests in flight may take when the gateway closes. */
const DRAIN_MS = 5_000;

export async function createGateway(
  config: Config,
  basics: Basics,
  scope: Scope,
  { local = {} }: { readonly local?: LocalListeners } = {},
): Promise<RunningService> {
  const { log, clock, loops, metrics, instance, newId } = basics;
  const mode = modeOf(config.MOLECULE_ENV);
  if (mode === 'development') log.warn('development mode: whoever reaches this machine may do everything');

  const bus = await scope.open(
    () => openBus({ servers: config.NATS_URL, name: instance, log, signal: scope.signal }),
    (open) => open.close(),
  );
  await ensureStreams(bus);
  exposeBusCounts(bus, metrics);
  const edgeMetrics = new EdgeMetrics();
  edgeMetrics.registerIn(metrics);

  const directory = new EdgeDirectory();
  const principals = new Principals({
    tokens: directory,
    adminToken: config.ADMIN_TOKEN,
    development: mode === 'development',
  });
  const nowMs = () => clock.monotonicMs();
  const fanout = new Fanout({
    canCommunicate: (caller, target) => directory.canCommunicate(caller, target),
    nowMs,
    onDrop: (wire) => void edgeMetrics.dropped[wire]++,
  });
  const teller = new Teller(fanout);
  const gate = await scope.open(
    () => new LiveGate({ versionOf: (id) => directory.versionOf(id), pass: (event) => teller.live(event), nowMs }),
    (open) => open.stop(),
  );
  edgeMetrics.liveHeld = () => gate.held;
  directory.onFact(showFact({ teller, gate, fanout, rights: directory }));
  directory.onReread(() => {
    teller.beginsBehind(directory.place);
    judgeConnections(fanout, directory);
  });
  await scope.open(
    () => followLive(bus, { log, wanted: () => fanout.isHeard, onEvent: (event) => gate.hear(event) }),
    (open) => open.stop(),
  );
  await scope.open(
    () => loops.supervise('directory', DIRECTORY_PULSE_MS, keepDirectory(bus, directory, basics)),
    () => loops.stop(),
  );

  const beats = await scope.open(
    () => new BeatPublisher(bus, { gateway: instance, clock }),
    (open) => open.close(),
  );
  const bridge = heartbeatBridge({
    directory,
    bus,
    beats,
    metrics: edgeMetrics,
    everyoneNeedsToken: mode === 'production',
    fail: (response, error) => sendError(response, error, log),
  });

  const checks = { bus: () => bus.healthy(), directory: () => directory.healthy() };
  const health = async (): Promise<ServiceHealth> => ({
    service: 'gateway',
    instance,
    ...(await evaluateHealth({ checks, loops, timeoutMs: HEALTH_MS })),
  });
  const app = gatewayRoutes({
    log,
    clock,
    metrics,
    healthOf: (service) => (service === 'gateway' ? health() : ask(bus, asks.health[service], {}, { timeoutMs: HEALTH_MS })),
    rebuild: (service, check) => ask(bus, asks.rebuild[service], { check }, { timeoutMs: REBUILD_MS }),
    parked: () => listParked(bus, { limit: 100 }),
    redrive: (sequence) => redriveParked(bus, { sequence }),
    reference: readReference(config.REFERENCE_DIR, log),
    production: mode === 'production',
  });
  const streams = new EventStreams({ fanout, resolve: (id) => directory.resolve(id), log });
  edgeMetrics.eventStreams = () => streams.size;
  const http = httpService(app, [
    {
      method: 'POST',
      pattern: /^\/registry\/heartbeat$/,
      path: HEARTBEAT_PATH,
      authClass: 'registryToken',
      doc: heartbeatDoc,
      handle: bridge.listener,
    },
    streams.route,
  ]);
  const own = createListener(http, { log, internalKey: config.MOLECULE_INTERNAL_KEY });

  const cors = new Cors(config.CORS_ORIGINS);
  const listener = createEdge({
    cors,
    principals,
    metrics: edgeMetrics,
    heartbeat: bridge.listener,
    forward: await openForwards(config, { ...local, gateway: own }, basics, scope),
    mark: () => {
      bridge.flush();
      return beats.mark();
    },
    newId,
    log,
  });

  const requests = await scope.open(
    () => new RequestServer(bus, 'gateway', log),
    (open) => open.drain(),
  );
  requests.serve(asks.health.gateway, health);
  const settled = new AbortController();
  await Promise.race([directory.opened, sleep(DIRECTORY_MS, AbortSignal.any([scope.signal, settled.signal]))]);
  settled.abort();

  const door = new SocketDoor({
    cors,
    principals,
    directory,
    fanout,
    canvasRefusal: (principal) => (mode === 'production' ? adminRefusal(principal) : null),
    everyoneNeedsToken: mode === 'production',
    log,
  });
  edgeMetrics.sockets = () => door.size;
  const listening = await scope.open(
    () => listen(listener, { port: config.PORT, host: config.HOST, log }),
    (open) => open.close(DRAIN_MS),
  );
  await scope.open(
    () => {
      // What is no WebSocket is an ordinary request, whatever it would like to be upgraded to.
      Object.assign(listening.server, { shouldUpgradeCallback: isSocketRequest });
      return listening.server.on('upgrade', door.upgrade);
    },
    () => {
      streams.close();
      return door.close();
    },
  );
  await scope.open(
    () => startOpsServer({ port: config.OPS_PORT, host: config.HOST, checks, loops, metrics, log }),
    (open) => open.close(),
  );
  log.info({ url: listening.url, mode, closed: config.ADMIN_TOKEN !== undefined }, 'ready');
  return { name: 'gateway', http, listener, port: listening.port, health };
}

/** Follows the registry for as long as the gateway lives. */
const keepDirectory =
  (bus: Bus, edge: EdgeDirectory, { instance, log, clock }: Basics) =>
  async (signal: AbortSignal, tick: () => void): Promise<void> => {
    const directory = await Directory.open(bus, { service: 'gateway', instance, log, clock, signal, tick });
    edge.attach(directory);
    tick();
    await new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    edge.detach();
    await directory.stop();
  };

/** For each service the way to it: a call in this process, or a hop to where the configuration says it is. */
async function openForwards(
  config: Config,
  local: LocalListeners,
  { log }: Basics,
  scope: Scope,
): Promise<Readonly<Record<ServiceName, Forward>>> {
  const internalKey = config.MOLECULE_INTERNAL_KEY;
  const open = async (service: ServiceName, urls: readonly string[]): Promise<Forward> => {
    const listener = local[service];
    if (listener !== undefined) return (request, response) => listener(request, response);
    const upstream = await scope.open(
      () => new Upstream(urls, { internalKey, log }),
      (opened) => opened.close(),
    );
    return (request, response, context) => void upstream.forward(request, response, context);
  };
  return {
    gateway: await open('gateway', []),
    registry: await open('registry', config.REGISTRY_URL),
    'a2a-proxy': await open('a2a-proxy', config.A2A_PROXY_URL),
    scheduler: await open('scheduler', config.SCHEDULER_URL),
    provisioner: await open('provisioner', config.PROVISIONER_URL),
    sweeper: await open('sweeper', config.SWEEPER_URL),
  };
}
