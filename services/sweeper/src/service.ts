/** The sweeper, opened from the bottom up: what comes later may use what came before, and is closed before it. */
import { fileURLToPath } from 'node:url';
import { BeatFeed, heardAt } from '@molecule/bus';
import { RuntimeCapabilities } from '@molecule/capabilities';
import { openChassis } from '@molecule/chassis';
import { remoteStaleAfterSeconds } from '@molecule/contracts';
import { Directory, exposeDirectoryLag } from '@molecule/directory';
import { httpService, type RunningService } from '@molecule/http';
import type { Basics, Scope } from '@molecule/service';
import type { Config } from './config.ts';
import type { Tables } from './database.ts';
import { liveness, orphan } from './finding/finding.ts';
import { findingRoutes } from './finding/routes.ts';
import { leaseLapses, remoteGoesStale, SilenceSweep } from './liveness/sweep.ts';
import { OrphanSweep } from './orphans/sweep.ts';
import type { Parts } from './parts.ts';
import { sweepTimeouts } from './provisioning/sweep.ts';

const MIGRATIONS = fileURLToPath(new URL('../../../migrations/sweeper', import.meta.url));
/** Spec 3 §3.1. */
const TIMEOUT_SWEEP_MS = 30_000;
/** A lease is looked at often enough that its end is noticed within a tenth of it. */
const LOOKS_PER_LEASE = 10;
const MAX_LOOK_MS = 5_000;
const LOOKS_PER_STALENESS = 6;
/** Spec 1 §2.5. */
const MAX_STALENESS_LOOK_MS = 15_000;

export async function createSweeper(config: Config, basics: Basics, scope: Scope): Promise<RunningService> {
  const { log, clock, loops, instance } = basics;
  const chassis = await openChassis<Tables>(
    { service: 'sweeper', migrations: MIGRATIONS, aggregates: [liveness, orphan] },
    config,
    basics,
    scope,
  );
  const { bus, ledger } = chassis;

  const directory = await scope.open(
    () => Directory.open(bus, { service: 'sweeper', instance, log, clock, signal: scope.signal }),
    (open) => open.stop(),
  );
  chassis.addCheck('directory', () => directory.healthy());
  exposeDirectoryLag(basics.metrics, () => directory.lagSeconds);
  const beats = await scope.open(
    () => BeatFeed.open(bus, { log, signal: scope.signal }),
    (open) => open.stop(),
  );
  const leaseMs = config.LIVENESS_LEASE_SECONDS * 1000;
  const capabilities = new RuntimeCapabilities({ beats, directory, leaseMs, clock });
  const parts: Parts = { bus, ledger, directory, capabilities, clock, log };

  const silence = new SilenceSweep(parts, leaseLapses(leaseMs));
  const staleAfterMs = () => remoteStaleAfterSeconds(config.REMOTE_LIVENESS_STALE_AFTER) * 1000;
  const staleness = new SilenceSweep(parts, remoteGoesStale(staleAfterMs));
  beats.onBeat((beat, how) => {
    const at = heardAt(beat, how, clock);
    for (const sweep of [silence, staleness]) sweep.heard(beat.workspaceId, at);
  });
  const orphans = new OrphanSweep(parts, config.ORPHAN_GRACE_SECONDS * 1000);
  loops.every('liveness-monitor', Math.min(leaseMs / LOOKS_PER_LEASE, MAX_LOOK_MS), () => silence.sweep());
  const staleLookMs = Math.min(staleAfterMs() / LOOKS_PER_STALENESS, MAX_STALENESS_LOOK_MS);
  loops.every('remote-staleness', staleLookMs, () => staleness.sweep());
  loops.every('orphan-sweeper', config.SWEEP_INTERVAL_SECONDS * 1000, () => orphans.sweep(), { immediately: true });
  loops.every('provision-timeout-sweep', TIMEOUT_SWEEP_MS, () => sweepTimeouts(parts, config.PROVISION_TIMEOUT_SECONDS));
  return chassis.serve(httpService(findingRoutes(parts)));
}
