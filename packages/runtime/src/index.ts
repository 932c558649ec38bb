/** The public surface of @molecule/runtime: what an adapter is written against, and how an agent is started. */
export {
  type AdapterClass,
  type AdapterConfig,
  AgentError,
  type AgentEvent,
  BaseAdapter,
  type Concurrency,
  type EventQueue,
  type ExecutionContext,
  type Executor,
  type LoadedSkill,
  type Part,
  type ToolTrace,
  type Transcript,
} from './adapter.ts';
export { declaring, NO_CAPABILITIES, type RuntimeCapabilities, toWire } from './capabilities.ts';
export { loadConfig, parseConfig, WorkspaceConfig } from './config.ts';
export { createLog, type Log } from './log.ts';
export { type Runtime, startRuntime } from './runtime.ts';
export { TokenFile } from './token-file.ts';
export { Wedge } from './wedge.ts';
