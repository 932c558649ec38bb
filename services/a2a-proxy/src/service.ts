/** The a2a-proxy, opened from the bottom up: what comes later may use what came before, and is closed before it. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { BeatFeed, followLive, LivePublisher } from '@molecule/bus';
import { RuntimeCapabilities } from '@molecule/capabilities';
import { openChassis } from '@molecule/chassis';
import { ask, type LiveEvent } from '@molecule/contracts';
import { Directory, exposeDirectoryLag } from '@molecule/directory';
import { isUnavailable } from '@molecule/event-store';
import { httpService, type RunningService, serviceApp } from '@molecule/http';
import { modeFromEnv, NetGuard } from '@molecule/net-guard';
import { type Basics, modeOf, type Scope, sleep } from '@molecule/service';
import { Instants } from './activity/instants.ts';
import { Keeper } from './activity/keeper.ts';
import { deleteAllOf, deleteOld } from './activity/retention.ts';
import { activityRoutes } from './activity/routes.ts';
import { saidRoutes } from './activity/said-routes.ts';
import { searchRoutes } from './activity/search.ts';
import { agents, Evidence } from './agent/agent.ts';
import { auditRoutes } from './audit/routes.ts';
import { Admissions } from './call/admission.ts';
import { DirectCalls } from './call/direct.ts';
import { Endpoints } from './call/endpoints.ts';
import { Once } from './call/once.ts';
import { ReplyMemory } from './call/reply-body.ts';
import { a2aRoute } from './call/routes.ts';
import { Streams } from './call/stream.ts';
import { Targets } from './call/targets.ts';
import { Waker } from './call/waker.ts';
import { cardRoutes } from './card/routes.ts';
import { type Config, idleTimeout, inContainer, positive } from './config.ts';
import type { Tables } from './database.ts';
import { delegations } from './delegation/delegation.ts';
import { openDelegations } from './delegation/open.ts';
import { delegationRoutes } from './delegation/routes.ts';
import { createDialled } from './dialled.ts';
import { Lineages } from './lineage/lineages.ts';
import { Drains } from './mailbox/drain.ts';
import { Drops } from './mailbox/drops.ts';
import { Mailbox } from './mailbox/enqueue.ts';
import { Followers } from './mailbox/follow.ts';
import { queueRoutes } from './mailbox/routes.ts';
import { followEnds, followReasonsToDrain, seedWaiting } from './mailbox/triggers.ts';
import { Waiting } from './mailbox/waiting.ts';
import { observeWaits } from './mailbox/waits.ts';
import { openMcp } from './mcp/mcp.ts';
import { messages } from './message/message.ts';
import { exposeMetrics } from './metrics.ts';
import type { Parts } from './parts.ts';
import { Recorder } from './record/recorder.ts';
import { traceRoutes } from './trace/routes.ts';
import { trafficOf } from './traffic/traffic.ts';
import { usageRoutes } from './usage/routes.ts';
import { githubRoutes } from './webhook/routes.ts';
import { Workers } from './workers.ts';

const MIGRATIONS = fileURLToPath(new URL('../../../migrations/a2a-proxy', import.meta.url));
/** For the last records when the service stops; the database may be away. */
const LAST_WORDS_MS = 3_000;
const POOLS_EVERY_MS = 60_000;
/** In case every other sign that something waits was missed. */
const SEED_EVERY_MS = 60_000;
const EXPIRY_EVERY_MS = 5_000;

export async function createA2aProxy(config: Config, basics: Basics, scope: Scope): Promise<RunningService> {
  const { log, clock, newId, loops, metrics, instance } = basics;
  const idle = idleTimeout(config.A2A_IDLE_TIMEOUT_SECONDS);
  if (idle.warning) log.warn({ value: config.A2A_IDLE_TIMEOUT_SECONDS }, idle.warning);

  const chassis = await openChassis<Tables>(
    { service: 'a2a-proxy', migrations: MIGRATIONS, aggregates: [messages, agents, delegations] },
    config,
    basics,
    scope,
  );
  const { bus, ledger, requests } = chassis;
  const directory = await scope.open(
    () => Directory.open(bus, { service: 'a2a-proxy', instance, log, clock, signal: scope.signal }),
    (open) => open.stop(),
  );
  chassis.addCheck('directory', () => directory.healthy());
  exposeDirectoryLag(metrics, () => directory.lagSeconds);
  const beats = await scope.open(
    () => BeatFeed.open(bus, { log, signal: scope.signal }),
    (open) => open.stop(),
  );
  const capabilities = new RuntimeCapabilities({ beats, directory, leaseMs: config.LIVENESS_LEASE_SECONDS * 1000, clock });

  // What is heard of a workspace keeps its calls from counting as idle: facts, beats, and what services say live.
  const targets = new Targets();
  const touch = (workspaceId: string) => targets.touch(workspaceId, clock.monotonicMs());
  directory.onFact(({ workspaceId }) => touch(workspaceId));
  const live = await scope.open(
    () => new LivePublisher(bus, 'a2a-proxy', { log }),
    (open) => open.close(),
  );
  await scope.open(
    () => followLive(bus, { log, except: live, onEvent: ({ workspaceId }) => touch(workspaceId) }),
    (open) => open.stop(),
  );
  const say = (event: LiveEvent) => {
    touch(event.workspaceId);
    try {
      live.say(event);
    } catch (error) {
      log.warn({ err: error, event: event.event }, 'a live event could not be written'); // nested too deep
    }
  };

  const guard = new NetGuard({
    mode: modeFromEnv(config, (message, deployMode) => log.warn({ deployMode }, message)),
  });
  const endpoints = await scope.open(
    () => new Endpoints(guard, clock),
    (open) => open.close(),
  );
  loops.every('pools', POOLS_EVERY_MS, () => endpoints.closeUnused());

  const lost = { fenced: 0, refused: 0, bodies: 0 };
  const recorder = await scope.open(
    () =>
      new Recorder({
        ledger,
        log,
        clock,
        worker: instance,
        say,
        isUnavailable,
        onLost: (what, count) => {
          lost[what] += count;
        },
      }),
    (open) => open.close(LAST_WORDS_MS),
  );
  chassis.addCheck('recorder', () => ({ ok: !recorder.isFull, detail: `${recorder.backlog} records wait to be written` }));

  const waiting = new Waiting();
  const workers: Workers = new Workers({
    ledger,
    log,
    clock,
    newId,
    worker: instance,
    leaseMs: config.A2A_WORKER_LEASE_SECONDS * 1000,
    oldestOpenMs: () => recorder.oldestOpenMs,
    isDelivering: (messageId) => drains.isRunning(messageId),
    onRequeued: (workspaceId) => {
      waiting.add(workspaceId);
      drains.nudge(workspaceId, 'unprompted');
    },
    onRegained: () => drains.nudgeAll(),
  });
  const { isAlive, reportDead } = new Evidence({ ledger, bus, log, clock, newId });
  const parts: Parts = {
    ledger,
    directory,
    capabilities,
    endpoints,
    targets,
    recorder,
    isAlive,
    wake: new Waker({ bus, newId, log }).wake,
    dialled: createDialled(bus, { inContainer: inContainer(config.MOLECULE_IN_DOCKER) ?? existsSync('/.dockerenv'), loops }),
    say,
    clock,
    instants: new Instants(clock),
    newId,
    log,
    mode: modeOf(config.MOLECULE_ENV),
    worker: instance,
    idleTimeoutMs: idle.ms,
    replyMemory: new ReplyMemory(config.A2A_REPLY_MEMORY_MIB * 1024 * 1024),
  };
  const admissions = new Admissions(parts);
  const mailbox = new Mailbox({
    ...parts,
    maxDepth: config.A2A_MAILBOX_LIMIT,
    ttlMs: config.A2A_MAILBOX_TTL_SECONDS === undefined ? null : config.A2A_MAILBOX_TTL_SECONDS * 1_000,
    onWaiting: (id) => waiting.add(id),
    onGone: (id) => waiting.remove(id),
    onAwaited: (id) => delegating.await(id),
  });
  const lineages = new Lineages({ ...parts, maxDepth: config.A2A_MAX_DEPTH, hasOthers: () => workers.hasOthers });
  lineages.expose(metrics);
  const streams = new Streams(config.A2A_STREAM_STALL_SECONDS * 1000);
  const drains: Drains = new Drains({
    ...parts,
    admissions,
    waiting,
    streams,
    lineages,
    lease: () => workers.lease,
    dropAll: (id) => mailbox.dropAll(id),
    reportDead,
    onTried: observeWaits(metrics),
  });
  const calls = new DirectCalls({
    ...parts,
    admissions,
    lineages,
    mailbox,
    once: new Once({ ledger, worker: instance, newId, isLive: (worker) => workers.isLive(worker) }),
    onAnswered: (workspaceId) => drains.nudge(workspaceId, 'answered'),
    reportDead,
  });
  const drops = new Drops(parts);
  const followers = new Followers();
  const { replyMemory } = parts;
  exposeMetrics(metrics, { calls, streams, targets, recorder, waiting, drains, mailbox, followers, replyMemory, lost });

  await workers.renew();
  const leaseStepMs = (config.A2A_WORKER_LEASE_SECONDS * 1000) / 3;
  loops.every('lease', leaseStepMs, () => workers.renew());
  loops.every('recovery', leaseStepMs, () => workers.recover());
  const delegating = openDelegations({
    ...parts,
    calls,
    lineages,
    loops,
    metrics,
    mayTakeOver: () => workers.mayTakeOver,
    atOnce: config.A2A_DELEGATIONS_AT_ONCE,
    limit: config.A2A_DELEGATIONS_LIMIT,
    everyMs: leaseStepMs,
  });
  chassis.addCheck('lease', () => ({
    ok: workers.lease.holds(),
    detail: workers.lease.holds() ? 'held' : 'could not be renewed in time',
  }));
  await scope.open(
    () => waiting,
    (open) => open.clear(),
  );
  await scope.open(
    () => workers,
    async (open) => {
      await open.leave().catch((error: unknown) => log.warn({ err: error }, 'could not say goodbye; the lease will run out'));
    },
  );

  chassis.hear(['workspace.removed', 'workspace.purged'], async (facts, leading) => {
    for (const { type, workspaceId } of facts)
      await (type === 'workspace.purged' ? deleteAllOf(ledger.db, workspaceId, leading) : mailbox.dropAll(workspaceId));
  });
  followReasonsToDrain({ beats, directory, waiting, drains, touch });
  followEnds(directory, followers);
  loops.every('expiry', EXPIRY_EVERY_MS, async (signal) => void (await drops.expired(signal)));
  const seed = () => seedWaiting({ ledger, directory, waiting, drains, mailbox });
  const seedAgain = () => seed().catch((error: unknown) => log.warn({ err: error }, 'mailboxes could not be listed'));
  await seedAgain();
  loops.every('mailboxes', SEED_EVERY_MS, seed);
  directory.onGap(() => void seedAgain());
  const days = positive(config.ACTIVITY_RETENTION_DAYS, 7);
  const hours = positive(config.ACTIVITY_CLEANUP_INTERVAL_HOURS, 6);
  loops.every('retention', hours * 3_600_000, (signal) => deleteOld(ledger.db, { days, log, signal }));

  requests.serve(ask['a2a-proxy'].traffic, ({ workspaceId }) => trafficOf(ledger.db, workspaceId));

  let stopping = false;
  const app = serviceApp(log);
  activityRoutes(app, parts);
  const keeper = new Keeper({ ...parts, isUnavailable });
  saidRoutes(app, { ...parts, keeper });
  searchRoutes(app, { ...parts, bus });
  cardRoutes(app, { ...parts, bus, admissions, externalUrl: config.EXTERNAL_PLATFORM_URL });
  usageRoutes(app, parts);
  traceRoutes(app, parts);
  auditRoutes(app, parts);
  const liveTokens = (workspaceId: string) => directory.liveTokens(workspaceId);
  delegationRoutes(app, { ...parts, ...delegating });
  queueRoutes(app, { ...parts, drops, followers, liveTokens });
  const isStopping = () => stopping;
  const toUser = config.MOLECULE_MCP_ALLOW_SEND_MESSAGE === 'true';
  const mcp = await openMcp(app, { ...parts, bus, calls, keeper, toUser, isStopping, loops, metrics, scope });
  githubRoutes(app, { bus, ledger, calls, secret: config.GITHUB_WEBHOOK_SECRET, newId, log, isStopping });
  const raw = [a2aRoute({ calls, streams, liveTokens, mode: parts.mode, log, isStopping }), ...mcp];
  const running = await chassis.serve(httpService(app, raw), { beats });

  // Closed first: nothing new is taken on, what is in flight gets its time, and what is left is told that it is over.
  await scope.open(
    () => drains,
    async (open) => {
      stopping = true;
      followers.close();
      open.stop();
      delegating.runner.stop();
      const settled = Promise.all([calls.settled(), open.settled(), delegating.runner.settled()]);
      const late = new AbortController();
      const grace = sleep(config.A2A_DRAIN_SECONDS * 1000, late.signal);
      const inTime = await Promise.race([settled.then(() => true), grace.then(() => false)]);
      late.abort();
      if (!inTime) {
        log.warn({ calls: targets.size }, 'ending calls that did not finish in time');
        for (const call of [...targets.all()]) call.stop();
        await settled;
      }
    },
  );
  return running;
}
