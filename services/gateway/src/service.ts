/** The gateway, opened from the bottom up: what comes later may use what came before, and is closed before it. */
import {
  ask,
  BeatPublisher,
  type Bus,
  ensureStreams,
  exposeBusCounts,
  factsExtent,
  followLive,
  listParked,
  openBus,
  RequestServer,
  readFacts,
  redriveParked,
} from '@molecule/bus';
import { ask as asks, type ServiceHealth, type ServiceName } from '@molecule/contracts';
import { Directory, exposeDirectoryLag } from '@molecule/directory';
import {
  adminRefusal,
  createListener,
  httpService,
  type Listener,
  listen,
  ReverseProxy,
  type RunningService,
  sendError,
  Upstream,
} from '@molecule/http';
import { type Basics, evaluateHealth, type Log, modeOf, type Scope, sleep, startOpsServer } from '@molecule/service';
import type { Config } from './config.ts';
import { ControlPlaneProxy } from './control-plane/proxy.ts';
import { ControlPlaneSessions } from './control-plane/sessions.ts';
import { Cors } from './cors.ts';
import { createEdge, type EdgeParts, type Forward } from './edge.ts';
import { EdgeDirectory } from './edge-directory.ts';
import { HEARTBEAT_PATH, heartbeatBridge, heartbeatDoc } from './heartbeat.ts';
import { Lockout } from './limits/lockout.ts';
import { OpenConnections } from './limits/open-connections.ts';
import { rateLimits } from './limits/rate-limit.ts';
import { EdgeMetrics } from './metrics.ts';
import { bearerOf, Principals } from './principal.ts';
import { readReference } from './reference/documents.ts';
import { DENIALS_EVERY_MS, Denials, tellDenials } from './reports/denials.ts';
import { TOKEN_USES_EVERY_MS, TokenUses, tellTokenUses } from './reports/token-uses.ts';
import { gatewayRoutes } from './routes.ts';
import { registerRuntime } from './runtime-metrics.ts';
import { TenantGuard } from './tenant-guard.ts';
import { hasEnded } from './ws/credential.ts';
import { isSocketRequest, SocketDoor } from './ws/door.ts';
import { EventStreams } from './ws/event-stream.ts';
import { Fanout } from './ws/fanout.ts';
import { LiveGate } from './ws/live-gate.ts';
import { Replayer } from './ws/replay.ts';
import { judgeConnections, showFact, Teller } from './ws/stream.ts';

/** The services that run in this process: their requests are handed over, not sent. */
export type LocalListeners = Partial<Record<ServiceName, Listener>>;

/** What runs in this process beside the gateway. */
export interface GatewayOptions {
  readonly local?: LocalListeners;
  /** What it counts: `/metrics` shows it too. */
  readonly beside?: readonly Basics['metrics'][];
}

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
  { local = {}, beside = [] }: GatewayOptions = {},
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

  exposeDirectoryLag(metrics, () => directory.lagSeconds);
  await scope.open(
    () => registerRuntime(metrics),
    (stop) => stop(),
  );

  const production = mode === 'production';
  const nowMs = () => clock.monotonicMs();
  const directory = new EdgeDirectory();
  const cors = new Cors(config.CORS_ORIGINS);
  const controlPlane = await openControlPlane(config, { log, nowMs }, scope);
  const canvas = await openCanvas(config, log, scope);
  const principals = new Principals({
    tokens: directory,
    adminToken: config.ADMIN_TOKEN,
    internalKey: config.MOLECULE_INTERNAL_KEY,
    mode,
    cors,
    canvasProxied: canvas !== null,
    controlPlane: controlPlane.sessions,
  });
  const limits = rateLimits({ perMinute: config.RATE_LIMIT, devOpen: principals.devOpen, nowMs });
  const lockout = production ? new Lockout({ perMinute: config.AUTH_FAILURES_PER_MINUTE, nowMs }) : null;
  const connections = new OpenConnections(config.CONNECTIONS_PER_ADDRESS);
  const tenantGuard =
    config.MOLECULE_ORG_ID === undefined
      ? null
      : new TenantGuard({ orgId: config.MOLECULE_ORG_ID, canvasProxied: canvas !== null });
  const denials = new Denials({ gateway: instance, clock });
  edgeMetrics.denials = () => denials.totals;
  const tokenUses = new TokenUses();
  const fanout = new Fanout({
    canCommunicate: (caller, target) => directory.canCommunicate(caller, target),
    nowMs,
    now: () => clock.now(),
    onDrop: (wire) => void edgeMetrics.dropped[wire]++,
  });
  const teller = new Teller(fanout);
  const gate = await scope.open(
    () => new LiveGate({ versionOf: (id) => directory.versionOf(id), pass: (event) => teller.live(event), nowMs }),
    (open) => open.stop(),
  );
  edgeMetrics.liveHeld = () => gate.held;
  directory.onFact(showFact({ teller, gate, fanout, rights: directory }));
  directory.onGap(() => teller.missed(directory.place));
  directory.onReread(() => {
    teller.beginsBehind(directory.place);
    judgeConnections(fanout, directory);
  });
  const replayer = new Replayer({
    place: () => directory.place,
    extent: () => factsExtent(bus),
    read: (from) => readFacts(bus, from),
    fanout,
    log,
  });
  edgeMetrics.replays = () => replayer.outcomes;
  directory.onAccessEnded(({ id }) =>
    judgeConnections(fanout, directory, (credential) => credential.kind === 'access' && credential.id === id),
  );
  await scope.open(
    () => followLive(bus, { log, wanted: () => fanout.isHeard, onEvent: (event) => gate.hear(event) }),
    (open) => open.stop(),
  );
  loops.every('token-use-reports', TOKEN_USES_EVERY_MS, tellTokenUses(bus, tokenUses, clock));
  loops.every('denial-reports', DENIALS_EVERY_MS, tellDenials(bus, denials));
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
    opened: (tokenId) => tokenUses.opened(tokenId),
    denied: (refused) => denials.add(refused),
    guessed: (peer, request) => {
      const identity = principals.identify(bearerOf(request.headers.authorization));
      return lockout?.judge(peer, { identity, session: null, invalidSession: false, tokensKnown: true }, request) ?? null;
    },
    everyoneNeedsToken: production,
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
    registries: [metrics, ...beside],
    healthOf: (service) => (service === 'gateway' ? health() : ask(bus, asks.health[service], {}, { timeoutMs: HEALTH_MS })),
    rebuild: (service, check) => ask(bus, asks.rebuild[service], { check }, { timeoutMs: REBUILD_MS }),
    parked: () => listParked(bus, { limit: 100 }),
    redrive: (sequence) => redriveParked(bus, { sequence }),
    reference: readReference(config.REFERENCE_DIR, log),
    production,
  });
  const streams = new EventStreams({
    fanout,
    replayer,
    connections,
    resolve: (id) => directory.resolve(id),
    hasEnded: (credential) => hasEnded(credential, directory),
    log,
  });
  edgeMetrics.eventStreams = () => streams.size;
  const http = httpService(app, [
    {
      method: 'POST',
      pattern: /^\/registry\/heartbeat$/,
      path: HEARTBEAT_PATH,
      authClass: 'registryToken',
      doc: heartbeatDoc,
      handle: (request, response, { context: { peer } }) => bridge.beat(request, response, { peer, admission: null }),
    },
    streams.route,
  ]);
  const own = createListener(http, { log, internalKey: config.MOLECULE_INTERNAL_KEY });

  const listener = createEdge({
    cors,
    limits,
    lockout,
    tenantGuard,
    principals,
    metrics: edgeMetrics,
    denials,
    tokenUses,
    heartbeat: bridge.beat,
    forward: await openForwards(config, { ...local, gateway: own }, basics, scope),
    controlPlane: controlPlane.proxy,
    canvas,
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
    limits,
    tenantGuard,
    lockout,
    connections,
    principals,
    metrics: edgeMetrics,
    denials,
    tokenUses,
    directory,
    fanout,
    replayer,
    canvasRefusal: (principal) => (production ? adminRefusal(principal) : null),
    everyoneNeedsToken: production,
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

/** What a control plane does for us, where there is one (spec 1 §4.10). */
async function openControlPlane(
  { CP_UPSTREAM_URL: upstream, MOLECULE_ORG_SLUG: slug }: Config,
  { log, nowMs }: { readonly log: Log; readonly nowMs: () => number },
  scope: Scope,
): Promise<{ readonly sessions: ControlPlaneSessions | null; readonly proxy: ControlPlaneProxy | null }> {
  if (upstream === undefined) return { sessions: null, proxy: null };
  const proxy = await scope.open(
    () => new ControlPlaneProxy(upstream, log),
    (open) => open.close(),
  );
  if (slug === undefined) return { sessions: null, proxy };
  const sessions = await scope.open(
    () => new ControlPlaneSessions({ upstream, slug, nowMs, log }),
    (open) => open.close(),
  );
  return { sessions, proxy };
}

/** Spec 1 §4.11: what nobody here answers is the canvas's; it gets no credentials. */
async function openCanvas({ CANVAS_PROXY_URL: url }: Config, log: Log, scope: Scope): Promise<EdgeParts['canvas']> {
  if (url === undefined) return null;
  const proxy = await scope.open(
    () =>
      new ReverseProxy(url, {
        unavailable: 'canvas unavailable',
        header: (name, value) => (name === 'authorization' || name === 'cookie' ? undefined : value),
        log,
      }),
    (open) => open.close(),
  );
  return (request, response) => void proxy.forward(request, response, request.url ?? '/');
}

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
