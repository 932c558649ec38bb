/** Runs one message through the executor, and makes of what it says a task and an answer. The caller's connection plays no part in it. */
import { randomUUID } from 'node:crypto';
import { AgentError, type AgentEvent, type ExecutionContext, type Executor, type Part } from '../adapter.ts';
import type { Heartbeat } from '../heartbeat.ts';
import type { Log } from '../log.ts';
import { type SendParams, summarise, textOf, understoodParts } from './messages.ts';
import { isEnded, type Task, type Tasks } from './tasks.ts';

const NO_CONTENT = 'Error: message contained no text content.';
const NO_RESPONSE = '(no response generated)';
const MOST_TOOL_TRACES = 200;
/** A longer answer is given once, and is not there again for `tasks/get`. */
const LONGEST_TEXT_KEPT = 64 * 1024;

export interface ExecutionParts {
  readonly executor: Executor;
  readonly tasks: Tasks;
  readonly heartbeat: Pick<Heartbeat, 'taskStarted' | 'taskEnded'>;
  readonly log: Log;
}

export interface Delivery {
  readonly params: SendParams;
  readonly streaming: boolean;
  readonly traceparent: string | undefined;
  /** Told what happens on the way, in the shapes of `message/stream`. */
  readonly onEvent: (event: object) => void;
}

/** Resolves with the message that answers; it never rejects: a failed agent is a text that begins `Agent error` (spec 4 §6.4). */
export async function runMessage(
  { executor, tasks, heartbeat, log }: ExecutionParts,
  task: Task,
  { params, streaming, traceparent, onEvent }: Delivery,
): Promise<object> {
  const parts = understoodParts(params.message.parts);
  if (parts.length === 0 || (textOf(parts).trim() === '' && !parts.some(({ kind }) => kind === 'file'))) {
    tasks.move(task, 'completed');
    return answer(task, [{ kind: 'text', text: NO_CONTENT }]);
  }

  const context: ExecutionContext = {
    taskId: task.id,
    contextId: task.contextId,
    text: textOf(parts),
    parts,
    history: historyOf(params),
    metadata: { ...params.metadata, ...params.message.metadata },
    traceparent,
    streaming,
    signal: task.abort.signal,
  };
  task.context = context;
  tasks.move(task, 'working');
  heartbeat.taskStarted(summarise(context.text));
  onEvent({
    kind: 'status-update',
    taskId: task.id,
    contextId: task.contextId,
    status: { state: 'working', timestamp: task.since },
    final: false,
  });

  let said: Extract<AgentEvent, { kind: 'message' }> | undefined;
  let failure: string | undefined;
  try {
    await executor.execute(context, {
      enqueue: (event) => {
        if (event.kind === 'message') said = event;
        else onEvent(artifactUpdate(task, event));
      },
    });
  } catch (error) {
    failure = failureText(error);
    log.error({ err: error, taskId: task.id }, 'the agent failed');
  }
  const cancelled = isEnded(task);
  tasks.move(task, failure === undefined ? 'completed' : 'failed');
  heartbeat.taskEnded(cancelled ? undefined : failure);
  if (failure !== undefined) return answer(task, [{ kind: 'text', text: failure }]);
  return said === undefined ? answer(task, [{ kind: 'text', text: NO_RESPONSE }]) : answer(task, said.parts, said);
}

function artifactUpdate(task: Task, { artifactId, text, append, lastChunk }: Extract<AgentEvent, { kind: 'artifact' }>): object {
  task.artifacts.set(artifactId, append ? (task.artifacts.get(artifactId) ?? '') + text : text);
  const artifact = { artifactId, parts: [{ kind: 'text', text }] };
  return { kind: 'artifact-update', taskId: task.id, contextId: task.contextId, artifact, append, lastChunk };
}

const answer = (task: Task, parts: readonly Part[], said?: Extract<AgentEvent, { kind: 'message' }>): object => {
  const trace = said?.toolTrace?.slice(0, MOST_TOOL_TRACES).map(({ tool, input, output_preview }) => ({
    tool,
    input: input.slice(0, 500),
    output_preview: output_preview.slice(0, 300),
  }));
  const message = {
    kind: 'message',
    role: 'agent',
    messageId: randomUUID(),
    taskId: task.id,
    contextId: task.contextId,
    parts,
    ...(trace === undefined || trace.length === 0 ? {} : { metadata: { tool_trace: trace } }),
    ...(said?.usage === undefined ? {} : { usage: said.usage }),
  };
  if (textOf(parts).length <= LONGEST_TEXT_KEPT) task.message = message;
  return message;
};

/** Only what an adapter chose to say leaves the process; of everything else, the class. */
const failureText = (error: unknown): string =>
  error instanceof AgentError
    ? `Agent error: ${error.message}`
    : `Agent error (${error instanceof Error ? error.name : 'unknown'}) — see workspace logs for details.`;

const historyOf = ({ metadata }: SendParams): readonly unknown[] => {
  const history = metadata?.['history'];
  return Array.isArray(history) ? history : [];
};
