/** The stand-in for the registry, and directories that ask it, for this package's tests. */
import type { Bus } from '@molecule/bus';
import { createLog, type Log, systemClock } from '@molecule/service';
import { StandInRegistry } from '@molecule/testkit';
import { onTestFinished } from 'vitest';
import { applyFact } from '../apply-fact.ts';
import { Directory } from '../directory.ts';

export const silent: Log = createLog({ service: 'test', level: 'error', destination: { write: () => {} } });

/** It serves when it is told to, and tells nothing when the test is over. */
export function testRegistry(bus: Bus): StandInRegistry {
  const registry = new StandInRegistry({ bus, log: silent, applyFact });
  onTestFinished(() => registry.stop());
  return registry;
}

/** A directory that is stopped when the test is over. */
export async function openDirectory(bus: Bus, instance: string, log: Log = silent): Promise<Directory> {
  const stopping = new AbortController();
  const opening = Directory.open(bus, { service: 'gateway', instance, log, clock: systemClock, signal: stopping.signal });
  onTestFinished(async () => {
    stopping.abort();
    await opening.then(
      (directory) => directory.stop(),
      () => {},
    );
  });
  return opening;
}
