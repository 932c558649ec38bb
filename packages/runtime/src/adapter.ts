/** What an agent framework implements to live in a workspace (spec 4 §9). A module exports its class as `Adapter`. */
import { appendFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NO_CAPABILITIES, type RuntimeCapabilities } from './capabilities.ts';
import type { WorkspaceConfig } from './config.ts';
import type { Heartbeat } from './heartbeat.ts';
import type { Log } from './log.ts';
import type { Wedge } from './wedge.ts';

/** What an adapter is given to set itself up with. */
export interface AdapterConfig {
  readonly model: string;
  /** `null`: the adapter builds it. */
  readonly systemPrompt: string | null;
  /** Skill ids. */
  readonly tools: readonly string[];
  readonly runtimeConfig: WorkspaceConfig['runtime_config'];
  readonly configPath: string;
  readonly workspaceId: string;
  readonly promptFiles: readonly string[];
  readonly a2aPort: number;
  readonly heartbeat: Pick<Heartbeat, 'nudge' | 'activeTasks'>;
  readonly wedge: Wedge;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly log: Log;
}

export type Part =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'file'; readonly file: { readonly uri: string; readonly name?: string; readonly mimeType?: string } };

export interface ToolTrace {
  readonly tool: string;
  readonly input: string;
  readonly output_preview: string;
}

/** What an executor has to say while it works, and in the end. */
export type AgentEvent =
  | {
      readonly kind: 'artifact';
      readonly artifactId: string;
      readonly text: string;
      readonly append: boolean;
      readonly lastChunk: boolean;
    }
  | {
      readonly kind: 'message';
      readonly parts: readonly Part[];
      readonly toolTrace?: readonly ToolTrace[];
      readonly usage?: { readonly input_tokens: number; readonly output_tokens: number };
    };

export interface EventQueue {
  enqueue(event: AgentEvent): void;
}

export interface ExecutionContext {
  readonly taskId: string;
  readonly contextId: string;
  /** All text parts, joined by a space. */
  readonly text: string;
  readonly parts: readonly Part[];
  readonly history: readonly unknown[];
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly traceparent: string | undefined;
  /** The caller reads a stream: chunks reach them as they come. */
  readonly streaming: boolean;
  /** Aborted when the task is cancelled or the process stops. */
  readonly signal: AbortSignal;
}

export interface Executor {
  /** Ends with one `message` at the latest when it returns; none is `(no response generated)`. What it throws becomes `Agent error …`. */
  execute(context: ExecutionContext, events: EventQueue): Promise<void>;
  cancel(context: ExecutionContext, events: EventQueue): Promise<void>;
}

/** Thrown by an executor whose text may be shown: `Agent error: <text>`. Anything else shows only its class; the rest is logged. */
export class AgentError extends Error {
  override get name(): string {
    return 'AgentError';
  }
}

export interface Transcript {
  readonly runtime: string;
  readonly supported: boolean;
  readonly lines: readonly unknown[];
  readonly cursor: number;
  readonly more: boolean;
  readonly source?: string;
}

export interface LoadedSkill {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly tags: readonly string[];
  readonly examples?: readonly string[];
}

/** How many messages run at a time, and what becomes of one more: it waits, or its connection is reset. */
export interface Concurrency {
  readonly max: number;
  readonly whenBusy: 'wait' | 'reset';
}

/** The static side: `Adapter.name()` and so on. */
export interface AdapterClass {
  new (): BaseAdapter;
  name(): string;
  displayName(): string;
  description(): string;
  getConfigSchema(): Readonly<Record<string, unknown>>;
}

/** The defaults of spec 4 §9. A subclass needs `setup`, `createExecutor` and the three static names. */
export abstract class BaseAdapter {
  static getConfigSchema(): Readonly<Record<string, unknown>> {
    return {};
  }

  readonly loadedSkills: readonly LoadedSkill[] = [];
  /** What `restoreState` was given; `preStopState` hands it on. */
  protected state: Readonly<Record<string, unknown>> = {};

  /** Read at each beat; a throw leaves `runtime_metadata` out of that beat. */
  capabilities(): RuntimeCapabilities {
    return NO_CAPABILITIES;
  }

  /** Seconds > 0 replace the platform's idle timeout for this workspace. */
  idleTimeoutOverride(): number | undefined {
    return undefined;
  }

  concurrency(): Concurrency {
    return { max: Number.POSITIVE_INFINITY, whenBusy: 'wait' };
  }

  /** The file that plugins' rules are appended to. */
  memoryFilename(): string {
    return 'CLAUDE.md';
  }

  registerToolHook(_name: string, _tool: unknown): void {}

  registerSubagentHook(_name: string, _spec: unknown): void {}

  /** Appends to a file of the config directory, once: content whose first line is there already is skipped. */
  async appendToMemoryHook(config: AdapterConfig, file: string, content: string): Promise<void> {
    const path = join(config.configPath, file);
    const present = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return '';
      throw error;
    });
    const [marker = ''] = content.split('\n', 1);
    if (!present.split('\n').includes(marker)) await appendFile(path, content);
  }

  async transcriptLines(since: number, _limit: number): Promise<Transcript> {
    return {
      runtime: (this.constructor as unknown as AdapterClass).name(),
      supported: false,
      lines: [],
      cursor: since,
      more: false,
    };
  }

  /** What a snapshot keeps of this agent: `session_id` and `transcript_lines`, where there are any. */
  preStopState(): Readonly<Record<string, unknown>> {
    return this.state;
  }

  restoreState(snapshot: Readonly<Record<string, unknown>>): void {
    this.state = snapshot;
  }

  async installPluginsViaRegistry(_config: AdapterConfig, _plugins: readonly unknown[]): Promise<void> {}

  async injectPlugins(_config: AdapterConfig, _plugins: readonly unknown[]): Promise<void> {}

  /** Once, before the executor is made. A throw ends the process. */
  abstract setup(config: AdapterConfig): Promise<void>;

  abstract createExecutor(config: AdapterConfig): Promise<Executor>;
}
