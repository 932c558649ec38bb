/** The agent does what it is told, and remembers what it was sent. */
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { json } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { waitFor } from '../wait-for.ts';
import { type Agent, startAgent } from './agent.ts';

const message = (text: string, messageId = `m-${text}`) =>
  JSON.stringify({
    jsonrpc: '2.0',
    id: 1,
    method: 'message/send',
    params: { message: { messageId, parts: [{ kind: 'text', text }] } },
  });
const say = (text: string) => fetch(agent.url, { method: 'POST', body: message(text) });
const textOf = (answer: unknown) => (answer as { result: { parts: { text: string }[] } }).result.parts[0]?.text;

let agent: Agent;
beforeEach(async () => {
  agent = await startAgent();
});
afterEach(() => agent.stop());

describe('an agent', () => {
  it('echoes, and remembers order, id and text', async () => {
    expect(textOf(await (await say('one')).json())).toBe('one');
    await say('two');
    expect(agent.received).toMatchObject([
      { order: 1, messageId: 'm-one', text: 'one', method: 'message/send', outcome: 'answered' },
      { order: 2, messageId: 'm-two', text: 'two' },
    ]);
  });

  it('hangs until it is released', async () => {
    agent.behave({ kind: 'hang' });
    const hanging = say('held');
    await agent.waitForMessages(1);
    expect(agent.atOnce).toBe(1);
    agent.release();
    expect(textOf(await (await hanging).json())).toBe('held');
  });

  it('holds calls behind a gate, and lets them go together', async () => {
    const gate = agent.gate();
    const calls = [say('a'), say('b')];
    await agent.waitForCalls(2);
    expect(agent.received.map(({ outcome }) => outcome)).toEqual(['waiting', 'waiting']);
    gate.open();
    expect((await Promise.all(calls)).map(({ status }) => status)).toEqual([200, 200]);
    expect(agent.mostAtOnce).toBe(2);
  });

  it('resets the connection after it took the message', async () => {
    agent.behaveNext({ kind: 'reset' });
    await expect(say('lost')).rejects.toThrow();
    expect(agent.messageIds).toEqual(['m-lost']);
    expect((await say('fine')).status).toBe(200);
  });

  it('cuts an answer short', async () => {
    agent.behaveNext({ kind: 'cut', bytes: 10 });
    const response = await say('cut');
    expect(response.status).toBe(200);
    await expect(response.text()).rejects.toThrow();
  });

  it('answers with garbage, pages, statuses and 202', async () => {
    agent.behaveNext(
      { kind: 'garbage' },
      { kind: 'not-json' },
      { kind: 'status', status: 503, body: 'busy' },
      { kind: 'accepted' },
    );
    expect(new Uint8Array(await (await say('1')).arrayBuffer())).toContain(0xff);
    expect(await (await say('2')).text()).toContain('<html>');
    const refused = await say('3');
    expect([refused.status, await refused.text()]).toEqual([503, 'busy']);
    expect((await say('4')).status).toBe(202);
  });

  it('streams one event after the other', async () => {
    agent.behaveNext({ kind: 'stream', chunks: ['x', 'y'], everyMs: 1 });
    const events = (await (await say('stream')).text()).trim().split('\n\n');
    expect(events.map((event) => textOf(JSON.parse(event.slice('data: '.length))))).toEqual(['x', 'y']);
  });

  it('says its headers only, and the rest when it is released', async () => {
    agent.behaveNext({ kind: 'headers-only' });
    const response = await say('later');
    expect(response.status).toBe(200);
    agent.release();
    expect(textOf(await response.json())).toBe('later');
  });

  it('trickles, pours, and says raw bytes', async () => {
    agent.behaveNext({ kind: 'trickle', everyMs: 0 }, { kind: 'pour', bytes: 100_000 });
    expect(textOf(await (await say('drop by drop')).json())).toBe('drop by drop');
    expect(await (await say('much')).text()).toBe(' '.repeat(100_000));
    agent.behaveNext(
      { kind: 'raw', bytes: 'HTTP/1.1 299 Odd\r\n\r\nodd', after: 'end' },
      { kind: 'raw', bytes: 'odd', after: 'reset' },
    );
    const odd = await say('raw');
    expect([odd.status, await odd.text()]).toEqual([299, 'odd']);
    await expect(say('no HTTP')).rejects.toThrow();
  });

  it('ends connections with its last words, and closes idle ones', async () => {
    for (const how of ['said', 'unsaid', 'reset'] as const) {
      agent.behaveNext({ kind: 'last-words', how });
      expect(textOf(await (await say(how)).json())).toBe(how);
      await waitFor(() => agent.sockets === 0, { what: `the connection to be gone that was ${how}` });
    }
    expect(agent.connections).toBe(3);
    await (await say('kept')).text();
    expect(agent.sockets).toBe(1);
    agent.closeIdle('reset');
    await waitFor(() => agent.sockets === 0, { what: 'the idle connection to be gone' });
  });

  it('says more than it was asked for', async () => {
    const bytes = 'HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad';
    agent.behaveNext({ kind: 'more', bytes, afterMs: 0 });
    const heard = await new Promise<string>((resolve) => {
      let text = '';
      const socket = connect(Number(new URL(agent.url).port), '127.0.0.1', () =>
        socket.write('POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}'),
      );
      socket.on('data', (chunk) => {
        text += chunk;
        if (text.endsWith('bad')) socket.destroy();
      });
      socket.on('close', () => resolve(text));
    });
    expect(heard.match(/HTTP\/1.1 200 OK/g)).toHaveLength(2);
  });

  it('refuses connections, and comes back on the same port', async () => {
    const { url } = agent;
    await agent.refuse();
    await expect(say('nobody')).rejects.toThrow();
    await agent.comeBack();
    expect(agent.url).toBe(url);
    expect((await say('back')).status).toBe(200);
  });

  it('notices a caller that left', async () => {
    agent.behave({ kind: 'hang' });
    const leaving = new AbortController();
    const call = fetch(agent.url, { method: 'POST', body: message('bye'), signal: leaving.signal }).catch(() => undefined);
    await agent.waitForMessages(1);
    leaving.abort();
    await call;
    await agent.waitForCalls(0);
    expect(agent.received[0]?.outcome).toBe('caller-left');
  });

  it('says what came instead of what was waited for', async () => {
    await expect(agent.waitForMessages(1, 20)).rejects.toThrow('waited 20 ms for 1 messages; so far 0 received');
  });
});

describe('its link to the gateway', () => {
  it('registers, keeps the token, and declares its capabilities with each beat', async () => {
    const heard: { path: string | undefined; bearer: string | undefined; body: unknown }[] = [];
    const gateway = createServer(async (request, response) => {
      heard.push({ path: request.url, bearer: request.headers.authorization, body: await json(request) });
      response.end(JSON.stringify({ status: 'registered', auth_token: 'secret' }));
    });
    await new Promise<void>((listening) => gateway.listen(0, '127.0.0.1', listening));
    const url = `http://127.0.0.1:${(gateway.address() as AddressInfo).port}`;
    const linked = await startAgent({
      link: { gateway: url, workspaceId: 'w', capabilities: { session: true }, idleTimeoutSeconds: 2 },
    });

    await linked.link?.register();
    await linked.link?.beat({ error_rate: 0.5 });
    expect(heard).toMatchObject([
      { path: '/registry/register', bearer: undefined, body: { id: 'w', url: linked.url.replace('127.0.0.1', 'localhost') } },
      {
        path: '/registry/heartbeat',
        bearer: 'Bearer secret',
        body: { error_rate: 0.5, runtime_metadata: { capabilities: { session: true }, idle_timeout_seconds: 2 } },
      },
    ]);
    await linked.stop();
    gateway.close();
    gateway.closeAllConnections();
  });
});
