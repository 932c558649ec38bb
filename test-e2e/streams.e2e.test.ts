/**
 * Streams of events through two processes, gateway and a2a-proxy: nothing on the way holds an event back, who reads slowly slows
 * the agent down and loses nothing, who leaves cancels nothing, and what breaks off is never taken for whole.
 */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { openStream, type Streamer, startStreamer, streamEvent, waitFor } from '@molecule/testkit';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { Caller } from './harness/caller.ts';
import { Cluster } from './harness/cluster.ts';

const CALL = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'message/stream',
  params: { message: { role: 'user', messageId: 'm', parts: [] } },
});
const says = (text: string) => ({ kind: 'message', role: 'agent', messageId: 'r', parts: [{ kind: 'text', text }] });

let cluster: Cluster;
let agent: Streamer;
let caller: Caller;

beforeAll(async () => {
  cluster = await Cluster.start({ env: { MOLECULE_ENV: 'development' } });
  agent = await startStreamer();
  caller = new Caller(cluster.url());
});
afterAll(async () => {
  agent?.stop();
  await cluster?.stop();
});

/** A workspace with the agent behind it, and a call to it that is being answered. */
const streaming = async (room?: number) => {
  const made = await caller.post('/workspaces', { name: 'borealis', external: true, url: agent.url });
  const { id } = made.body as { id: string };
  const url = `${cluster.url()}/workspaces/${id}/a2a`;
  const [client, call] = await Promise.all([openStream(url, { body: CALL, ...(room !== undefined && { room }) }), agent.next()]);
  const recorded = () =>
    waitFor(async () => ((await caller.get(`/workspaces/${id}/activity`)).body as unknown[])[0] ?? false, { what: 'a row' });
  return { client, call, recorded };
};

it('reach their client event by event', async () => {
  const { client, call, recorded } = await streaming();
  expect(client.headers).toMatchObject({
    'content-type': 'text/event-stream',
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no',
  });
  for (const text of ['one', 'two', 'three']) {
    await call.say(says(text));
    expect(await client.read()).toBe(streamEvent(says(text)));
  }
  call.end();
  expect(await client.read()).toBeNull();
  expect(await recorded()).toMatchObject({ status: 'ok', response_body: { result: says('three') } });
});

it('go on when their client has left', async () => {
  const { client, call, recorded } = await streaming();
  await call.say(says('one'));
  expect(await client.read()).toBe(streamEvent(says('one')));
  client.leave();
  await call.say(says('two'));
  call.end();
  expect(await recorded()).toMatchObject({ status: 'ok', response_body: { result: says('two') } });
});

it('are held back for a client that reads slowly, and lose nothing', async () => {
  const { client, call, recorded } = await streaming(1_024);
  const large = streamEvent(says('x'.repeat(1_000_000)));
  let events = 1;
  for (; !(await isHeldBack(call.response, large)); events++) expect(events).toBeLessThan(100);
  call.end();
  expect((await client.rest()).equals(Buffer.from(large.repeat(events)))).toBe(true);
  expect(await recorded()).toMatchObject({ status: 'ok' });
});

it('break off for their client when their agent breaks off', async () => {
  const { client, call, recorded } = await streaming();
  await call.say(says('one'));
  expect(await client.read()).toBe(streamEvent(says('one')));
  call.cut();
  await expect(client.rest()).rejects.toThrow();
  expect(await recorded()).toMatchObject({ status: 'ok', response_body: null });
});

it('break off for their client when the proxy dies', async () => {
  const { client, call } = await streaming();
  await call.say(says('one'));
  expect(await client.read()).toBe(streamEvent(says('one')));
  await cluster.kill('a2a-proxy-0', 'SIGKILL');
  await expect(client.rest()).rejects.toThrow();
  await cluster.restart('a2a-proxy-0');
});

/** Writes once more; `true`: it is not taken, as far as can be seen. */
const isHeldBack = async (response: ServerResponse, text: string): Promise<boolean> => {
  if (response.write(text)) return false;
  return once(response, 'drain', { signal: AbortSignal.timeout(500) }).then(
    () => false,
    () => true,
  );
};
