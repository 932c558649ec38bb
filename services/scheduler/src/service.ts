/** The scheduler, opened from the bottom up: what comes later may use what came before, and is closed before it. */
import { fileURLToPath } from 'node:url';
import { BeatFeed } from '@molecule/bus';
import { RuntimeCapabilities } from '@molecule/capabilities';
import { openChassis } from '@molecule/chassis';
import { WorkspaceId } from '@molecule/contracts';
import { Directory, exposeDirectoryLag } from '@molecule/directory';
import { httpService, type RunningService, ServiceClient } from '@molecule/http';
import type { Basics, Scope } from '@molecule/service';
import type { Config } from './config.ts';
import type { Tables } from './database.ts';
import type { Parts } from './parts.ts';
import { disableFor, purgeFor, serveScheduleRequests } from './schedule/requests.ts';
import { scheduleRoutes } from './schedule/routes.ts';
import { schedule } from './schedule/schedule.ts';
import { Runner, type TickOptions } from './schedule/tick.ts';
import { giveUpLease, RENEW_EVERY_MS, renewLease } from './workers.ts';

const MIGRATIONS = fileURLToPath(new URL('../../../migrations/scheduler', import.meta.url));
/** `/admin/liveness` sees `scheduler` move about this often, also while long runs are out: within 10 s (spec 1 §7, spec 2 §6.4). */
const PULSE_MS = 5_000;

export async function createScheduler(
  config: Config,
  basics: Basics,
  scope: Scope,
  options: TickOptions = {},
): Promise<RunningService> {
  const { log, clock, newId, loops, instance } = basics;
  const chassis = await openChassis<Tables>(
    { service: 'scheduler', migrations: MIGRATIONS, aggregates: [schedule] },
    config,
    basics,
    scope,
  );
  const { bus, ledger, requests, signal } = chassis;

  const directory = await scope.open(
    () => Directory.open(bus, { service: 'scheduler', instance, log, clock, signal: scope.signal }),
    (open) => open.stop(),
  );
  chassis.addCheck('directory', () => directory.healthy());
  exposeDirectoryLag(basics.metrics, () => directory.lagSeconds);
  const beats = await scope.open(
    () => BeatFeed.open(bus, { log, signal: scope.signal }),
    (open) => open.stop(),
  );
  const capabilities = new RuntimeCapabilities({ beats, directory, leaseMs: config.LIVENESS_LEASE_SECONDS * 1000, clock });
  const a2aProxy = await scope.open(
    () =>
      new ServiceClient({ baseUrls: config.A2A_PROXY_URL, internalKey: config.MOLECULE_INTERNAL_KEY, service: 'scheduler', log }),
    (open) => open.close(),
  );
  const parts: Parts = { ledger, directory, capabilities, a2aProxy, clock, newId, log, worker: instance };

  chassis.hear(['workspace.removed', 'workspace.purged'], async (facts) => {
    const told = (type: 'workspace.removed' | 'workspace.purged') =>
      facts.filter((fact) => fact.type === type).map(({ workspaceId }) => WorkspaceId.parse(workspaceId));
    await disableFor(parts, told('workspace.removed'));
    for (const id of told('workspace.purged')) await purgeFor(parts, id);
  });

  await renewLease(ledger.db, instance);
  loops.every('scheduler-lease', RENEW_EVERY_MS, () => renewLease(ledger.db, instance));
  const runner = new Runner(parts, signal, options);
  loops.every('scheduler', PULSE_MS, async () => {}, { immediately: true });
  const ticking = loops.every('scheduler-tick', config.SCHEDULER_TICK_SECONDS * 1000, () => runner.tick());
  serveScheduleRequests(requests, { ...parts, look: () => ticking.nudge() });
  loops.every('scheduler-recovery', RENEW_EVERY_MS, () => runner.recover(), { immediately: true });
  await scope.open(
    () => runner,
    async (running) => {
      await running.idle();
      await giveUpLease(ledger.db, instance);
    },
  );
  return chassis.serve(httpService(scheduleRoutes(parts)), { beats });
}
