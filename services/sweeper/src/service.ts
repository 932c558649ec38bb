/** The sweeper, opened from the bottom up: what comes later may use what came before, and is closed before it. */
import { fileURLToPath } from 'node:url';
import { BeatFeed, heardAt } from '@molecule/bus';
import { RuntimeCapabilities } from '@molecule/capabilities';
import { openChassis } from '@molecule/chassis';
import { Directory, exposeDirectoryLag } from '@molecule/directory';
import { httpService, type RunningService } from '@molecule/http';
import type { Basics, Scope } from '@molecule/service';
import type { Config } from './config.ts';
import type { Tables } from './database.ts';
import { liveness, orphan } from './finding/finding.ts';
import { findingRoutes } from './finding/routes.ts';
import { LivenessSweep } from './liveness/sweep.ts';
import { OrphanSweep } from './orphans/sweep.ts';
import type { Parts } from './parts.ts';
import { sweepTimeouts } from './provisioning/sweep.ts';

const MIGRATIONS = fileURLToPath(new URL('../../../migrations/sweeper', import.meta.url));
/** Spec 3 §3.1. */
const TIMEOUT_SWEEP_MS = 30_000;
/** A lease is looked at often enough that its end is noticed within a tenth of it. */
const LOOKS_PER_LEASE = 10;
const MAX_LOOK_MS = 5_000;

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

  const silence = new LivenessSweep(parts, leaseMs);
  beats.onBeat((beat, how) => silence.heard(beat.workspaceId, heardAt(beat, how, clock)));
  const orphans = new OrphanSweep(parts, config.ORPHAN_GRACE_SECONDS * 1000);
  loops.every('liveness-monitor', Math.min(leaseMs / LOOKS_PER_LEASE, MAX_LOOK_MS), () => silence.sweep());
  loops.every('orphan-sweeper', config.SWEEP_INTERVAL_SECONDS * 1000, () => orphans.sweep(), { immediately: true });
  loops.every('provision-timeout-sweep', TIMEOUT_SWEEP_MS, () => sweepTimeouts(parts, config.PROVISION_TIMEOUT_SECONDS));
  return chassis.serve(httpService(findingRoutes(parts)));
}
