/** Who listens to a gateway in tests: sockets, and event streams read as they come. */
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { waitFor } from '@molecule/testkit';
import { expect, onTestFinished } from 'vitest';
import { WebSocket } from 'ws';
import type { Gateway } from './world.ts';

export interface Frame {
  readonly event: string;
  readonly workspace_id: string;
  readonly timestamp: string;
  readonly payload: unknown;
  readonly seq: string;
}

export interface Listener {
  readonly frames: Frame[];
  readonly raw: string[];
  readonly socket: WebSocket;
  readonly closed: Promise<number>;
}

/** Connects; rejects with the status when the upgrade is refused. */
export function listenTo(gateway: Gateway, headers: Record<string, string> = {}, query = ''): Promise<Listener> {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/ws${query}`, { headers, perMessageDeflate: true });
  onTestFinished(() => socket.terminate());
  const raw: string[] = [];
  const frames: Listener['frames'] = [];
  socket.on('message', (data, isBinary) => {
    expect(isBinary).toBe(false);
    raw.push(String(data));
    frames.push(JSON.parse(String(data)));
  });
  const closed = new Promise<number>((resolve) => socket.once('close', resolve));
  return new Promise((resolve, reject) => {
    socket.once('open', () => resolve({ frames, raw, socket, closed }));
    socket.once('error', reject);
    socket.once('unexpected-response', (_, response) => {
      const chunks: string[] = [];
      response.on('data', (chunk) => chunks.push(String(chunk)));
      response.on('end', () => reject(new Error(`${response.statusCode} ${chunks.join('')}`)));
    });
  });
}

export const names = ({ frames }: Listener) => frames.map(({ event }) => event);
export const heard = (listener: Listener, count: number) =>
  waitFor(() => listener.frames.length >= count, { what: `${count} events` });

export interface StreamEvent {
  readonly id: string;
  readonly type: string;
  readonly timestamp: number;
  readonly data: Record<string, unknown>;
}

export interface Stream {
  readonly headers: IncomingHttpHeaders;
  /** All that came so far. */
  text(): string;
  events(): StreamEvent[];
  readonly response: IncomingMessage;
  /** Resolves when it has ended; rejects when it broke. */
  readonly ended: Promise<void>;
}

/** Opens a stream; rejects with status and body when it does not begin. */
export async function openStream(
  { port }: Gateway,
  workspaceId: string,
  { headers = {}, query = '' }: { headers?: Readonly<Record<string, string>>; query?: string } = {},
): Promise<Stream> {
  const path = `/workspaces/${workspaceId}/events/stream${query}`;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, path, headers: { ...headers } }, resolve);
    onTestFinished(() => void request.destroy());
    request.on('error', reject).end();
  });
  let said = '';
  response.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
  });
  const ended = new Promise<void>((resolve, reject) => {
    response.once('end', resolve).once('error', reject);
  });
  ended.catch(() => {});
  if (response.statusCode !== 200) {
    await ended;
    throw new Error(`${response.statusCode} ${said}`);
  }
  await waitFor(() => said.includes('\n\n'), { what: 'the first bytes' });
  return {
    headers: response.headers,
    response,
    ended,
    text: () => said,
    events: () =>
      [...said.matchAll(/^id: (.*)\ndata: (.*)\n\n/gm)].map(([, id, data]) => ({ id: id ?? '', ...JSON.parse(data ?? '') })),
  };
}
