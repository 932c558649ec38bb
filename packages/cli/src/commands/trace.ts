/** `molecule trace <id>`: the whole way of one message: hops, waits, attempts, decisions. */
import { z } from 'zod';
import { Api } from '../api.ts';
import { type Command, jsonOption, textOf, urlOption } from '../command.ts';
import { type Colour, oneLine, painter, table } from '../format.ts';
import type { Terminal } from '../terminal.ts';
import { findTarget } from '../where.ts';

const Steps = z.array(z.looseObject({ at: z.string(), what: z.string(), text: z.string() }));
const Party = z.looseObject({ id: z.string(), name: z.string() });

/** What of `GET /admin/trace/:id` is shown. */
export const Trace = z.looseObject({
  asked: z.array(z.string()),
  messages: z.array(
    z.looseObject({
      id: z.string(),
      parent_id: z.string().nullable(),
      depth: z.number(),
      source: z.string(),
      from: Party.nullable(),
      to: Party,
      method: z.string(),
      state: z.string(),
      started_at: z.string(),
      ended_at: z.string().nullable(),
      dispatches: z.number(),
      waited_ms: z.number(),
      steps: Steps,
    }),
  ),
  delegations: z.array(z.looseObject({ delegation_id: z.string(), from: Party, to: Party, state: z.string(), steps: Steps })),
  truncated: z.boolean(),
});
export type Trace = z.infer<typeof Trace>;

export const trace: Command = {
  name: 'trace',
  summary: 'the whole way of a message: hops, waits, attempts, decisions',
  argument: 'id',
  options: { ...urlOption, ...jsonOption },
  async run(terminal, values) {
    const api = new Api(await findTarget(terminal.env, textOf(values, 'url')), terminal.signal);
    const told = await api.get(`/admin/trace/${encodeURIComponent(textOf(values, 'id') ?? '')}`, Trace);
    if (values['json'] === true) terminal.out(JSON.stringify(told));
    else for (const line of traceLines(told, terminal)) terminal.out(line);
    return 0;
  },
};

const COLOURS: Readonly<Record<string, Colour>> = {
  answered: 'green',
  completed: 'green',
  open: 'blue',
  sent: 'blue',
  dispatched: 'blue',
  waiting: 'yellow',
  queued: 'yellow',
  unreached: 'red',
  failed: 'red',
  dropped: 'red',
};

type Message = Trace['messages'][number];

export function traceLines({ asked, messages, delegations, truncated }: Trace, terminal: Pick<Terminal, 'colours'>): string[] {
  const paint = painter(terminal);
  const state = (name: string) => paint(COLOURS[name] ?? 'dim', name);
  const levels = levelsOf(messages);
  const lines: string[] = [];
  for (const message of messages) {
    const indent = '  '.repeat(levels.get(message.id) ?? 0);
    const method = message.method === '' ? '' : `${oneLine(message.method, 60)}  `;
    const title = `${sender(message)} → ${nameOf(message.to)}`;
    lines.push(
      `${indent}${asked.includes(message.id) ? paint('bold', title) : title}  ${method}${state(message.state)}${figures(message)}`,
    );
    lines.push(`${indent}  ${paint('dim', message.id)}`);
    lines.push(...stepLines(message.steps, `${indent}  `, paint), '');
  }
  for (const { delegation_id: id, from, to, state: reached, steps } of delegations) {
    lines.push(`delegation ${oneLine(id, 60)}: ${nameOf(from)} → ${nameOf(to)}  ${state(reached)}`);
    lines.push(...stepLines(steps, '  ', paint), '');
  }
  if (truncated) lines.push(paint('yellow', 'There is more: it began something with very many calls.'), '');
  return lines.slice(0, -1);
}

/** How far below its root each message stands: those that it comes after may have been left out. */
function levelsOf(messages: readonly Message[]): ReadonlyMap<string, number> {
  const levels = new Map<string, number>();
  for (const { id, parent_id: parent } of messages) {
    const above = parent === null ? undefined : levels.get(parent);
    levels.set(id, above === undefined ? 0 : above + 1);
  }
  return levels;
}

const nameOf = ({ id, name }: z.infer<typeof Party>): string => (name === '' ? id : oneLine(name, 40));
const sender = ({ from, source }: Message): string => (from === null ? source : nameOf(from));

function figures({ started_at: started, ended_at: ended, waited_ms: waited, dispatches }: Message): string {
  const took = ended === null ? '' : ` after ${seconds(Date.parse(ended) - Date.parse(started))}`;
  const wait = waited === 0 ? '' : `, ${seconds(waited)} of it in the mailbox`;
  return `${took}${wait}${dispatches > 1 ? `, sent ${dispatches} times` : ''}`;
}

const seconds = (ms: number): string => (ms < 1_000 ? `${Math.max(0, Math.round(ms))} ms` : `${(ms / 1_000).toFixed(1)} s`);

const stepLines = (steps: z.infer<typeof Steps>, indent: string, paint: ReturnType<typeof painter>): string[] =>
  table(
    steps.map(({ at, text }) => [paint('dim', at.slice(11, 23)), oneLine(text)]),
    indent,
  );
