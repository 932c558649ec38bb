/** The public surface of @molecule/testkit: real servers, agents that misbehave on command, time by hand, sentences. */
export { type Agent, type AgentOptions, type Gate, type Received, startAgent } from './agent/agent.ts';
export type { Behaviour } from './agent/behaviour.ts';
export type { Answer, GatewayLink, GatewayLinkOptions } from './agent/gateway-link.ts';
export { openStream, type StreamAnswer, type Streamer, type Streaming, startStreamer, streamEvent } from './agent/streamer.ts';
export { type Chance, chance } from './chance.ts';
export { type Docker, type DockerState, dockerAvailable, dockerState } from './docker.ts';
export {
  type CreatedData,
  createdData,
  directoryEntry,
  purged,
  type RecordedAs,
  recordedFact,
  registered,
  removed,
} from './facts.ts';
export { it } from './fixtures.ts';
export { type ManualClock, manualClock } from './manual-clock.ts';
export { type NatsServer, withNats } from './own-nats.ts';
export { type DatabaseServer, withPostgres } from './own-postgres.ts';
export type { Promtool } from './promtool.ts';
export { type Cut, type Relay, startRelay } from './relay.ts';
export { scenario } from './scenario.ts';
export { freePort, Missing, temporaryDir, testLog } from './servers.ts';
export { type SignedAnswer, type SignedRequest, signedRequest } from './signed-request.ts';
export { type NewWorkspace, type RegistryAsk, StandInRegistry, type StandInRegistryOptions } from './stand-in-registry.ts';
export { Surroundings, type SurroundingsOptions } from './surroundings.ts';
export { type WaitOptions, waitFor } from './wait-for.ts';
