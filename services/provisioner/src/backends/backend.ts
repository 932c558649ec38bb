/**
 * Where an agent can be made to run.
 *
 *   B1. Every method may be repeated: the second call finds the work done. One workspace has at most one workload (I6).
 *   B2. `stop` answers `stopped` or `not-found` only when it is proven that nothing runs; volumes go only after that.
 *   B3. An engine that cannot say whether something runs is no evidence of death.
 *   B4. What does not carry our label is neither listed nor touched, whatever its name (I8).
 *   B5. What an engine said stays in `cause`, for the log: it never reaches a fact or a response.
 *   B6. Files are carried in and out a piece at a time, never whole in memory, and only while the workload runs.
 *   B7. No link is followed, neither as the last name of a path nor on the way to it: what an agent made leads nowhere else.
 *   B8. Of files that are copied in together either all are there afterwards, or none, as far as the engine can be made to undo it.
 */
import type { Readable } from 'node:stream';
import type { BackendName, ManagedResource, WorkspaceId } from '@molecule/contracts';
import type { AgentPath } from './agent-path.ts';

export interface ConfigFile {
  /** Relative to the config directory, with `/` between names. */
  readonly path: string;
  readonly data: Buffer;
  /** Permission bits. */
  readonly mode: number;
}

export interface WorkloadSpec {
  readonly workspaceId: WorkspaceId;
  readonly runtime: string;
  readonly tier: number;
  /** Beyond what the backend sets itself; wins over it (spec 3 §1.6). */
  readonly env: Readonly<Record<string, string>>;
  /** Written when the config volume has no `config.yaml` yet; a volume that has one is left as its user made it. */
  readonly seed: readonly ConfigFile[];
  /** Written in any case, before the workload starts. */
  readonly files: readonly ConfigFile[];
  /** Throws away what the agent remembers of earlier sessions, before it starts. */
  readonly resetSession: boolean;
  /** A directory of the host to work in, in place of the workspace's own volume (spec 3 §1.7). */
  readonly mount: { readonly hostPath: string; readonly readOnly: boolean } | null;
}

export type StartOutcome =
  | { readonly outcome: 'started' /** Where the platform reaches the agent. */; readonly url: string }
  | { readonly outcome: 'failed'; readonly cause: unknown };

export type StopOutcome =
  | { readonly outcome: 'stopped' | 'not-found' | 'no-backend' }
  | { readonly outcome: 'failed'; readonly cause: unknown };

export type ListOutcome =
  | { readonly outcome: 'listed'; readonly resources: readonly ManagedResource[] }
  | { readonly outcome: 'failed'; readonly cause: unknown };

/** A file on its way in. */
export interface FileIn {
  readonly path: AgentPath;
  /** Permission bits. */
  readonly mode: number;
  /** Of what `open` gives, exactly. */
  readonly size: number;
  /** Asked for of all files before the first is written. */
  open(): Promise<Readable>;
}

/** Nothing runs here, or it cannot be asked: `NoBackendError`, or what the engine said. */
type NotReached = { readonly outcome: 'not-running' } | { readonly outcome: 'unavailable'; readonly cause: unknown };

export type CopyInOutcome = NotReached | { readonly outcome: 'copied' } | { readonly outcome: 'failed'; readonly cause: unknown };

export type CopyOutOutcome =
  | NotReached
  | {
      readonly outcome: 'file';
      readonly size: number;
      /** Is read to its end or destroyed: the engine waits for one of them. */
      readonly content: Readable;
    }
  | { readonly outcome: 'not-found' | 'not-a-file' }
  | { readonly outcome: 'failed'; readonly cause: unknown };

export interface Backend {
  readonly name: BackendName;
  /** Containers of tiers 1 to 3 are on the machine's own network: no name leads to them, their loopback addresses do. */
  readonly onHostNetwork?: boolean;

  /** Why it could never run such a workload; asked before anything is done for a start. Absent: that shows only when it starts. */
  cannotRun?(workload: Pick<WorkloadSpec, 'runtime' | 'mount'>): Error | null;

  /** Makes the one workload of this workspace run, replacing an earlier one. An aborted start leaves nothing running. */
  start(spec: WorkloadSpec, signal: AbortSignal): Promise<StartOutcome>;

  /** Ends what runs for the workspace with this `id12`, at once and with force. */
  stop(prefix: string, signal: AbortSignal): Promise<StopOutcome>;

  /** `certain: false` counts as running (B3). */
  isRunning(prefix: string, signal: AbortSignal): Promise<{ running: boolean; certain: boolean }>;

  /** A file of the config volume of a workload that runs, at most `MAX_READ_BYTES` of it; `undefined`: nothing runs, or it is not there. */
  readConfig(prefix: string, path: string, signal: AbortSignal): Promise<Buffer | undefined>;

  /**
   * Writes files of a workload that runs, over what is there: a link is replaced, a directory is not. Directories on the way are
   * made, with the owner and permissions of the one they are made in; a file is its directory's owner's.
   */
  copyIn(prefix: string, files: readonly FileIn[], signal: AbortSignal): Promise<CopyInOutcome>;

  /** One regular file of a workload that runs. `signal` ends the reading of its content, too. */
  copyOut(prefix: string, path: AgentPath, signal: AbortSignal): Promise<CopyOutOutcome>;

  /** Only after a proven stop (I6). Absent is success. @throws when it could not be removed. */
  removeVolume(prefix: string, signal: AbortSignal): Promise<void>;

  /** All that carries our label: running or not, and volumes whose workload is gone. */
  listManaged(signal: AbortSignal): Promise<ListOutcome>;

  /** Keeps what it uses within bounds. Called about once a minute. */
  tend(signal: AbortSignal): Promise<void>;

  /** The platform ends in order: what must not outlive it is stopped. */
  shutdown(): Promise<void>;

  /** Whether it could start something now. */
  healthy(): Promise<{ ok: boolean; detail: string }>;
}

export const MAX_READ_BYTES = 256 * 1024;

/** What a backend of this platform calls itself when there is none. */
export class NoBackendError extends Error {
  constructor() {
    super('no backend configured');
  }
}

/** Names start with this; the rest is the workspace's `id12` (spec 3 §1.2). */
export const NAME_PREFIX = 'ws-';
export const LABELS = { managed: 'molecule.platform.managed', installation: 'molecule.platform.installation' } as const;

/** Only what could be the beginning of a workspace id names anything of ours. */
export const isPrefix = (text: string): boolean => /^[0-9a-f][0-9a-f-]{0,11}$/.test(text);

export const aborted = (signal: AbortSignal): Error => new Error('given up', { cause: signal.reason });
