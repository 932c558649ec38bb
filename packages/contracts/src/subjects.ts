/** Every subject of the bus has its builder here; none is spelt out elsewhere. */
import { FACT_CONTEXTS } from './facts/index.ts';
import type { ServiceName } from './services.ts';

/** Stands for the workspace in facts that concern none. */
export const PLATFORM = 'platform';

/** A workspace id may be a token of a subject only if it cannot be mistaken for a wildcard or a separator. */
const token = (text: string): string => {
  if (!/^[A-Za-z0-9_-]+$/.test(text)) throw new TypeError(`not a subject token: ${JSON.stringify(text)}`);
  return text;
};

export const subjects = {
  /**
   * A beat that declares what its runtime does itself. What it declares holds until the next such beat, so the last of these is
   * kept apart from the last of those that say nothing about it (ADR 8).
   */
  heartbeat: (workspaceId: string): string => `heartbeat.${token(workspaceId)}`,
  partialHeartbeat: (workspaceId: string): string => `heartbeat.${token(workspaceId)}.partial`,
  everyHeartbeat: 'heartbeat.>',
  fact: (type: string, workspaceId: string): string => `${type}.${token(workspaceId)}`,
  /** What the stream FACTS stores. */
  everyFact: FACT_CONTEXTS.map((context) => `${context}.*.*`),
  /** Batches of live messages of one process of a service (ADR 0003): the process does not need to read its own again. */
  live: (service: ServiceName, voice: string): string => `live.${service}.${token(voice)}`,
  everyLive: 'live.*.*',
  parked: (consumer: string): string => `parked.${token(consumer)}`,
  everyParked: 'parked.*',
  /** Wakes the relay of a service that is active in another replica. */
  relayNudge: (service: ServiceName): string => `relay.nudge.${token(service)}`,
  /** What gateways report to the registry; see `reports.ts`. */
  tokenUses: 'report.token-uses',
  denials: 'report.denials',
  /** A directory says that it is there, and that it goes. */
  directoryPresence: 'directory.presence',
  /** Asks every directory to answer once it has applied a version (I4). */
  directoryBarrier: 'directory.barrier',
} as const;

export const STREAMS = { facts: 'FACTS', heartbeats: 'HEARTBEATS', parked: 'PARKED' } as const;
