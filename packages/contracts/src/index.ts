/** The public surface of @molecule/contracts. What is not named here is private to the package. */
export { AccessEntry, ask, DirectoryEntry, ManagedResource, RebuildReport, ServiceHealth } from './asks.ts';
export { type CanvasEvent, canvasEvents } from './canvas.ts';
export { CANVAS_EVENTS, type CanvasEventContract, type CanvasEventName } from './canvas-catalogue.ts';
export { CAPABILITIES, Capability, type CapabilitySet, capabilitySet } from './capabilities.ts';
export {
  type Audience,
  defineFacts,
  defineRpc,
  type Fact,
  type FactContract,
  type FactFamily,
  type FactOf,
  MAX_FACT_BYTES,
  type RecordedFact,
  type RecordedFactOf,
  type RpcContract,
} from './define.ts';
export {
  type A2aFact,
  type AgentFact,
  a2aFacts,
  agentFacts,
  Lineage,
  MessageSource,
  type RecordedA2aFact,
} from './facts/a2a.ts';
export {
  type AccessFact,
  accessFacts,
  Denial,
  type DenialFact,
  DenialReason,
  denialFacts,
  type RecordedAccessFact,
  SessionOrigin,
} from './facts/access.ts';
export { BackendName, type ContainerFact, containerFacts, type RecordedContainerFact } from './facts/container.ts';
export { type DelegationFact, delegationFacts, type RecordedDelegationFact } from './facts/delegation.ts';
export { type AnyFact, type AnyRecordedFact, FACT_CONTEXTS, FACTS, type FactType, factContract } from './facts/index.ts';
export { type NoticeFact, noticeFacts } from './facts/notice.ts';
export { type RecordedScheduleFact, type ScheduleFact, scheduleFacts } from './facts/schedule.ts';
export { type RecordedSweepFact, type SweepFact, sweepFacts } from './facts/sweep.ts';
export {
  Json,
  type RecordedWorkspaceFact,
  StartOptions,
  WorkspaceAccess,
  type WorkspaceFact,
  workspaceFacts,
} from './facts/workspace.ts';
export { GAP_REASONS, GapPayload, type GapReason } from './gap.ts';
export { Beat, type BeatMark, HeartbeatBody, RuntimeMetadata } from './heartbeat.ts';
export { DelegationId, id12, isWorkspaceId, MessageId, ScheduleId, Timestamp, TokenId, WorkspaceId } from './ids.ts';
export { LiveBatch, LiveEvent } from './live.ts';
export { Identity, Principal, principalOf, RequestContext, SESSION_COOKIE, Session } from './principal.ts';
export { platformUnavailable, Refusal, type RefusalKind, type RefusalOptions } from './refusals.ts';
export { DenialReport, TokenUses } from './reports.ts';
export { type LedgerService, SCHEMAS, SERVICES, ServiceName } from './services.ts';
export { StatusReason, WORKSPACE_STATUSES, WorkspaceStatus } from './status.ts';
export { PLATFORM, STREAMS, subjects } from './subjects.ts';
export { provisionTimeoutSeconds, remoteStaleAfterSeconds } from './timers.ts';
