/**
 * `GET /workspaces/:id/events/stream` (spec 1 §6.3): what happens to one workspace, as server-sent events.
 *
 *   V1. Who may not listen, or asks for a workspace that there is not, hears so before the stream begins.
 *   V2. It is answered on node's own response, and flushed event by event.
 *   V3. It ends when the client leaves, when the right that opened it is over (credential.ts), and when the gateway stops.
 */
import type { ServerResponse } from 'node:http';
import { type DirectoryEntry, platformUnavailable, Refusal } from '@molecule/contracts';
import { problem, type RawRoute, workspaceRefusal } from '@molecule/http';
import type { Log } from '@molecule/service';
import { z } from 'zod';
import { type OpenConnections, TOO_MANY } from '../limits/open-connections.ts';
import type { ClientOptions } from './client.ts';
import { type Credential, credentialOf } from './credential.ts';
import type { Fanout } from './fanout.ts';
import type { Replayer } from './replay.ts';
import { sinceOf } from './seq.ts';
import { EVENT_STREAM } from './wire.ts';

const PATH = '/workspaces/:id/events/stream';
/** How long a client may take to read what was written before the end. */
const ENDING_MS = 1_000;

export interface EventStreamParts {
  readonly fanout: Fanout;
  readonly replayer: Replayer;
  readonly connections: OpenConnections;
  /** The workspace, removed or not; rejects when that cannot be said now. */
  readonly resolve: (workspaceId: string) => Promise<Pick<DirectoryEntry, 'workspaceId'> | undefined>;
  /** Whether the right to listen has ended since it was judged. */
  readonly hasEnded: (credential: Credential) => boolean;
  readonly log: Log;
}

export class EventStreams {
  readonly #parts: EventStreamParts;
  readonly #open = new Set<ServerResponse>();
  #closing = false;

  constructor(parts: EventStreamParts) {
    this.#parts = parts;
  }

  /** Streams that are open. */
  get size(): number {
    return this.#open.size;
  }

  readonly route: RawRoute = {
    method: 'GET',
    pattern: /^\/workspaces\/([^/]+)\/events\/stream$/,
    path: PATH,
    authClass: 'workspace',
    doc: {
      summary: 'Listen to what happens to a workspace',
      description: 'Server-sent events, until the client leaves or the right that opened the stream is over.',
      source: 'spec 1 §6.3',
      answers: { 200: { description: 'The stream of its events', body: 'text/event-stream' } },
      query: z.object({ since: z.string().optional().describe('As `Last-Event-ID`, for who cannot send it') }),
      headers: { 'Last-Event-ID': 'The `id` of the last event that was heard: what was missed since is told first' },
      refusals: [
        ['not-found', 'workspace not found'],
        ['failed', 'failed to verify workspace'],
        ['too-many', TOO_MANY],
      ],
    },
    handle: async (request, response, { params, context: { principal, peer } }) => {
      const id = (params[0] ?? '').toLowerCase();
      const refusal = workspaceRefusal(principal, id);
      if (refusal !== null) throw refusal; // V1
      if (!(await this.#verified(id))) throw problem.workspaceNotFound();
      const credential = credentialOf(principal);
      if (this.#parts.hasEnded(credential)) throw problem.invalidWorkspaceToken(); // V3: while the registry was asked
      const { 'last-event-id': last } = request.headers;
      const since = typeof last === 'string' ? last : sinceOf(request.url);
      this.#begin(response, peer, { audience: { kind: 'workspace', id }, credential, since });
    },
  };

  /** Ends all streams; none begins after. */
  close(): void {
    this.#closing = true;
    for (const response of this.#open) end(response);
  }

  /** @throws Refusal 500 when it cannot be said whether there is such a workspace */
  async #verified(id: string): Promise<boolean> {
    try {
      return (await this.#parts.resolve(id)) !== undefined;
    } catch (error) {
      throw new Refusal('failed', 'failed to verify workspace', { cause: error });
    }
  }

  #begin(response: ServerResponse, peer: string, listener: Pick<ClientOptions, 'audience' | 'credential' | 'since'>): void {
    const { fanout, replayer, connections, log } = this.#parts;
    if (this.#closing) throw platformUnavailable();
    if (response.destroyed) return;
    const refusal = connections.judge(peer);
    if (refusal !== null) throw refusal;
    const closed = connections.opened(peer);
    this.#open.add(response);
    const client = fanout.join({
      sink: response,
      wire: EVENT_STREAM,
      ...listener,
      close: (why) => {
        fanout.leave(client);
        // Who does not read would not read the end either.
        if (why === 'too-slow') response.destroy();
        else end(response);
      },
    });
    response.once('close', () => {
      fanout.leave(client);
      this.#open.delete(response);
      closed();
    });
    response.on('error', (error) => log.debug({ err: error }, 'an event stream broke'));
    response.writeHead(200, HEADERS as string[]);
    response.write(': ping\n\n'); // V2
    if (listener.since !== null) void replayer.catchUp(client, listener.since);
  }
}

/** The end is for who reads; who does not, is cut off. */
function end(response: ServerResponse): void {
  response.end();
  setTimeout(() => response.destroy(), ENDING_MS).unref();
}

const HEADERS: readonly string[] = [
  'Content-Type',
  'text/event-stream',
  'Cache-Control',
  'no-cache',
  'Connection',
  'keep-alive',
  'X-Accel-Buffering',
  'no',
];
