/**
 * An A2A agent over real HTTP that misbehaves on command, and remembers what it was sent.
 *
 *   A1. A message is in `received` from the moment its body was read, whatever becomes of it then.
 *   A2. `behave` counts for calls that begin to be answered afterwards; a closed gate holds them before that.
 */
import { EventEmitter, once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { type Behaviour, behave } from './behaviour.ts';
import { GatewayLink, type GatewayLinkOptions } from './gateway-link.ts';

export interface Received {
  /** 1, 2, 3 … in the order the bodies arrived. */
  readonly order: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly method: string;
  readonly messageId: string | undefined;
  /** The text parts, joined. */
  readonly text: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  /** As it came, also when it is not JSON. */
  readonly body: string;
  /** What became of it so far. */
  outcome: 'waiting' | 'answered' | 'gave-up' | 'caller-left';
}

export interface Gate {
  /** Lets the calls that wait go, and all that come. */
  open(): void;
}

export interface AgentOptions {
  readonly behaviour?: Behaviour;
  /** Default: any free one. */
  readonly port?: number;
  /** Whom it registers with and beats to, on command. */
  readonly link?: GatewayLinkOptions;
}

export class Agent {
  readonly received: Received[] = [];
  /** `undefined` unless it was started with a `link`. */
  readonly link: GatewayLink | undefined;
  /** The most calls it ever had at once. */
  mostAtOnce = 0;
  /** Connections it was ever asked for. */
  connections = 0;
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  readonly #events = new EventEmitter().setMaxListeners(0);
  readonly #next: Behaviour[] = [];
  readonly #sockets = new Set<Socket>();
  /** Those with a request that was read and is not yet answered. */
  readonly #working = new Set<Socket>();
  #behaviour: Behaviour;
  #gate: { opened: Promise<void>; open: () => void } | undefined;
  #released = Promise.withResolvers<void>();
  #atOnce = 0;
  #port = 0;

  private constructor({ behaviour = { kind: 'echo' }, link }: AgentOptions) {
    this.#behaviour = behaviour;
    this.link = link && new GatewayLink(link, { url: () => this.url, activeTasks: () => this.#atOnce });
    this.#server.on('connection', (socket) => {
      this.connections++;
      this.#sockets.add(socket.on('error', () => undefined).on('close', () => this.#sockets.delete(socket)));
    });
  }

  static async start(options: AgentOptions = {}): Promise<Agent> {
    const agent = new Agent(options);
    await agent.#listen(options.port ?? 0);
    return agent;
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Calls that are being worked on now. */
  get atOnce(): number {
    return this.#atOnce;
  }

  /** Connections that are open now. */
  get sockets(): number {
    return this.#sockets.size;
  }

  /** The message ids, in order of arrival. */
  get messageIds(): (string | undefined)[] {
    return this.received.map(({ messageId }) => messageId);
  }

  /** How it treats calls from now on. */
  behave(behaviour: Behaviour): void {
    this.#behaviour = behaviour;
  }

  /** How it treats the next calls, one each, before it goes on as it was. */
  behaveNext(...behaviours: Behaviour[]): void {
    this.#next.push(...behaviours);
  }

  /** Answers the calls that hang now. */
  release(): void {
    this.#released.resolve();
    this.#released = Promise.withResolvers<void>();
  }

  /** Holds every call from now on, after reading it, until the gate is opened. */
  gate(): Gate {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#gate = { opened: promise, open: resolve };
    return {
      open: () => {
        this.#gate = undefined;
        resolve();
      },
    };
  }

  /** Resolves when `count` messages have been read since the start. @throws Error with what came instead */
  async waitForMessages(count: number, timeoutMs = 5_000): Promise<readonly Received[]> {
    await this.#until(() => this.received.length >= count, `${count} messages`, timeoutMs);
    return this.received;
  }

  /** Resolves when it works on exactly `count` calls. */
  async waitForCalls(count: number, timeoutMs = 5_000): Promise<void> {
    await this.#until(() => this.#atOnce === count, `${count} calls at once`, timeoutMs);
  }

  /** Closes the connections on which it is working on nothing, be a request just arriving there or not. */
  closeIdle(how: 'end' | 'reset'): void {
    for (const socket of this.#sockets) {
      if (this.#working.has(socket)) continue;
      if (how === 'reset') socket.resetAndDestroy();
      else socket.destroy();
    }
  }

  /** Stops listening and cuts every connection: from now on connecting is refused. The port stays its own. */
  async refuse(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, 'close');
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  /** Listens again after `refuse`. */
  async comeBack(): Promise<void> {
    if (!this.#server.listening) await this.#listen(this.#port);
  }

  /** Ends it for good. */
  async stop(): Promise<void> {
    this.link?.stopBeating();
    this.release();
    this.#gate?.open();
    await this.refuse();
  }

  async #listen(port: number): Promise<void> {
    this.#server.listen(port, '127.0.0.1');
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController();
    response.on('close', () => gone.abort()).on('error', () => undefined);
    const body = await readText(request).catch(() => undefined);
    if (body === undefined) return;

    const { rpcId, ...message } = readMessage(body);
    const about: Received = {
      order: this.received.length + 1,
      at: Date.now(),
      path: request.url ?? '',
      headers: request.headers,
      body,
      outcome: 'waiting',
      ...message,
    };
    this.received.push(about);
    this.#working.add(request.socket);
    this.#count(+1);
    try {
      await this.#gate?.opened;
      const behaviour = this.#next.shift() ?? this.#behaviour;
      const call = { request, response, rpcId, text: about.text, released: this.#released.promise, gone: gone.signal };
      const left = gone.signal.aborted;
      await behave(behaviour, call);
      if (response.writableEnded) about.outcome = 'answered';
      else about.outcome = left || WAITING.has(behaviour.kind) ? 'caller-left' : 'gave-up';
    } finally {
      this.#working.delete(request.socket);
      this.#count(-1);
    }
  }

  #count(change: 1 | -1): void {
    this.#atOnce += change;
    this.mostAtOnce = Math.max(this.mostAtOnce, this.#atOnce);
    this.#events.emit('change');
  }

  async #until(reached: () => boolean, what: string, timeoutMs: number): Promise<void> {
    const signal = AbortSignal.timeout(timeoutMs);
    while (!reached()) {
      await once(this.#events, 'change', { signal }).catch(() => {
        const came = `${this.received.length} received (${this.messageIds.join(', ')}), ${this.#atOnce} at once`;
        throw new Error(`the agent waited ${timeoutMs} ms for ${what}; so far ${came}`);
      });
    }
  }
}

/** With these only the caller can end the call too early. */
const WAITING: ReadonlySet<Behaviour['kind']> = new Set(['hang', 'slow', 'headers-only', 'trickle', 'pour']);

/** Starts an agent on the loopback interface. Call `stop` when the test is over. */
export const startAgent = (options: AgentOptions = {}): Promise<Agent> => Agent.start(options);

interface Rpc {
  readonly id?: unknown;
  readonly method?: unknown;
  readonly params?: { readonly message?: { readonly messageId?: unknown; readonly parts?: unknown } };
}

function readMessage(body: string): Pick<Received, 'method' | 'messageId' | 'text'> & { rpcId: unknown } {
  let rpc: Rpc | null = null;
  try {
    rpc = JSON.parse(body) as Rpc | null;
  } catch {
    // not JSON: recorded as it is
  }
  const message = rpc?.params?.message;
  const parts = Array.isArray(message?.parts) ? (message.parts as { text?: unknown }[]) : [];
  return {
    rpcId: rpc?.id,
    method: typeof rpc?.method === 'string' ? rpc.method : '',
    messageId: typeof message?.messageId === 'string' ? message.messageId : undefined,
    text: parts.map(({ text }) => (typeof text === 'string' ? text : '')).join(''),
  };
}
