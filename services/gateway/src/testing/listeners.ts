/** Who listens to a gateway in tests: an event stream, read as it comes. */
import { request as httpRequest, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';
import { waitFor } from '@molecule/testkit';
import { onTestFinished } from 'vitest';
import type { Gateway } from './world.ts';

export interface StreamEvent {
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
      said
        .split('\n')
        .filter((line) => line.startsWith('data: '))
        .map((line) => JSON.parse(line.slice('data: '.length))),
  };
}
