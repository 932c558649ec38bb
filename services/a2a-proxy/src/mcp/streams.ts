/**
 * `GET /workspaces/:id/mcp/stream` (spec 2 §7.11): tells clients of old where to send, and that we are there.
 *
 *   S1. It ends when the client leaves, when the right that opened it is over, and when the service stops.
 *   S2. So many are open at once, in all and of one bearer; who does not read is cut off.
 */
import type { ServerResponse } from 'node:http';
import { Refusal } from '@molecule/contracts';

const MAX_OPEN = 2_000;
const MAX_OF_ONE = 32;
/** Pings are a few bytes: this many unread are hours of silence. */
const MAX_UNREAD_BYTES = 4 * 1024;
export const PING_EVERY_MS = 30_000;
export const TOO_MANY = 'too many open streams';

interface Stream {
  readonly workspaceId: string;
  readonly bearer: string;
  /** Whether the right that opened it still stands. */
  readonly isGood: () => boolean;
}

export class McpStreams {
  readonly #open = new Map<ServerResponse, Stream>();
  readonly #limits: { readonly all: number; readonly ofOne: number };
  #closing = false;

  constructor(limits = { all: MAX_OPEN, ofOne: MAX_OF_ONE }) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#open.size;
  }

  /** @throws Refusal when too many are open */
  begin(response: ServerResponse, headers: Readonly<Record<string, string>>, stream: Stream): void {
    const ofOne = [...this.#open.values()].filter(({ bearer }) => bearer === stream.bearer).length;
    if (this.#closing || this.#open.size >= this.#limits.all || ofOne >= this.#limits.ofOne)
      throw new Refusal('too-many', TOO_MANY, { headers: { ...headers, 'Retry-After': '30' } });
    this.#open.set(response, stream);
    response.once('close', () => this.#open.delete(response)).on('error', () => response.destroy());
    response.writeHead(200, { ...headers, ...HEADERS });
    response.write(`event: endpoint\ndata: /workspaces/${stream.workspaceId}/mcp\n\n`);
  }

  /** Ends those whose right is over, of one workspace or of all (S1). */
  judge(workspaceId?: string): void {
    for (const [response, stream] of this.#open)
      if ((workspaceId === undefined || stream.workspaceId === workspaceId) && !stream.isGood()) response.end();
  }

  /** Says to each that we are there. */
  ping(): void {
    this.judge();
    for (const response of this.#open.keys()) {
      if (response.writableEnded) continue;
      if (response.writableLength > MAX_UNREAD_BYTES) response.destroy();
      else response.write(': ping\n\n');
    }
  }

  /** Ends all of them; none begins after. */
  close(): void {
    this.#closing = true;
    for (const response of this.#open.keys()) response.end();
  }
}

const HEADERS = {
  'Content-Type': 'text/event-stream',
  'Cache-Control': 'no-cache',
  Connection: 'keep-alive',
  'X-Accel-Buffering': 'no',
} as const;
