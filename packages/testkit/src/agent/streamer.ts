/** An agent whose streams of events are led by hand, and a client that reads them as it likes. */
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { Agent as Dialer, type Dispatcher, request } from 'undici';

/** One call, which is being answered. */
export interface Streaming {
  readonly body: string;
  readonly response: ServerResponse;
  /** Says an event whose data is this; resolves when the system has taken it. */
  say(result: unknown): Promise<void>;
  end(): void;
  /** The connection is cut. */
  cut(): void;
  /** Resolves when the connection is gone. */
  readonly gone: Promise<unknown>;
}

export interface Streamer {
  readonly url: string;
  /** The next call. */
  next(): Promise<Streaming>;
  stop(): void;
}

/** An event that is the response with this result. */
export const streamEvent = (result: unknown): string => `data: ${JSON.stringify({ jsonrpc: '2.0', id: 1, result })}\n\n`;

/** Answers every call with a stream that says nothing by itself. */
export async function startStreamer(): Promise<Streamer> {
  const waiting: Streaming[] = [];
  const asked: ((call: Streaming) => void)[] = [];
  const server = createServer(async (incoming, response) => {
    response.on('error', () => undefined);
    const gone = new Promise((resolve) => response.once('close', resolve));
    const body = await text(incoming);
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8' }).flushHeaders();
    const call: Streaming = {
      body,
      response,
      say: (result) => new Promise((resolve) => response.write(streamEvent(result), () => resolve())),
      end: () => response.end(),
      cut: () => response.destroy(),
      gone,
    };
    const take = asked.shift();
    if (take) take(call);
    else waiting.push(call);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    next: () =>
      new Promise((resolve) => {
        const call = waiting.shift();
        if (call) resolve(call);
        else asked.push(resolve);
      }),
    stop: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

const dialer = new Dialer({ keepAliveTimeout: 1_000, headersTimeout: 0, bodyTimeout: 0 });

/** What a client has of its answer when the head is there. `read` waits for the next piece; `null`: the answer is whole. */
export interface StreamAnswer {
  readonly status: number;
  readonly headers: Dispatcher.ResponseData['headers'];
  read(): Promise<string | null>;
  /** All that is left. @throws if it breaks off */
  rest(): Promise<Buffer>;
  leave(): void;
}

/** Posts, and resolves with the head of the answer. `room`: how much is buffered of it, in bytes. */
export async function openStream(
  url: string,
  {
    body,
    headers = {},
    room = 65_536,
  }: { readonly body: string; readonly headers?: Record<string, string>; readonly room?: number },
): Promise<StreamAnswer> {
  const answer = await request(url, { method: 'POST', body, headers, dispatcher: dialer, highWaterMark: room });
  answer.body.on('error', () => undefined);
  const pieces = answer.body[Symbol.asyncIterator]();
  return {
    status: answer.statusCode,
    headers: answer.headers,
    read: async () => {
      const { value, done } = await pieces.next();
      return done ? null : String(value);
    },
    rest: async () => {
      const chunks: Buffer[] = [];
      for await (const chunk of { [Symbol.asyncIterator]: () => pieces }) chunks.push(chunk);
      return Buffer.concat(chunks);
    },
    leave: () => answer.body.destroy(),
  };
}
