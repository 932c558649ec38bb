/** The tasks of this process, for `tasks/get` and `tasks/cancel`: those at work, and the latest that ended. */
import type { ExecutionContext } from '../adapter.ts';

export type TaskState = 'submitted' | 'working' | 'completed' | 'failed' | 'canceled';

export interface Artifact {
  readonly artifactId: string;
  readonly parts: readonly { readonly kind: 'text'; readonly text: string }[];
}

export interface Task {
  readonly id: string;
  readonly contextId: string;
  state: TaskState;
  since: string;
  message: unknown;
  readonly artifacts: Map<string, string>;
  readonly abort: AbortController;
  context: ExecutionContext | undefined;
}

const ENDED_TASKS_KEPT = 200;

export class Tasks {
  readonly #tasks = new Map<string, Task>();
  readonly #ended: string[] = [];

  add(id: string, contextId: string): Task {
    const task: Task = {
      id,
      contextId,
      state: 'submitted',
      since: new Date().toISOString(),
      message: undefined,
      artifacts: new Map(),
      abort: new AbortController(),
      context: undefined,
    };
    this.#tasks.set(id, task);
    return task;
  }

  get(id: string): Task | undefined {
    return this.#tasks.get(id);
  }

  /** A task that has ended stays as it ended. */
  move(task: Task, state: TaskState): void {
    if (isEnded(task)) return;
    task.state = state;
    task.since = new Date().toISOString();
    if (!isEnded(task)) return;
    this.#ended.push(task.id);
    if (this.#ended.length > ENDED_TASKS_KEPT) this.#tasks.delete(this.#ended.shift() as string);
  }

  abortAll(): void {
    for (const task of this.#tasks.values()) if (!isEnded(task)) task.abort.abort();
  }
}

export const isEnded = ({ state }: Task): boolean => state === 'completed' || state === 'failed' || state === 'canceled';

/** A task as A2A shows it. */
export const taskShown = (task: Task): object => ({
  kind: 'task',
  id: task.id,
  contextId: task.contextId,
  status: { state: task.state, timestamp: task.since, ...(task.message === undefined ? {} : { message: task.message }) },
  artifacts: [...task.artifacts].map(([artifactId, text]): Artifact => ({ artifactId, parts: [{ kind: 'text', text }] })),
});
