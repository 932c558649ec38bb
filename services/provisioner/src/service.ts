/** The provisioner, opened from the bottom up: what comes later may use what came before, and is closed before it. */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openChassis } from '@molecule/chassis';
import { Directory, exposeDirectoryLag } from '@molecule/directory';
import { httpService, type RunningService, serviceApp } from '@molecule/http';
import { type Basics, Counter, Histogram, type Scope } from '@molecule/service';
import { Templates } from '@molecule/templates';
import { openBackend } from './backends/choose.ts';
import { chatRoutes } from './chat/routes.ts';
import { Slots } from './chat/slots.ts';
import type { Config } from './config.ts';
import { consoleRoutes } from './console/routes.ts';
import { containers } from './container/container.ts';
import type { Tables } from './database.ts';
import { installationOf } from './installation.ts';
import type { Parts } from './parts.ts';
import { sweepHealth } from './provisioning/health.ts';
import { HEARD, react, reconcile, recover } from './provisioning/reactions.ts';
import { Runs } from './provisioning/runs.ts';
import { serveRequests } from './requests.ts';
import { Spool } from './spool.ts';

const MIGRATIONS = fileURLToPath(new URL('../../../migrations/provisioner', import.meta.url));
const TEND_EVERY_MS = 60_000;
/** Spec 1 §2.5. */
const HEALTH_EVERY_MS = 15_000;
/** Spec 2 §5.1. */
const UPLOAD_BYTES = 50 * 1024 * 1024;
const UPLOAD_FILE_BYTES = 25 * 1024 * 1024;
/** A client that sends or takes nothing for so long is not waited for. */
const SILENCE_MS = 30_000;
/** How long a backend may take to write what was received, or to find what was asked for. */
const COPY_MS = 60_000;

export interface ProvisionerOptions {
  /** In one process with the gateway: its port, once it listens. */
  readonly gatewayPort?: () => number | Promise<number>;
  /** How often it is looked whether what should run does, in milliseconds. */
  readonly healthEveryMs?: number;
}

export async function createProvisioner(
  config: Config,
  basics: Basics,
  scope: Scope,
  { gatewayPort = () => config.GATEWAY_PORT, healthEveryMs = HEALTH_EVERY_MS }: ProvisionerOptions = {},
): Promise<RunningService> {
  const { log, clock, loops, instance, metrics } = basics;
  const chassis = await openChassis<Tables>(
    { service: 'provisioner', migrations: MIGRATIONS, aggregates: [containers] },
    config,
    basics,
    scope,
  );
  const { bus, ledger, requests } = chassis;

  const directory = await scope.open(
    () => Directory.open(bus, { service: 'provisioner', instance, log, clock, signal: scope.signal }),
    (open) => open.stop(),
  );
  chassis.addCheck('directory', () => directory.healthy());
  exposeDirectoryLag(metrics, () => directory.lagSeconds);
  const installation = config.MOLECULE_INSTALLATION ?? (await installationOf(resolve(config.MOLECULE_HOME)));
  const spool = await Spool.open(resolve(config.MOLECULE_HOME, 'spool'));
  const backend = await scope.open(
    () => openBackend({ config, installation, gatewayPort, spool, log }),
    (open) => open.shutdown(),
  );
  chassis.addCheck('backend', () => backend.healthy());

  const parts: Parts = {
    bus,
    ledger,
    directory,
    backend,
    installation,
    templates: await Templates.open(config, (message) => log.warn(message)),
    awarenessUrl: config.AWARENESS_URL,
    workspaceDir: config.WORKSPACE_DIR,
    log,
  };
  const runs = await scope.open(
    () => new Runs(parts, { atOnce: config.PROVISION_CONCURRENCY, onEnd: measured(metrics) }),
    (open) => open.close(),
  );
  serveRequests(requests, parts, runs);

  let reconciled = false;
  let leads: AbortSignal | undefined;
  chassis.hear(HEARD, (facts, leading) => react(parts, runs, facts, leading), {
    first: async (leading) => {
      await recover(parts, runs, leading);
      if (!reconciled) await reconcile(parts, runs, leading);
      reconciled = true;
      leads = leading;
    },
  });
  loops.every('health-sweep', healthEveryMs, async () => {
    if (leads !== undefined && !leads.aborted) await sweepHealth(parts, runs, leads);
  });
  loops.every('backend-housekeeping', TEND_EVERY_MS, (signal) => backend.tend(signal));
  const chat = chatRoutes({
    uploads: {
      backend,
      spool,
      limits: { bodyBytes: UPLOAD_BYTES, fileBytes: UPLOAD_FILE_BYTES, silenceMs: SILENCE_MS },
      copyMs: COPY_MS,
      slots: new Slots('upload', config.UPLOADS_AT_ONCE, metrics),
    },
    downloads: {
      backend,
      startMs: COPY_MS,
      silenceMs: SILENCE_MS,
      slots: new Slots('download', config.DOWNLOADS_AT_ONCE, metrics),
    },
  });
  return await chassis.serve(httpService(serviceApp(log).route('/', consoleRoutes()).route('/', chat)));
}

function measured(metrics: Basics['metrics']): (outcome: 'started' | 'failed' | 'given-up', seconds: number) => void {
  const registers = [metrics];
  const starts = new Counter({
    name: 'molecule_workload_starts_total',
    help: 'Starts of workloads that have ended, by what came of them.',
    labelNames: ['outcome'],
    registers,
  });
  const duration = new Histogram({
    name: 'molecule_workload_start_seconds',
    help: 'How long starts of workloads took, in seconds.',
    buckets: [0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180],
    registers,
  });
  return (outcome, seconds) => {
    starts.inc({ outcome });
    if (outcome === 'started') duration.observe(seconds);
  };
}
