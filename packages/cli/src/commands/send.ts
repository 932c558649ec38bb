/** `molecule send <workspace> <text>`: says something to an agent, and shows what it answers; or follows it through the mailbox. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { type Answer, Api } from '../api.ts';
import { type Command, jsonOption, textOf, urlOption } from '../command.ts';
import { manyLines, oneLine } from '../format.ts';
import { CliError, type Terminal } from '../terminal.ts';
import { findTarget } from '../where.ts';
import { workspaceId } from '../workspace.ts';
import { QueueItem } from './queue.ts';

/** Agents may think for long: the platform itself gives up before. */
const ANSWER_MS = 24 * 3_600_000;
const WAIT_SECONDS = 30;

const Queued = z.object({ queued: z.literal(true), queue_id: z.string(), queue_depth: z.number() });
const Followed = QueueItem.extend({ result: z.unknown() });

export const send: Command = {
  name: 'send',
  summary: 'says something to an agent, and shows what it answers',
  arguments: ['workspace', 'text'],
  options: {
    as: { type: 'string', value: 'workspace', help: 'in the name of this workspace; MOLECULE_WORKSPACE_TOKEN is its token' },
    wait: { type: 'boolean', help: 'if the agent is busy, follow the message until there is an answer' },
    ...urlOption,
    ...jsonOption,
  },
  async run(terminal, values) {
    const api = new Api(await findTarget(terminal.env, textOf(values, 'url')), terminal.signal);
    const to = await workspaceId(api, textOf(values, 'workspace') ?? '');
    const as = textOf(values, 'as');
    const headers = as === undefined ? {} : senderHeaders(await workspaceId(api, as), terminal);
    const body = JSON.stringify({
      jsonrpc: '2.0',
      id: randomUUID(),
      method: 'message/send',
      params: {
        message: { role: 'user', messageId: randomUUID(), parts: [{ kind: 'text', text: textOf(values, 'text') ?? '' }] },
      },
    });
    const answer = await api.send('POST', `/workspaces/${to}/a2a`, {
      headers: { 'content-type': 'application/json', ...headers },
      body,
      timeoutMs: ANSWER_MS,
    });
    const told = { json: values['json'] === true, headers };
    const queued = answer.status === 202 ? Queued.safeParse(answer.json) : undefined;
    if (queued?.success !== true) return showAnswer(answer, terminal, told);
    const at = answer.location ?? `/workspaces/${to}/a2a/queue/${queued.data.queue_id}`;
    return values['wait'] === true ? follow(api, terminal, at, told) : showQueued(api, terminal, at, { ...told, answer });
  },
};

/** With the token of the workspace, if there is one to show: the admin's opens other doors. */
function senderHeaders(as: string, { env }: Terminal): Record<string, string> {
  const token = env['MOLECULE_WORKSPACE_TOKEN'];
  return { 'x-workspace-id': as, ...(token && { authorization: `Bearer ${token}` }) };
}

interface Told {
  readonly json: boolean;
  readonly headers: Record<string, string>;
}

function showAnswer({ status, text, json }: Answer, terminal: Terminal, told: Told): number {
  const failure = failureOf(json);
  if (status < 200 || status > 299) throw new CliError(`${failure ?? `status ${status}`}${hintOf(status, json, told)}`);
  if (told.json) terminal.out(text);
  else if (failure !== undefined) throw new CliError(`The agent answered with an error: ${failure}`);
  else terminal.out(manyLines(replyText(json) ?? text));
  return 0;
}

const hintOf = (status: number, json: unknown, { headers }: Told): string => {
  if (status === 401 && headers['x-workspace-id'] !== undefined)
    return ' (MOLECULE_WORKSPACE_TOKEN is to be a token of the sender)';
  if (status === 401) return ' (ADMIN_TOKEN is to be the token that Molecule was started with)';
  const { queue_depth: depth } = (json ?? {}) as { readonly queue_depth?: unknown };
  return status === 429 && typeof depth === 'number' ? ` (${depth} requests wait)` : '';
};

async function showQueued(
  api: Api,
  terminal: Terminal,
  at: string,
  { answer, ...told }: Told & { readonly answer: Answer },
): Promise<number> {
  if (told.json) {
    terminal.out(answer.text);
    return 0;
  }
  const item = await look(api, at, told.headers, 0);
  for (const line of queuedLines(item)) terminal.out(line);
  return 0;
}

export const queuedLines = ({ queue_id: id, position }: Pick<QueueItem, 'queue_id' | 'position'>): string[] => [
  `The agent is busy: the message waits as ${id}${position === null ? '' : `, ${ordinal(position)} in the mailbox`}.`,
  '`molecule queue` shows what waits; --wait waits for the answer.',
];

async function follow(api: Api, terminal: Terminal, at: string, told: Told): Promise<number> {
  let item = await look(api, at, told.headers, 0);
  terminal.note(queuedLines(item)[0] ?? '');
  while (item.state === 'queued' || item.state === 'dispatched') item = await look(api, at, told.headers, WAIT_SECONDS);
  if (told.json) terminal.out(JSON.stringify(item));
  if (item.state !== 'completed')
    throw new CliError(`The message ${item.state === 'failed' ? 'failed' : 'was dropped'}: ${oneLine(item.last_error ?? '-')}`);
  if (told.json) return 0;
  const failure = failureOf(item.result);
  if (failure !== undefined) throw new CliError(`The agent answered with an error: ${failure}`);
  const { result } = item;
  terminal.out(manyLines(typeof result === 'string' ? result : (replyText(result) ?? JSON.stringify(result))));
  return 0;
}

async function look(
  api: Api,
  at: string,
  headers: Record<string, string>,
  waitSeconds: number,
): Promise<z.infer<typeof Followed>> {
  const { status, json } = await api.send('GET', `${at}?wait=${waitSeconds}`, { headers, timeoutMs: (waitSeconds + 30) * 1_000 });
  const item = Followed.safeParse(json);
  if (status !== 200 || !item.success)
    throw new CliError(`The message cannot be followed: ${failureOf(json) ?? `status ${status}`}`);
  return item.data;
}

/** What an answer says went wrong: the platform's text, or the error of JSON-RPC. */
function failureOf(json: unknown): string | undefined {
  const { error } = (json ?? {}) as { readonly error?: unknown };
  if (typeof error === 'string') return oneLine(error);
  const { message } = (error ?? {}) as { readonly message?: unknown };
  return typeof message === 'string' ? oneLine(message) : undefined;
}

const Part = z.looseObject({ text: z.string() });
const Parts = z.looseObject({ parts: z.array(z.unknown()) });
const Result = z.looseObject({
  result: z.looseObject({
    parts: z.array(z.unknown()).optional(),
    status: z.looseObject({ message: Parts.optional() }).optional(),
    artifacts: z.array(Parts).optional(),
  }),
});

/** The texts of a message, or of what a task has brought forth; `undefined` where there are none. */
export function replyText(json: unknown): string | undefined {
  const { success, data } = Result.safeParse(json);
  if (!success) return undefined;
  const { parts = [], artifacts = [], status } = data.result;
  for (const said of [parts, artifacts.flatMap((artifact) => artifact.parts), status?.message?.parts ?? []]) {
    const texts = said.flatMap((part) => {
      const text = Part.safeParse(part);
      return text.success ? [text.data.text] : [];
    });
    if (texts.length > 0) return texts.join('\n');
  }
  return undefined;
}

const ORDINALS = ['first', 'second', 'third'];
const ordinal = (n: number): string => ORDINALS[n - 1] ?? `number ${n}`;
