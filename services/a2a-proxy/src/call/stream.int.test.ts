/** Streams of events, from real agents to real clients. */
import { once } from 'node:events';
import { type Cut, streamEvent as event, freePort, openStream, startRelay, startStreamer, waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { it, message, type World } from '../testing/world.ts';

const call = (method: string): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { message: { messageId: 'm-1', role: 'user', parts: [] } } });
const EVENTS = { accept: 'text/event-stream' };
const says = (text: string) => ({ kind: 'message', role: 'agent', messageId: 'r', parts: [{ kind: 'text', text }] });
const task = { kind: 'task', id: 't', contextId: 'c', status: { state: 'working' } };
const piece = (text: string, append: boolean) => ({
  kind: 'artifact-update',
  taskId: 't',
  contextId: 'c',
  artifact: { artifactId: 'a', parts: [{ kind: 'text', text }] },
  append,
});
const completed = { kind: 'status-update', taskId: 't', contextId: 'c', status: { state: 'completed' }, final: true };
const whole = { ...task, status: completed.status, artifacts: [{ artifactId: 'a', parts: [{ kind: 'text', text: 'Hello' }] }] };

const streamer = async (world: World) => {
  const agent = await startStreamer();
  await world.onClose(async () => agent.stop());
  return agent;
};
const listen = (proxy: { url: string }, id: string, options: Parameters<typeof openStream>[1]) =>
  openStream(`${proxy.url}/workspaces/${id}/a2a`, options);

describe('a stream of events', () => {
  it.for([
    ['message/stream', {}],
    ['tasks/resubscribe', {}],
    ['SendStreamingMessage', { accept: 'application/json' }],
    ['message/send', EVENTS],
    ['message/send', { accept: 'application/json, text/event-stream;q=0.5' }],
  ] as const)('S1: reaches who asks for it by %s and %o, event by event', async ([method, headers], { world }) => {
    const proxy = await world.proxy();
    const agent = await streamer(world);
    const id = await world.workspace(agent);
    const [client, streaming] = await Promise.all([listen(proxy, id, { body: call(method), headers }), agent.next()]);
    expect(client.status).toBe(200); // the head is there before anything was said
    expect(client.headers).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
    });
    expect(streaming.body).toBe(call(method));
    for (const said of [task, piece('Hel', false), piece('lo', true), completed]) {
      await streaming.say(said);
      expect(await client.read()).toBe(event(said));
    }
    streaming.end();
    expect(await client.read()).toBeNull();

    // What is recorded and told is the reply it amounts to.
    const [row] = await world.rows(proxy, id);
    expect(row).toMatchObject({ method, status: 'ok', response_body: { jsonrpc: '2.0', id: 1, result: whole } });
    await waitFor(() => world.said(id, 'A2A_RESPONSE').length === 1);
    expect(world.said(id, 'A2A_RESPONSE')[0]?.payload).toMatchObject({ method, response_body: { result: whole } });
    expect(await world.settled(proxy, 1)).toMatchObject({ completed: 1, balanced: true });
  });

  it.for([
    ['nothing', {}],
    ['JSON', { accept: 'application/json' }],
    ['anything', { accept: '*/*' }],
    ['anything but events', { accept: 'text/event-stream;q=0, */*' }],
  ] as const)('reaches who asks for %s in one, when it has ended (spec 2 §1.10)', async ([, headers], { world }) => {
    const proxy = await world.proxy();
    const agent = await streamer(world);
    const id = await world.workspace(agent);
    const answer = world.call(proxy, id, { headers });
    const streaming = await agent.next();
    await streaming.say(says('one'));
    await streaming.say(says('two'));
    streaming.end();
    const { status, headers: given, text } = await answer;
    expect([status, given['content-type'], text]).toEqual([200, 'application/json', event(says('one')) + event(says('two'))]);
    expect(given).not.toHaveProperty('x-accel-buffering');
    expect(await world.rows(proxy, id)).toMatchObject([{ status: 'ok', response_body: null }]);
  });

  it('is none if the agent answers JSON, or refuses', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent);
    const json = await world.call(proxy, id, { body: message('hi'), headers: EVENTS });
    expect([json.status, json.headers['content-type'], json.json.result.parts[0].text]).toEqual([200, 'application/json', 'hi']);
    agent.behave({ kind: 'status', status: 500, body: '{"error":"no"}', headers: { 'content-type': 'text/event-stream' } });
    const refused = await world.call(proxy, id, { headers: EVENTS });
    expect([refused.status, refused.headers['content-type'], refused.text]).toEqual([
      500,
      'application/json; charset=utf-8',
      '{"error":"no"}',
    ]);
  });

  it('of a busy agent is a message that waits; its reply comes later, and is recorded', async ({ world }) => {
    const proxy = await world.proxy();
    const busy = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(busy);
    const queued = await world.call(proxy, id, { body: call('message/stream'), headers: EVENTS });
    expect(queued).toMatchObject({ status: 202, json: { queued: true, queue_depth: 1 } });
    busy.behave({ kind: 'stream', chunks: ['one', 'two'], everyMs: 0 });
    world.beat(id);
    const rows = await world.rows(proxy, id, 2);
    expect(rows.find(({ status }) => status === 'ok')).toMatchObject({ response_body: { result: { parts: [{ text: 'two' }] } } });
    await waitFor(() => world.said(id, 'A2A_RESPONSE').length === 1);
  });

  it('S2: goes on when its client has left, and is recorded whole', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await streamer(world);
    const id = await world.workspace(agent);
    const [client, streaming] = await Promise.all([listen(proxy, id, { body: call('message/stream') }), agent.next()]);
    await streaming.say(task);
    expect(await client.read()).toBe(event(task));
    client.leave();
    await streaming.say(piece('Hel', false));
    await streaming.say(piece('lo', true));
    await streaming.say(completed);
    streaming.end();
    expect(await world.rows(proxy, id)).toMatchObject([{ status: 'ok', response_body: { result: whole } }]);
    expect(await world.settled(proxy, 1)).toMatchObject({ completed: 1 });
  });

  it('S2: of which its client has left is read so far, and no further', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await streamer(world);
    const id = await world.workspace(agent);
    const [client, streaming] = await Promise.all([listen(proxy, id, { body: call('message/stream') }), agent.next()]);
    await streaming.say(says('the last one'));
    expect(await client.read()).toBe(event(says('the last one')));
    client.leave();
    const comment = `: ${'x'.repeat(65_536)}\n`;
    let poured = 0;
    const pour = () => {
      do poured += comment.length;
      while (streaming.response.write(comment));
    };
    streaming.response.on('drain', pour);
    pour();
    await streaming.gone;
    expect(poured).toBeGreaterThan(10 * 1024 * 1024);
    expect(await world.rows(proxy, id)).toMatchObject([{ response_body: { result: says('the last one') } }]);
  });

  it('S1: is held back for a client that reads slowly, and loses nothing', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await streamer(world);
    const id = await world.workspace(agent);
    const [client, streaming] = await Promise.all([
      listen(proxy, id, { body: call('message/stream'), room: 1_024 }),
      agent.next(),
    ]);
    const large = event(says('x'.repeat(1_000_000)));
    let events = 0;
    while (streaming.response.write(large) || (await drained(streaming.response))) events++;
    events++;
    expect(events).toBeLessThan(60); // the agent was told to wait
    streaming.end();
    expect((await client.rest()).equals(Buffer.from(large.repeat(events)))).toBe(true);
    expect(await world.rows(proxy, id)).toMatchObject([{ status: 'ok' }]);
  });

  it('S2: is taken from a client that stalls, and read on', async ({ world }) => {
    const proxy = await world.proxy({ A2A_STREAM_STALL_SECONDS: '1' });
    const agent = await streamer(world);
    const id = await world.workspace(agent);
    const [client, streaming] = await Promise.all([
      listen(proxy, id, { body: call('message/stream'), room: 1_024 }),
      agent.next(),
    ]);
    const large = event(says('x'.repeat(1_000_000)));
    while (streaming.response.write(large) || (await drained(streaming.response)));
    await once(streaming.response, 'drain'); // nobody has read, and yet it goes on
    await streaming.say(says('the end'));
    streaming.end();
    expect(await world.rows(proxy, id)).toMatchObject([{ status: 'ok', response_body: { result: says('the end') } }]);
    await expect(client.rest()).rejects.toThrow();
  });

  it('S3: that breaks off breaks off for its client; it was delivered', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await streamer(world);
    const id = await world.workspace(agent);
    const [client, streaming] = await Promise.all([listen(proxy, id, { body: call('message/stream') }), agent.next()]);
    await streaming.say(task);
    expect(await client.read()).toBe(event(task));
    streaming.cut();
    await expect(client.rest()).rejects.toThrow();
    expect(await world.rows(proxy, id)).toMatchObject([{ status: 'ok', response_body: null, error_detail: null }]);
    expect(await world.settled(proxy, 1)).toMatchObject({ completed: 1 });
    expect(world.said(id, 'A2A_RESPONSE')).toEqual([]);
  });

  it('S3: is never taken for whole, at whatever byte its link is cut (F11)', async ({ world }) => {
    const opsPort = await freePort();
    const proxy = await world.proxy({ OPS_PORT: `${opsPort}` });
    const agent = await world.agent({ behaviour: { kind: 'stream', chunks: ['one', 'two', 'three'], everyMs: 1 } });
    let cut: Cut = { after: 'answer', bytes: 0, how: 'end' };
    const link = await startRelay(agent.url, () => cut);
    await world.onClose(() => link.close());
    const id = await world.workspace(link);
    const outcomes: string[] = [];
    for (let bytes = 1; outcomes.at(-1) !== 'whole'; bytes += 37) {
      cut = { after: 'answer', bytes, how: bytes % 2 === 0 ? 'end' : 'reset' };
      const body = message('hi', `m-${bytes}`);
      const client = await listen(proxy, id, { body, headers: EVENTS });
      const rest = await client.rest().then(String, () => 'broken');
      if (client.status === 202) outcomes.push('queued');
      else if (rest === 'broken') outcomes.push('broken');
      else {
        expect(rest.match(/"text":"(one|two|three)"/g)).toHaveLength(3);
        outcomes.push('whole');
      }
    }
    // Before its head is there, the message waits; then it was delivered, and its stream is broken.
    expect(new Set(outcomes)).toEqual(new Set(['queued', 'broken', 'whole']));
    const page = await (await fetch(`http://127.0.0.1:${opsPort}/metrics`)).text();
    const broken = outcomes.filter((outcome) => outcome === 'broken').length;
    expect(page).toMatch(new RegExp(`^a2a_streams_total\\{.*how="broken".*\\} ${broken}$`, 'm'));
    expect(page).toMatch(/^a2a_streams_total\{.*how="whole".*\} 1$/m);
    expect(page).toMatch(/^a2a_streams_open(\{.*\})? 0$/m);
  });

  it.for([
    ['of which nothing is heard', { A2A_IDLE_TIMEOUT_SECONDS: '1' }, {}],
    ['that its caller would not wait for', {}, { 'x-timeout': '1' }],
  ] as const)('S3: %s is cut off, whatever it says', async ([, env, headers], { world }) => {
    const proxy = await world.proxy(env);
    const agent = await world.agent({ behaviour: { kind: 'stream', chunks: Array(1_000).fill('x'), everyMs: 50 } });
    const id = await world.workspace(agent);
    const client = await listen(proxy, id, { body: call('message/stream'), headers });
    await expect(client.rest()).rejects.toThrow();
    expect(await world.rows(proxy, id)).toMatchObject([{ status: 'ok', response_body: null }]);
  });

  it('S3: breaks off when the platform stops', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await streamer(world);
    const id = await world.workspace(agent);
    const [client, streaming] = await Promise.all([listen(proxy, id, { body: call('message/stream') }), agent.next()]);
    await streaming.say(task);
    const [rest] = await Promise.allSettled([client.rest(), proxy.close()]);
    expect(rest.status).toBe('rejected');
    await streaming.gone;
  });
});

/** `false`: it is not taken any more, as far as can be seen. */
const drained = (response: NodeJS.EventEmitter): Promise<boolean> =>
  once(response, 'drain', { signal: AbortSignal.timeout(300) }).then(
    () => true,
    () => false,
  );
