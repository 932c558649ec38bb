/** `molecule queue [workspace]`: what waits in mailboxes; `molecule queue cancel <id>`: takes one out. */
import { z } from 'zod';
import { Api } from '../api.ts';
import { type Command, jsonOption, textOf, urlOption } from '../command.ts';
import { ago, type Colour, count, oneLine, painter, table } from '../format.ts';
import { CliError, type Terminal } from '../terminal.ts';
import { findTarget } from '../where.ts';
import { workspaceId } from '../workspace.ts';

export const Mailboxes = z.array(
  z.looseObject({
    workspace_id: z.string(),
    name: z.string().nullable(),
    queued: z.number(),
    dispatched: z.number(),
    oldest_enqueued_at: z.string(),
  }),
);
export type Mailboxes = z.infer<typeof Mailboxes>;

/** What of a queued request is shown. */
export const QueueItem = z.looseObject({
  queue_id: z.string(),
  caller_id: z.string().nullable(),
  source: z.string(),
  state: z.string(),
  position: z.number().nullable(),
  attempts: z.number(),
  enqueued_at: z.string(),
  last_error: z.string().nullable(),
});
export type QueueItem = z.infer<typeof QueueItem>;

export const queue: Command = {
  name: 'queue',
  summary: 'what waits for busy agents, and what is next; with `cancel <id>` takes one out',
  arguments: ['workspace?', 'id?'],
  options: {
    state: { type: 'string', value: 'state', help: 'queued, dispatched, completed, failed or dropped (else what has not ended)' },
    limit: { type: 'string', value: 'n', help: 'at most this many (else 100)' },
    ...urlOption,
    ...jsonOption,
  },
  async run(terminal, values) {
    const api = new Api(await findTarget(terminal.env, textOf(values, 'url')), terminal.signal);
    const [named, id] = [textOf(values, 'workspace'), textOf(values, 'id')];
    const json = values['json'] === true;
    if (named === 'cancel') return cancel(api, terminal, { id, json });
    if (id !== undefined) throw new CliError('molecule queue takes one workspace, or `cancel` and an id', 2);
    const asked = new URLSearchParams();
    for (const name of ['state', 'limit']) {
      const value = textOf(values, name);
      if (value !== undefined) asked.set(name, value);
    }
    const query = asked.size === 0 ? '' : `?${asked}`;
    if (named === undefined) {
      const mailboxes = await api.get(`/admin/a2a-queue${query}`, Mailboxes);
      if (json) terminal.out(JSON.stringify(mailboxes));
      else for (const line of mailboxLines(mailboxes, terminal)) terminal.out(line);
      return 0;
    }
    const items = await api.get(`/workspaces/${await workspaceId(api, named)}/a2a/queue${query}`, z.array(QueueItem));
    if (json) terminal.out(JSON.stringify(items));
    else for (const line of queueLines(items, terminal)) terminal.out(line);
    return 0;
  },
};

async function cancel(api: Api, terminal: Terminal, { id, json }: { id: string | undefined; json: boolean }): Promise<number> {
  if (id === undefined || !z.guid().safeParse(id).success)
    throw new CliError('molecule queue cancel takes the id of a queued request, as `molecule queue <workspace>` shows it', 2);
  const Cancelled = z.looseObject({ queue_id: z.string() });
  const cancelled = await api.delete(`/admin/a2a-queue/${id.toLowerCase()}`, Cancelled);
  terminal.out(json ? JSON.stringify(cancelled) : `Cancelled: ${cancelled.queue_id}.`);
  return 0;
}

const COLOURS: Readonly<Record<string, Colour>> = {
  queued: 'yellow',
  dispatched: 'blue',
  completed: 'green',
  failed: 'red',
  dropped: 'dim',
};

export function mailboxLines(mailboxes: Mailboxes, terminal: Pick<Terminal, 'colours'>, nowMs = Date.now()): string[] {
  const paint = painter(terminal);
  if (mailboxes.length === 0) return [paint('green', 'Nothing waits.')];
  const title = ['WORKSPACE', 'NAME', 'QUEUED', 'DISPATCHED', 'OLDEST'].map((name) => paint('dim', name));
  const rows = mailboxes.map(({ workspace_id: id, name, queued, dispatched, oldest_enqueued_at: oldest }) => [
    id,
    name === null ? '-' : oneLine(name, 30),
    String(queued),
    String(dispatched),
    ago(oldest, nowMs),
  ]);
  return table([title, ...rows]);
}

export function queueLines(items: readonly QueueItem[], terminal: Pick<Terminal, 'colours'>, nowMs = Date.now()): string[] {
  const paint = painter(terminal);
  if (items.length === 0) return [paint('green', 'Nothing is there.')];
  const title = ['ID', 'STATE', 'POSITION', 'AGE', 'ATTEMPTS', 'FROM', 'LAST ERROR'].map((name) => paint('dim', name));
  const rows = items.map((item) => [
    item.queue_id,
    paint(COLOURS[item.state] ?? 'dim', item.state),
    item.position === null ? '-' : String(item.position),
    ago(item.enqueued_at, nowMs),
    String(item.attempts),
    item.caller_id ?? item.source,
    item.last_error === null ? '' : oneLine(item.last_error, 80),
  ]);
  return [...table([title, ...rows]), '', `${count(items.length, 'request')}.`];
}
