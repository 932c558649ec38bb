/** The registry, opened from the bottom up: what comes later may use what came before, and is closed before it. */
import { fileURLToPath } from 'node:url';
import { ask, BeatFeed, type Bus, followFacts, LivePublisher } from '@molecule/bus';
import { openChassis } from '@molecule/chassis';
import { ask as asks } from '@molecule/contracts';
import { Barrier } from '@molecule/directory';
import { type Ledger, whileLeading } from '@molecule/event-store';
import { httpService, type RunningService, serviceApp } from '@molecule/http';
import { modeFromEnv, NetGuard } from '@molecule/net-guard';
import { type Basics, type Log, modeOf, type Scope } from '@molecule/service';
import { Templates } from '@molecule/templates';
import { readEncryptionKey, Vault } from '@molecule/vault';
import { access, denial } from './access/aggregate.ts';
import { keepAccess } from './access/keeping.ts';
import { accessLogRoutes } from './access/log-routes.ts';
import { orgTokenRoutes } from './access/org-token-routes.ts';
import { serveAccessRequests } from './access/requests.ts';
import { sessionRoutes } from './access/session-routes.ts';
import type { Config } from './config.ts';
import type { Tables } from './database.ts';
import { LateClient, type LateUrls } from './late-client.ts';
import type { Parts } from './parts.ts';
import { agentRoutes } from './workspace/agent-routes.ts';
import { workspace } from './workspace/aggregate.ts';
import { dataRoutes } from './workspace/data-routes.ts';
import { eventRoutes } from './workspace/event-routes.ts';
import { explainRoutes } from './workspace/explain-route.ts';
import { Fleet } from './workspace/fleet.ts';
import { Hibernations } from './workspace/hibernation.ts';
import { IdleMonitor } from './workspace/idle.ts';
import { LastOutbound, type LastOutboundParts } from './workspace/last-outbound.ts';
import { lifecycleRoutes } from './workspace/lifecycle-routes.ts';
import { Lists } from './workspace/lists.ts';
import { minting } from './workspace/minting.ts';
import { notice } from './workspace/notice.ts';
import { Past } from './workspace/past.ts';
import { Pulse } from './workspace/pulse.ts';
import { HEARD, react } from './workspace/reactions.ts';
import { recordRoutes } from './workspace/record-routes.ts';
import { serveWorkspaceRequests } from './workspace/requests.ts';
import { RestartContexts } from './workspace/restart-contexts.ts';
import { workspaceRoutes } from './workspace/routes.ts';
import { secretKeysOf } from './workspace/secrets.ts';
import { WorkspaceStore } from './workspace/store.ts';
import { teamRoutes } from './workspace/team-routes.ts';
import { testTokenRoutes } from './workspace/test-token-routes.ts';
import { tokenRoutes } from './workspace/token-routes.ts';
import { saveVitals } from './workspace/vitals.ts';

const MIGRATIONS = fileURLToPath(new URL('../../../migrations/registry', import.meta.url));
/** How often what beats said is written; a crash forgets at most this much of it. */
const SAVE_EVERY_MS = 2_000;
/** The fleet in memory follows the log by itself; this only makes sure of it. */
const REREAD_EVERY_MS = 600_000;
/** How often it is looked for hibernations that were left half-way; those that begin are told. */
const HIBERNATIONS_EVERY_MS = 2_000;
/** For stops that are under way when the service closes; whoever leads next asks for them again. */
const LAST_STOPS_MS = 3_000;
/** Spec 1 §2.5. */
const IDLE_EVERY_MS = 120_000;

const ROUTES = [
  workspaceRoutes,
  lifecycleRoutes,
  dataRoutes,
  recordRoutes,
  teamRoutes,
  agentRoutes,
  explainRoutes,
  eventRoutes,
  tokenRoutes,
  testTokenRoutes,
  orgTokenRoutes,
  sessionRoutes,
  accessLogRoutes,
] as const;

export interface RegistryOptions {
  /** In one process with the a2a-proxy: where it answers, once it does. */
  readonly a2aProxyUrls?: LateUrls;
  /** How often it is looked for idle workspaces, in milliseconds. */
  readonly idleEveryMs?: number;
}

export async function createRegistry(
  config: Config,
  basics: Basics,
  scope: Scope,
  { a2aProxyUrls = () => config.A2A_PROXY_URL, idleEveryMs = IDLE_EVERY_MS }: RegistryOptions = {},
): Promise<RunningService> {
  const { log, clock, newId, metrics, loops } = basics;
  const chassis = await openChassis<Tables>(
    { service: 'registry', migrations: MIGRATIONS, aggregates: [workspace, notice, access, denial] },
    config,
    basics,
    scope,
  );
  const { bus, ledger, requests } = chassis;

  const fleet = new Fleet();
  const store = new WorkspaceStore(ledger, fleet);
  const readFleet = () => fleet.read(ledger.db);
  await scope.open(
    () =>
      followFacts(bus, {
        log,
        signal: scope.signal,
        onFact: (fact) => fleet.apply([fact]),
        onGap: () => rereading.nudge(),
      }),
    (following) => following.stop(),
  );
  await readFleet();
  const rereading = loops.every('registry-fleet', REREAD_EVERY_MS, readFleet);

  const live = await scope.open(
    () => new LivePublisher(bus, 'registry', { log }),
    (open) => open.close(),
  );
  const pulse = new Pulse({ fleet, store, live, clock, log, leaseMs: config.LIVENESS_LEASE_SECONDS * 1_000 });
  const save = async () => {
    if (!pulse.leading) return;
    const changed = pulse.takeChanged();
    await saveVitals(ledger.db, changed).catch((error: unknown) => {
      pulse.giveBack(changed);
      throw error;
    });
  };
  await scope.open(
    () => leadWhileOpen(ledger, pulse, log),
    async (leave) => {
      await save().catch((error: unknown) => log.warn({ err: error }, 'the last vitals were not stored'));
      await leave();
    },
  );
  loops.every('registry-vitals', SAVE_EVERY_MS, save);

  const beats = await scope.open(
    () => BeatFeed.open(bus, { log, signal: scope.signal }),
    (open) => open.stop(),
  );
  beats.onBeat((beat, how) => pulse.hear(beat, how));

  const barrier = await scope.open(
    () => new Barrier(bus, { log, metrics }),
    (open) => open.close(),
  );
  const guard = new NetGuard({ mode: modeFromEnv(config, (message, deployMode) => log.warn({ deployMode }, message)) });
  const mint = minting({ clock, newId });
  const mode = modeOf(config.MOLECULE_ENV);
  const vault = openVault(config, log);
  const templates = await Templates.open(config, (message) => log.warn(message));
  const lists = new Lists({ db: ledger.db, vitalsOf: (id) => fleet.vitals(id), timeouts: () => templates.provisionTimeouts() });
  const lastOutbound = new LastOutbound({ ask: askingProxy(bus), clock, log });
  const a2aProxy = await scope.open(
    () => new LateClient(a2aProxyUrls, { internalKey: config.MOLECULE_INTERNAL_KEY, service: 'registry', log }),
    (open) => open.close(),
  );
  const contexts = await scope.open(
    () =>
      new RestartContexts({
        fleet,
        barrier,
        a2aProxy: () => a2aProxy.get(),
        secretKeysOf: (id) => secretKeysOf(ledger.db, id),
        clock,
        newId,
        log,
      }),
    (open) => open.close(),
  );
  const parts: Parts = {
    bus,
    ledger,
    store,
    fleet,
    lists,
    past: new Past(ledger),
    lastOutbound,
    barrier,
    guard,
    mint,
    vault,
    templates,
    contexts,
    clock,
    newId,
    log,
    mode,
    settings: config,
  };
  const hibernations = await scope.open(
    () => new Hibernations(parts),
    (open) => open.settled(LAST_STOPS_MS),
  );
  const finishing = loops.every('hibernations', HIBERNATIONS_EVERY_MS, async () => {
    if (pulse.leading) hibernations.finishAll();
  });
  fleet.onStatus(({ status }) => {
    if (status === 'hibernating') finishing.nudge();
  });
  const idle = new IdleMonitor(parts);
  loops.every('hibernation-monitor', idleEveryMs, async () => {
    if (pulse.leading) await idle.look();
  });

  serveWorkspaceRequests(requests, parts);
  serveAccessRequests(requests, parts);
  await keepAccess(parts, { scope, loops });
  chassis.hear(HEARD, react(parts));
  const app = serviceApp(log);
  for (const routes of ROUTES) app.route('/', routes(parts));
  return chassis.serve(httpService(app), { beats });
}

/** A public route waits for the answer: not for long. */
const TRAFFIC_TIMEOUT_MS = 300;

const askingProxy =
  (bus: Bus): LastOutboundParts['ask'] =>
  async (workspaceId) =>
    (await ask(bus, asks['a2a-proxy'].traffic, { workspaceId }, { timeoutMs: TRAFFIC_TIMEOUT_MS })).lastOutboundAt;

/** In production there is a key, or no registry (see `config.ts`). */
function openVault({ SECRETS_ENCRYPTION_KEY }: Config, log: Log): Vault {
  const reading = readEncryptionKey(SECRETS_ENCRYPTION_KEY);
  if (reading.kind === 'key') return new Vault(reading.key);
  const why = reading.kind === 'missing' ? 'is not set' : 'is no key of 32 bytes in base64';
  log.warn(`secrets are stored without encryption: SECRETS_ENCRYPTION_KEY ${why}`);
  return new Vault(null);
}

/** One replica at a time speaks of beats and writes them down. Answers the way to leave. */
function leadWhileOpen(ledger: Ledger<Tables>, pulse: Pulse, log: Log): () => Promise<void> {
  const leaving = new AbortController();
  const leading = whileLeading({
    ledger,
    key: 'registry.pulse',
    log,
    signal: leaving.signal,
    task: async (signal) => {
      pulse.leading = true;
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      pulse.leading = false;
    },
  });
  return () => {
    leaving.abort();
    return leading;
  };
}
