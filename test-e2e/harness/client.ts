/** A client of the gateway as scripts and canvases are: HTTP and the socket, nothing else. */
import { once } from 'node:events';
import { waitFor } from '@molecule/testkit';
import { WebSocket } from 'ws';

export interface Answer {
  readonly status: number;
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of a body it says itself
  readonly body: any;
  /** What the answer would have a browser keep, as `Cookie` sends it back. */
  readonly cookie?: string;
  /** Where it says to look. */
  readonly location?: string;
}

export class Client {
  readonly url: string;

  constructor(url: string) {
    this.url = url;
  }

  get(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.#request('GET', path, undefined, headers);
  }

  post(path: string, body: unknown = {}, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.#request('POST', path, body, headers);
  }

  patch(path: string, body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.#request('PATCH', path, body, headers);
  }

  delete(path: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> {
    return this.#request('DELETE', path, undefined, headers);
  }

  /** A workspace of the platform's own, on whatever backend there is. */
  async create(name: string, more: object = {}): Promise<string> {
    const { status, body } = await this.post('/workspaces', { name, ...more });
    if (status !== 201) throw new Error(`no workspace was made: ${status} ${JSON.stringify(body)}`);
    return body.id as string;
  }

  async status(id: string): Promise<string> {
    return (await this.get(`/workspaces/${id}`)).body.status;
  }

  /** Resolves when the workspace has this status. */
  async reaches(id: string, status: string, timeoutMs = 30_000): Promise<void> {
    let last = '';
    await waitFor(
      async () => {
        last = await this.status(id).catch(() => 'unreachable');
        return last === status;
      },
      { timeoutMs, what: `workspace ${id} to be ${status}` },
    ).catch((error: Error) => {
      throw new Error(`${error.message}; it is ${last}`);
    });
  }

  /** Sends a text; the answer is the agent's, or the platform's. */
  send(id: string, text: string, headers: Readonly<Record<string, string>> = {}, signal?: AbortSignal): Promise<Answer> {
    const message = { role: 'user', messageId: text, parts: [{ kind: 'text', text }] };
    const body = { jsonrpc: '2.0', id: text, method: 'message/send', params: { message } };
    return this.#request('POST', `/workspaces/${id}/a2a`, body, headers, signal);
  }

  async socket(headers: Readonly<Record<string, string>> = {}): Promise<Canvas> {
    const socket = new WebSocket(this.url.replace('http', 'ws').concat('/ws'), { headers });
    const canvas = new Canvas(socket);
    await once(socket, 'open');
    return canvas;
  }

  async #request(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
    signal?: AbortSignal,
  ): Promise<Answer> {
    const response = await fetch(`${this.url}${path}`, {
      method,
      signal: signal ?? null,
      headers: { 'content-type': 'application/json', ...headers },
      ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    const [cookie] = response.headers.getSetCookie();
    const location = response.headers.get('location');
    return {
      status: response.status,
      body: parsed(text),
      ...(cookie && { cookie: cookie.slice(0, cookie.indexOf(';')) }),
      ...(location !== null && { location }),
    };
  }
}

const parsed = (text: string): unknown => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

export interface CanvasFrame {
  readonly event: string;
  readonly workspace_id: string;
  readonly timestamp: string;
  readonly payload: Readonly<Record<string, unknown>>;
}

/** An open canvas: what it was told, in order. */
export class Canvas {
  readonly frames: CanvasFrame[] = [];
  /** The code with which the connection ended, once it has. */
  closed: number | null = null;
  readonly #socket: WebSocket;

  constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data) => this.frames.push(JSON.parse(String(data)) as CanvasFrame));
    socket.on('error', () => undefined);
    socket.on('close', (code) => {
      this.closed = code;
    });
  }

  /** The events of a workspace, in the order of their arrival. */
  eventsOf(workspaceId: string): string[] {
    return this.frames.filter((frame) => frame.workspace_id === workspaceId).map(({ event }) => event);
  }

  /** Resolves with the first such event of the workspace, past or to come. */
  async hears(workspaceId: string, event: string, timeoutMs = 30_000): Promise<CanvasFrame> {
    return await waitFor(() => this.frames.find((frame) => frame.workspace_id === workspaceId && frame.event === event), {
      timeoutMs,
      what: `the canvas to hear ${event}`,
    });
  }

  close(): void {
    this.#socket.close();
  }
}
