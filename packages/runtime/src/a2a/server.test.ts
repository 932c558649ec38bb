import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '@molecule/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Adapter } from '../adapters/echo.ts';
import { parseConfig } from '../config.ts';
import { TokenFile } from '../token-file.ts';
import { Wedge } from '../wedge.ts';
import { A2aServer } from './server.ts';

type Json = Record<string, unknown>;

describe('the A2A server with an echo (spec 4 §6)', () => {
  let directory: string;
  let close: (() => Promise<void>) | undefined;
  const tasks: string[] = [];
  const nudges = { count: 0 };

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'a2a-'));
    tasks.length = 0;
    nudges.count = 0;
  });
  afterEach(async () => {
    await close?.();
    rmSync(directory, { recursive: true });
  });

  const serve = async (env: Record<string, string> = {}, config = '') => {
    const log = { info: () => {}, warn: () => {}, error: () => {} };
    const wedge = new Wedge();
    const adapter = new Adapter();
    const { runtime_config: runtimeConfig } = parseConfig(config);
    const heartbeat = {
      activeTasks: 0,
      nudge: () => {
        nudges.count += 1;
      },
      taskStarted: (summary: string) => void tasks.push(`+${summary}`),
      taskEnded: (error?: string) => void tasks.push(error === undefined ? '-' : `- ${error}`),
    };
    const adapterConfig = {
      model: '',
      systemPrompt: null,
      tools: [],
      runtimeConfig,
      configPath: directory,
      workspaceId: 'w1',
      promptFiles: [],
      a2aPort: 0,
      heartbeat,
      wedge,
      env,
      log,
    };
    await adapter.setup(adapterConfig);
    const executor = await adapter.createExecutor(adapterConfig);
    const server = new A2aServer({
      card: () => ({ name: 'Ada' }),
      adapter,
      executor,
      token: new TokenFile(directory),
      heartbeat,
      log,
    });
    const port = await server.listen(0, '127.0.0.1');
    close = () => server.close(0);
    return { url: `http://127.0.0.1:${port}/`, adapter, wedge };
  };

  const post = (url: string, body: unknown, signal?: AbortSignal) =>
    fetch(url, { method: 'POST', body: typeof body === 'string' ? body : JSON.stringify(body), ...(signal ? { signal } : {}) });
  const call = async (url: string, method: string, params: unknown, signal?: AbortSignal) =>
    (await (await post(url, { jsonrpc: '2.0', id: 'q1', method, params }, signal)).json()) as Json;
  const message = (text: string) => ({ message: { role: 'user', messageId: 'm1', parts: [{ kind: 'text', text }] } });
  const say = async (url: string, text: string, signal?: AbortSignal) => {
    const { result } = await call(url, 'message/send', message(text), signal);
    return (result as { parts: { text: string }[] }).parts[0]?.text;
  };

  it('answers with the text it was sent, under the id of the request', async () => {
    const { url } = await serve();
    expect(await call(url, 'message/send', message('hello'))).toMatchObject({
      jsonrpc: '2.0',
      id: 'q1',
      result: { kind: 'message', role: 'agent', parts: [{ kind: 'text', text: 'hello' }] },
    });
    expect(tasks).toEqual(['+hello', '-']);
  });

  it('serves its card at both places, and nothing else', async () => {
    const { url } = await serve();
    for (const path of ['.well-known/agent-card.json', '.well-known/agent.json'])
      expect(await (await fetch(url + path)).json()).toEqual({ name: 'Ada' });
    expect((await fetch(`${url}elsewhere`)).status).toBe(404);
  });

  it.each([
    ['{', -32700, null],
    ['[]', -32600, null],
    ['{"id":7}', -32600, 7],
    ['{"jsonrpc":"2.0","id":7,"method":"message/forget","params":{}}', -32601, 7],
    ['{"jsonrpc":"2.0","id":7,"method":"message/send"}', -32602, 7],
    ['{"jsonrpc":"2.0","id":7,"method":"message/send","params":{"message":{"parts":"x"}}}', -32602, 7],
    ['{"jsonrpc":"2.0","id":7,"method":"tasks/get","params":{"id":"nobody"}}', -32001, 7],
    ['{"jsonrpc":"2.0","id":7,"method":"tasks/cancel","params":{}}', -32602, 7],
  ])('answers %s with %i', async (body, code, id) => {
    const { url } = await serve();
    expect(await (await post(url, body)).json()).toMatchObject({ jsonrpc: '2.0', id, error: { code } });
  });

  it('says that a message has nothing in it', async () => {
    const { url } = await serve();
    expect(await say(url, '  ')).toBe('Error: message contained no text content.');
    expect(tasks).toEqual([]);
  });

  it('makes a failure a result, and counts it', async () => {
    const { url } = await serve();
    expect(await say(url, '!fail no luck')).toBe('Agent error: no luck');
    expect(tasks).toEqual(['+!fail no luck', '- Agent error: no luck']);
  });

  it('works on one message at a time; the next waits', async () => {
    const { url } = await serve();
    const first = say(url, '!sleep 0.2 first');
    await waitFor(() => tasks.length === 1);
    const second = say(url, 'second');
    expect(await Promise.all([first, second])).toEqual(['first', 'second']);
    expect(tasks).toEqual(['+!sleep 0.2 first', '-', '+second', '-']);
  });

  it('forgets a waiting message whose caller went away (A2)', async () => {
    const { url } = await serve();
    const first = say(url, '!sleep 0.2 first');
    await waitFor(() => tasks.length === 1);
    const gone = new AbortController();
    const second = say(url, 'second', gone.signal);
    setTimeout(() => gone.abort(), 30);
    await expect(second).rejects.toThrow();
    await first;
    expect(await say(url, 'third')).toBe('third');
    expect(tasks).not.toContain('+second');
  });

  it('goes on with a message whose caller went away (A1)', async () => {
    const { url } = await serve();
    const gone = new AbortController();
    const first = say(url, '!sleep 0.1', gone.signal);
    await waitFor(() => tasks.length === 1);
    gone.abort();
    await expect(first).rejects.toThrow();
    await waitFor(() => tasks.includes('-'));
  });

  it('resets who comes while it is busy, when told to', async () => {
    const { url } = await serve({ ECHO_BUSY: 'reset' });
    const first = say(url, '!sleep 0.2 first');
    await waitFor(() => tasks.length === 1);
    await expect(say(url, 'second')).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } });
    expect(await first).toBe('first');
    expect(await say(url, 'third')).toBe('third');
  });

  it('streams what it says, piece by piece, and the whole at the end', async () => {
    const { url } = await serve();
    const response = await post(url, { jsonrpc: '2.0', id: 1, method: 'message/stream', params: message('one two') });
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    const events = (await response.text())
      .split('\n\n')
      .filter((line) => line !== '')
      .map((line) => (JSON.parse(line.replace('data: ', '')) as { result: Json }).result);
    expect(events).toMatchObject([
      { kind: 'status-update', status: { state: 'working' } },
      { kind: 'artifact-update', append: false, lastChunk: false, artifact: { parts: [{ text: 'one ' }] } },
      { kind: 'artifact-update', append: true, lastChunk: true, artifact: { parts: [{ text: 'two' }] } },
      { kind: 'message', parts: [{ text: 'one two' }] },
    ]);
  });

  it('tells of a task, and cancels one that runs', async () => {
    const { url } = await serve();
    const done = (await call(url, 'message/send', message('hello')))['result'] as { taskId: string };
    expect(await call(url, 'tasks/get', { id: done.taskId })).toMatchObject({
      result: { kind: 'task', id: done.taskId, status: { state: 'completed', message: { parts: [{ text: 'hello' }] } } },
    });
    expect(await call(url, 'tasks/cancel', { id: done.taskId })).toMatchObject({ error: { code: -32002 } });

    const response = await post(url, { jsonrpc: '2.0', id: 1, method: 'message/stream', params: message('!sleep 60') });
    const reader = response.body?.getReader();
    const { value } = (await reader?.read()) ?? {};
    const { result } = JSON.parse(new TextDecoder().decode(value).replace('data: ', '')) as { result: { taskId: string } };
    expect(await call(url, 'tasks/cancel', { id: result.taskId })).toMatchObject({ result: { status: { state: 'canceled' } } });
    await waitFor(() => tasks.at(-1) === '-');
    await reader?.cancel();
  });

  it('shows its transcript to whoever has its token', async () => {
    const { url } = await serve();
    const transcript = (query: string, bearer?: string) =>
      fetch(`${url}transcript${query}`, bearer === undefined ? {} : { headers: { authorization: `Bearer ${bearer}` } });
    expect((await transcript('')).status).toBe(401);
    writeFileSync(join(directory, '.auth_token'), 'secret');
    expect(await (await transcript('', 'other')).json()).toEqual({ error: 'unauthorized' });
    expect(await (await transcript('?since=3', 'secret')).json()).toEqual({
      runtime: 'echo',
      supported: false,
      lines: [],
      cursor: 3,
      more: false,
    });
    const refused = await transcript('?since=x', 'secret');
    expect([refused.status, await refused.json()]).toEqual([400, { error: 'since and limit must be integers' }]);
  });

  it('obeys what changes its declarations, and says so with a beat', async () => {
    const { url, adapter, wedge } = await serve({ ECHO_CAPABILITIES: 'session', ECHO_IDLE_TIMEOUT_SECONDS: '2' });
    expect([adapter.capabilities().providesNativeSession, adapter.idleTimeoutOverride()]).toEqual([true, 2]);
    expect(await say(url, '!declare scheduler, status_mgmt')).toBe('declared scheduler, status_mgmt');
    expect(adapter.capabilities()).toMatchObject({ providesNativeSession: false, providesNativeScheduler: true });
    expect(await say(url, '!declare flying')).toMatch(/^Agent error: no such capability: flying/);
    expect(await say(url, '!idle-timeout 0')).toBe('idle timeout taken back');
    expect(adapter.idleTimeoutOverride()).toBeUndefined();
    expect(nudges.count).toBe(2);
    await say(url, '!wedge stuck');
    expect(wedge.reason()).toBe('stuck');
    await say(url, '!unwedge');
    expect(wedge.isWedged()).toBe(false);
  });

  it('may be declared in config.yaml too', async () => {
    const { adapter } = await serve(
      {},
      'runtime_config:\n  capabilities: [scheduler]\n  idle_timeout_seconds: 5\n  concurrency: 3\n',
    );
    expect(adapter.capabilities().providesNativeScheduler).toBe(true);
    expect(adapter.idleTimeoutOverride()).toBe(5);
    expect(adapter.concurrency()).toEqual({ max: 3, whenBusy: 'wait' });
  });
});
