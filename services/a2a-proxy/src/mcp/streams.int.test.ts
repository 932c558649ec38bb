/** S1, S2: streams of the MCP endpoint on a server of their own. */
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { sendError } from '@molecule/http';
import { createLog } from '@molecule/service';
import { waitFor } from '@molecule/testkit';
import { describe, expect, it, onTestFinished } from 'vitest';
import { McpStreams } from './streams.ts';

const log = createLog({ service: 'a2a-proxy', level: 'silent' });

async function setUp(limits?: ConstructorParameters<typeof McpStreams>[0]) {
  const streams = new McpStreams(limits);
  const good = new Set(['a', 'b', 'c']);
  const server = createServer((request: IncomingMessage, response) => {
    const bearer = request.headers.authorization ?? '';
    try {
      streams.begin(response, { 'X-Test': 'yes' }, { workspaceId: 'w', bearer, isGood: () => good.has(bearer) });
    } catch (error) {
      sendError(response, error, log);
    }
  }).listen(0, '127.0.0.1');
  onTestFinished(() => void server.close().closeAllConnections());
  await waitFor(() => server.listening);
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

  /** A client: what it has heard, and whether the stream is over. */
  const listen = async (bearer: string) => {
    const leaving = new AbortController();
    const response = await fetch(url, { headers: { authorization: bearer }, signal: leaving.signal });
    const heard = { text: '', over: false };
    const read = async () => {
      for await (const chunk of response.body ?? []) heard.text += Buffer.from(chunk).toString();
      heard.over = true;
    };
    read().catch(() => undefined);
    return { response, heard, leave: () => leaving.abort() };
  };
  return { streams, good, listen };
}

describe('a stream', () => {
  it('says where to send, then that we are there, until the client leaves', async () => {
    const { streams, listen } = await setUp();
    const { response, heard, leave } = await listen('a');
    expect([response.status, response.headers.get('x-test')]).toEqual([200, 'yes']);
    await waitFor(() => heard.text === 'event: endpoint\ndata: /workspaces/w/mcp\n\n');
    streams.ping();
    streams.ping();
    await waitFor(() => heard.text.endsWith('/mcp\n\n: ping\n\n: ping\n\n'));
    leave();
    await waitFor(() => streams.size === 0);
  });

  it('ends when the right that opened it is over, and no other with it (S1)', async () => {
    const { streams, good, listen } = await setUp();
    const [a, b] = [await listen('a'), await listen('b')];
    good.delete('a');
    streams.judge('another');
    expect(streams.size).toBe(2);
    streams.judge('w');
    streams.ping();
    await waitFor(() => a.heard.over && b.heard.text.includes(': ping'));
    expect([streams.size, b.heard.over]).toEqual([1, false]);
  });

  it('is one of so many, in all and of one bearer (S2)', async () => {
    const { streams, listen } = await setUp({ all: 3, ofOne: 2 });
    for (const bearer of ['a', 'a', 'b']) expect((await listen(bearer)).response.status).toBe(200);
    for (const bearer of ['a', 'c']) {
      const { response } = await listen(bearer);
      expect([response.status, response.headers.get('retry-after'), response.headers.get('x-test')]).toEqual([429, '30', 'yes']);
    }
    expect(streams.size).toBe(3);
  });

  it('ends with the service, and none begins after', async () => {
    const { streams, listen } = await setUp();
    const { heard } = await listen('a');
    streams.close();
    await waitFor(() => heard.over);
    expect((await listen('b')).response.status).toBe(429);
  });
});
