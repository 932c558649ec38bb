/**
 * The reply that a stream of A2A events amounts to: what is recorded of it, and what canvases are told. Pure and total.
 *
 *   R1. It is what `message/send` would have answered: the message or the error that came last, as it was written; or the task,
 *       with the status and the artifacts that later events gave it. Both shapes of events are understood: with a `kind`
 *       (A2A 0.3), and wrapped by their name (1.0).
 *   R2. What is no JSON-RPC response is passed over. Of nothing else, and of more than `maxLength`, the reply is `null`.
 */
import { isObject, own } from './normalise.ts';

type Members = Record<string, unknown>;

/** A task as far as it is known. */
interface Task {
  /** The last response that told of it, but for its result. */
  envelope: Members;
  readonly wrapped: boolean;
  /** As it was written, while nothing has been added. */
  written: string | null;
  task: Members;
  readonly artifacts: Map<unknown, Artifact>;
  /** How much was read into it, and how much of that the next status replaces. */
  length: number;
  statusLength: number;
}

interface Artifact {
  value: Members;
  length: number;
}

export class StreamReply {
  readonly #maxLength: number;
  /** `null`: more came than can be kept. */
  #reply: string | Task | null = 'null';

  constructor(maxLength: number) {
    this.#maxLength = maxLength;
  }

  /** The data of one event; `null`: it was too large to be looked at. */
  take(data: string | null): void {
    const response = data === null ? {} : parse(data);
    if (data === null) this.#reply = null;
    else if (isObject(own(response, 'error'))) this.#reply = data;
    else if (Object.hasOwn(response, 'result')) this.#reply = this.#after(this.#reply, response, data);
    if (isTask(this.#reply) && this.#reply.length > this.#maxLength) this.#reply = null; // R2
  }

  /** How many characters of events it keeps. */
  get held(): number {
    return this.#reply?.length ?? 0;
  }

  /** Of what came so far there is no reply. */
  forget(): void {
    this.#reply = null;
  }

  /** As JSON text. */
  text(): string {
    if (!isTask(this.#reply)) return this.#reply ?? 'null';
    const { written, envelope, wrapped, task, artifacts } = this.#reply;
    if (written !== null) return written;
    const whole = artifacts.size === 0 ? task : { ...task, artifacts: [...artifacts.values()].map(({ value }) => value) };
    try {
      return JSON.stringify({ ...envelope, result: wrapped ? { task: whole } : whole });
    } catch {
      return 'null'; // too deep, or too long, to be written again
    }
  }

  #after(before: string | Task | null, response: Members, data: string): string | Task | null {
    const { kind, value, wrapped } = eventOf(response['result']);
    if (kind === 'other') return data;
    if (kind === 'task') return begun({ response, value, wrapped, written: data, length: data.length });
    if (before === null) return null;
    const known = isTask(before) ? before : begun({ response, value: taskOf(value, wrapped), wrapped, written: null, length: 0 });
    known.envelope = without(response, 'result');
    known.written = null;
    if (kind === 'status') addStatus(known, value, data.length);
    else addArtifact(known, value, data.length);
    return known;
  }
}

const isTask = (reply: string | Task | null): reply is Task => typeof reply === 'object' && reply !== null;

const parse = (text: string): Members => {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : {};
  } catch {
    return {};
  }
};

interface Event {
  readonly kind: 'task' | 'status' | 'artifact' | 'other';
  readonly value: Members;
  readonly wrapped: boolean;
}

const KINDS = { task: 'task', 'status-update': 'status', 'artifact-update': 'artifact' } as const;
const WRAPPERS = { task: 'task', statusUpdate: 'status', artifactUpdate: 'artifact' } as const;

function eventOf(result: unknown): Event {
  for (const [name, kind] of Object.entries(KINDS))
    if (isObject(result) && own(result, 'kind') === name) return { kind, value: result, wrapped: false };
  for (const [name, kind] of Object.entries(WRAPPERS)) {
    const value = own(result, name);
    if (isObject(value)) return { kind, value, wrapped: true };
  }
  return { kind: 'other', value: {}, wrapped: false };
}

function begun({
  response,
  value: { artifacts, ...task },
  wrapped,
  written,
  length,
}: Pick<Event, 'value' | 'wrapped'> & { response: Members; written: string | null; length: number }): Task {
  const given = Array.isArray(artifacts) ? artifacts.filter(isObject) : [];
  return {
    envelope: without(response, 'result'),
    wrapped,
    written,
    task,
    artifacts: new Map(given.map((value) => [idOf(value), { value, length: 0 }])),
    length,
    statusLength: 0,
  };
}

/** A stream that was joined late tells of a task by its ids only. */
function taskOf(update: Members, wrapped: boolean): Members {
  const task: Members = wrapped ? {} : { kind: 'task' };
  if (Object.hasOwn(update, 'taskId')) task['id'] = update['taskId'];
  if (Object.hasOwn(update, 'contextId')) task['contextId'] = update['contextId'];
  return task;
}

function addStatus(known: Task, update: Members, length: number): void {
  const metadata = own(update, 'metadata');
  known.length += length - known.statusLength;
  known.statusLength = isObject(metadata) ? 0 : length;
  const { task } = known;
  if (Object.hasOwn(update, 'status')) task['status'] = update['status'];
  if (isObject(metadata)) task['metadata'] = { ...(isObject(task['metadata']) && task['metadata']), ...metadata };
  if (Object.hasOwn(update, 'usage')) task['usage'] = update['usage'];
}

function addArtifact(known: Task, update: Members, length: number): void {
  const value = own(update, 'artifact');
  if (!isObject(value)) return;
  const id = idOf(value);
  const before = known.artifacts.get(id);
  known.length += length;
  if (before && update['append'] === true) {
    before.length += length;
    before.value = { ...before.value, ...value, parts: joined(partsOf(before.value), partsOf(value)) };
    return;
  }
  known.length -= before?.length ?? 0;
  known.artifacts.set(id, { value, length });
}

const idOf = (artifact: Members): unknown => own(artifact, 'artifactId');

const partsOf = (artifact: Members): unknown[] => {
  const parts = own(artifact, 'parts');
  return Array.isArray(parts) ? parts : [];
};

/** Text that comes in pieces is one text. */
function joined(parts: unknown[], more: readonly unknown[]): unknown[] {
  for (const part of more) {
    const last = parts.at(-1);
    if (isText(last) && isText(part)) last.text += part.text;
    else parts.push(part);
  }
  return parts;
}

/** A part that is text and nothing else. */
const isText = (part: unknown): part is { text: string } =>
  isObject(part) &&
  typeof part['text'] === 'string' &&
  Object.keys(part).every((name) => name === 'text' || (name === 'kind' && part['kind'] === 'text'));

const without = (object: Members, name: string): Members => {
  const { [name]: _, ...rest } = object;
  return rest;
};
