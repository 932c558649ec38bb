/**
 * `molecule events [--follow]`: what happened, oldest first; then what happens, as the canvas hears it.
 *
 *   V1. While following, the socket is opened before the log is read, and both are shown once: nothing falls between them.
 *   V2. A connection that is lost is made again, later each time, with the place that was reached: what was missed is told first.
 *       Where the platform cannot tell all of it, it says so, so do we, and the log is read again.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import WebSocket from 'ws';
import { z } from 'zod';
import { Api } from '../api.ts';
import { type Command, jsonOption, textOf, urlOption } from '../command.ts';
import { type Colour, oneLine, painter } from '../format.ts';
import { CliError, type Terminal } from '../terminal.ts';
import { findTarget } from '../where.ts';

/** A row of `GET /events` (spec 1 §6.1). */
const LogEntry = z.object({
  id: z.union([z.string(), z.number()]),
  event_type: z.string(),
  workspace_id: z.string().nullable(),
  payload: z.unknown(),
  created_at: z.string(),
});

/** A frame of `/ws`. */
export const Frame = z.object({
  event: z.string(),
  workspace_id: z.string(),
  timestamp: z.string(),
  payload: z.unknown(),
  /** Where it stands, to come back with. */
  seq: z.string().optional(),
});
export type Frame = z.infer<typeof Frame>;

/** Some of what was missed cannot be told. */
const Gap = z.object({ event: z.literal('GAP'), payload: z.object({ reason: z.string() }) });

const FIRST_RETRY_MS = 500;
const LAST_RETRY_MS = 10_000;

export const events: Command = {
  name: 'events',
  summary: 'what happened to workspaces; with --follow also what happens now',
  options: {
    follow: { type: 'boolean', help: 'keep listening until Ctrl-C' },
    workspace: { type: 'string', value: 'id', help: 'only this workspace' },
    ...urlOption,
    ...jsonOption,
  },
  async run(terminal, values) {
    const api = new Api(await findTarget(terminal.env, textOf(values, 'url')), terminal.signal);
    const workspace = textOf(values, 'workspace')?.toLowerCase();
    const printer = new Printer(terminal, { json: values['json'] === true, workspace });
    if (values['follow'] === true) await follow(api, printer, terminal, workspace);
    else for (const frame of await readLog(api, workspace)) printer.print(frame);
    return 0;
  },
};

/** Oldest first, as frames. */
async function readLog(api: Api, workspace: string | undefined): Promise<Frame[]> {
  const path = workspace === undefined ? '/events' : `/events/${encodeURIComponent(workspace)}`;
  const entries = await api.get(path, z.array(LogEntry));
  return entries.toReversed().map(({ event_type, workspace_id, payload, created_at }) => ({
    event: event_type,
    workspace_id: workspace_id ?? '',
    timestamp: created_at,
    payload,
  }));
}

async function follow(api: Api, printer: Printer, terminal: Terminal, workspace: string | undefined): Promise<void> {
  const { signal } = terminal;
  let connectedOnce = false;
  let reached: string | undefined;
  const catchUp = async () => {
    for (const frame of await readLog(api, workspace)) printer.print(frame);
  };
  for (let attempt = 0; !signal.aborted; attempt++) {
    try {
      await listen(api, signal, reached, {
        onOpen: async () => {
          if (reached === undefined) await catchUp();
          if (connectedOnce) terminal.note('connected again');
          connectedOnce = true;
          attempt = 0;
        },
        onFrame: async (frame) => {
          if (frame.seq) reached = frame.seq;
          const gap = Gap.safeParse(frame);
          if (!gap.success) return printer.print(frame);
          terminal.note(`events were missed (${gap.data.payload.reason}); reading the log`);
          await catchUp();
        },
      });
      if (!signal.aborted) terminal.note('the connection was closed; trying again');
    } catch (error) {
      // The first time, what is wrong is for the person to mend; later it is an interruption.
      if (!connectedOnce) throw error;
      if (attempt === 0) terminal.note(`${error instanceof Error ? error.message : String(error)} Trying again.`);
    }
    const pause = Math.min(FIRST_RETRY_MS * 2 ** attempt, LAST_RETRY_MS);
    await sleep(pause, undefined, { signal }).catch(() => {});
  }
}

interface Listening {
  /** Frames wait until it is done (V1); so they do behind a gap. */
  onOpen(): Promise<void>;
  onFrame(frame: Frame): void | Promise<void>;
}

/** Resolves when the socket has closed. */
function listen(api: Api, signal: AbortSignal, since: string | undefined, { onOpen, onFrame }: Listening): Promise<void> {
  return new Promise((resolve, reject) => {
    const url = since === undefined ? api.socketUrl : `${api.socketUrl}?since=${encodeURIComponent(since)}`;
    const socket = new WebSocket(url, { headers: api.headers, handshakeTimeout: 10_000 });
    const stop = () => socket.terminate();
    const fail = (error: unknown) => {
      reject(error);
      stop();
    };
    /** What came is handled in order, one after the other. */
    let handled = Promise.resolve();
    const then = (handle: () => void | Promise<void>) => {
      handled = handled.then(handle).catch(fail);
    };
    signal.addEventListener('abort', stop, { once: true });
    socket.on('open', () => then(onOpen));
    socket.on('message', (data) => {
      const frame = Frame.safeParse(parse(String(data)));
      if (frame.success) then(() => onFrame(frame.data));
    });
    socket.on('unexpected-response', (request, response) => {
      request.destroy();
      const { statusCode = 0 } = response;
      const hint = statusCode === 401 || statusCode === 403 ? 'Set ADMIN_TOKEN to the token it was started with.' : '';
      fail(new CliError(`${api.socketUrl} refused the connection with status ${statusCode}. ${hint}`.trim()));
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (signal.aborted) return;
      const why =
        error.code === 'ECONNREFUSED' ? 'Start Molecule with `npm start`, or say where it is with --url.' : error.message;
      reject(new CliError(`${api.socketUrl} cannot be reached. ${why}`));
    });
    socket.on('close', () => {
      signal.removeEventListener('abort', stop);
      void handled.then(resolve);
    });
  });
}

/** How many of the last frames are remembered, to know those that the log shows again. */
const REMEMBERED = 2_000;

export class Printer {
  readonly #terminal: Pick<Terminal, 'out' | 'colours'>;
  readonly #json: boolean;
  readonly #workspace: string | undefined;
  readonly #seen = new Set<string>();

  constructor(
    terminal: Pick<Terminal, 'out' | 'colours'>,
    { json, workspace }: { readonly json: boolean; readonly workspace: string | undefined },
  ) {
    this.#terminal = terminal;
    this.#json = json;
    this.#workspace = workspace;
  }

  print(frame: Frame): void {
    if (this.#workspace !== undefined && frame.workspace_id !== this.#workspace) return;
    const key = `${frame.event} ${frame.workspace_id} ${Date.parse(frame.timestamp)} ${JSON.stringify(frame.payload)}`;
    if (this.#seen.has(key)) return;
    this.#seen.add(key);
    if (this.#seen.size > REMEMBERED) this.#seen.delete(this.#seen.values().next().value as string);
    this.#terminal.out(this.#json ? JSON.stringify(frame) : eventLine(frame, this.#terminal));
  }
}

const colourOf = (event: string): Colour => {
  if (/FAILED|OFFLINE|DENIED/.test(event)) return 'red';
  if (/DEGRADED|SKIPPED|REMOVED/.test(event)) return 'yellow';
  if (/ONLINE|COMPLETE|EXECUTED|APPROVED/.test(event)) return 'green';
  return 'blue';
};

/** `time  event  workspace  payload`, on one line whatever the payload holds. */
export function eventLine({ event, workspace_id, timestamp, payload }: Frame, terminal: Pick<Terminal, 'colours'>): string {
  const paint = painter(terminal);
  const time = paint('dim', oneLine(timestamp.replace('T', ' '), 40).padEnd(24));
  const name = paint(colourOf(event), oneLine(event, 40).padEnd(26));
  const said = JSON.stringify(payload ?? {});
  return `${time}  ${name}  ${oneLine(workspace_id, 40).padEnd(36)}  ${said === '{}' ? '' : oneLine(said)}`.trimEnd();
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
