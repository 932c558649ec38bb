/** What every service is given at its door: logger, clock, ids, loops, metrics. */
import { randomBytes } from 'node:crypto';
import type { ServiceName } from '@molecule/contracts';
import { Gauge, Registry } from 'prom-client';
import type { LogLevel } from './config.ts';
import { exposeGauge } from './figures.ts';
import { createLog, type Log } from './log.ts';
import { Loops } from './loops.ts';
import { type Clock, newId, systemClock } from './time.ts';

export interface Basics {
  readonly log: Log;
  readonly clock: Clock;
  readonly newId: () => string;
  /** Unique per process and service. */
  readonly instance: string;
  readonly loops: Loops;
  readonly metrics: Registry;
}

export interface BasicsOptions {
  readonly level: LogLevel;
  /** A logger to write through instead of one of the service's own; lines carry the service's name either way. */
  readonly log?: Log;
  readonly clock?: Clock;
}

export function createBasics(service: ServiceName, { level, log: given, clock = systemClock }: BasicsOptions): Basics {
  const instance = `${service}-${randomBytes(4).toString('hex')}`;
  const log = given ? given.child({ service, instance }) : createLog({ service, level, instance });
  const loops = new Loops({ log, clock });
  return { log, clock, newId, instance, loops, metrics: createMetrics(service, loops, clock) };
}

/** A few figures of the process; cheap enough to be there six times in one process. */
function createMetrics(service: ServiceName, loops: Loops, clock: Clock): Registry {
  const metrics = new Registry();
  metrics.setDefaultLabels({ service });
  exposeGauge(metrics, {
    name: 'process_resident_memory_bytes',
    help: 'Resident memory of the process, in bytes.',
    read: () => process.memoryUsage.rss(),
  });
  exposeGauge(metrics, {
    name: 'process_cpu_seconds',
    help: 'CPU time that the process has used, user and system, in seconds.',
    read: () => {
      const { user, system } = process.cpuUsage();
      return (user + system) / 1e6;
    },
  });
  new Gauge({
    name: 'molecule_loop_seconds_since_tick',
    help: 'How long ago a background loop last ended a round well, in seconds.',
    labelNames: ['loop'],
    registers: [metrics],
    collect() {
      this.reset();
      for (const [loop, { lastTickAt }] of Object.entries(loops.snapshot()))
        this.set({ loop }, (clock.now().getTime() - Date.parse(lastTickAt)) / 1_000);
    },
  });
  return metrics;
}
