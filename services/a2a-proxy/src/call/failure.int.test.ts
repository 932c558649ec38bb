/** Calls that get no answer (spec 2 §1.9), and how long is waited for one (§1.7). */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { it, message, type World } from '../testing/world.ts';

const BUSY_QUEUED = 'workspace agent busy — request queued, will dispatch when capacity available';

/** Somebody who speaks TCP, and does what he likes with it. */
async function rude(world: World, serve: (socket: Socket) => void) {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined).on('close', () => sockets.delete(socket));
    socket.once('data', () => serve(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  await world.onClose(async () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

describe('an agent that does not answer', () => {
  it.for([
    ['resets the connection', (socket: Socket) => socket.resetAndDestroy()],
    ['hangs up before the headers', (socket: Socket) => socket.end()],
    ['hangs up within the headers', (socket: Socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-')],
  ] as const)('and %s is busy: the message is queued', async ([, serve], { world }) => {
    const proxy = await world.proxy();
    const id = await world.workspace(await rude(world, serve));
    const answer = await world.call(proxy, id, { body: message('hi', 'm-1') });
    expect(answer).toMatchObject({ status: 202, json: { queued: true, queue_depth: 1, message: BUSY_QUEUED } });
    expect(await world.facts(answer.json.queue_id)).toContain('a2a.queued');
    const [row] = await world.rows(proxy, id);
    expect(row).toMatchObject({ status: 'error', source_id: null, summary: `A2A request to atlas failed: ${row?.error_detail}` });
    expect(row).not.toHaveProperty('response_body');
    expect(row?.request_body).toEqual(JSON.parse(message('hi', 'm-1')));

    // The same message again is the same item; another one is behind it.
    expect((await world.call(proxy, id, { body: message('hi', 'm-1') })).json).toMatchObject({
      queue_id: answer.json.queue_id,
      queue_depth: 1,
    });
    expect((await world.call(proxy, id)).json.queue_depth).toBe(2);
    await waitFor(async () => (await world.audit(proxy)).open === 2, { what: 'the end of the one that came second' });
    expect(await world.audit(proxy)).toMatchObject({ balanced: true });
  });

  it.for([
    ['speaks no HTTP', (socket: Socket) => socket.end('SSH-2.0-OpenSSH\r\n')],
    [
      'switches protocols',
      (socket: Socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    ],
    ['sends headers without end', (socket: Socket) => socket.write(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(50_000)}`)],
  ] as const)('and %s cannot be reached', async ([, serve], { world }) => {
    const proxy = await world.proxy();
    const id = await world.workspace(await rude(world, serve));
    expect(await world.call(proxy, id)).toMatchObject({ status: 502, text: '{"error":"failed to reach workspace agent"}' });
    expect(await world.rows(proxy, id)).toMatchObject([{ status: 'error' }]);
    expect(await world.settled(proxy, 1)).toMatchObject({ failed: 1 });
  });

  it('and refuses connections cannot be reached, and is not queued', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent);
    await agent.refuse();
    expect((await world.call(proxy, id)).status).toBe(502);
    expect(await world.rows(proxy, id)).toMatchObject([{ error_detail: 'connection refused' }]);
  });

  it('and whose container is gone is reported to the registry, once for many', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent();
    const id = await world.workspace(agent);
    const external = await world.workspace(agent, { runtime: 'external', external: true });
    await agent.refuse();
    for (const workspaceId of [id, external]) world.provisioner.containers.set(workspaceId, 'stopped');
    const answers = await Promise.all([1, 2, 3].map(() => world.call(proxy, id)));
    for (const answer of answers)
      expect(answer).toMatchObject({
        status: 503,
        text: '{"error":"workspace agent unreachable — container restart triggered","restarting":true}',
      });
    expect((await world.call(proxy, external)).status).toBe(502);
    world.provisioner.containers.set(id, 'running');
    expect((await world.call(proxy, id)).status).toBe(502);
    const reports = () => world.database.query("select stream, data from events where type = 'agent.unreachable'");
    await waitFor(async () => (await reports()).rows.length > 0, { what: 'a report' });
    const { rows } = await reports();
    expect(rows).toEqual([{ stream: `agent.${id}`, data: { workspaceId: id, error: 'connection refused' } }]);
  });

  it('and queues for itself is left alone', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    world.beat(id, { runtime_metadata: { capabilities: { session: true } } });
    const answer = await world.call(proxy, id);
    expect(answer).toMatchObject({
      status: 503,
      text: '{"error":"workspace agent busy — adapter handles retry (native_session)","busy":true,"retry_after":30,"native_session":true}',
    });
    expect(answer.headers['retry-after']).toBe('30');
    expect(await world.settled(proxy, 1)).toMatchObject({ failed: 1, open: 0 });
  });

  it('is not queued for a system sender, nor beyond the limit of the mailbox', async ({ world }) => {
    const proxy = await world.proxy({ A2A_MAILBOX_LIMIT: '2' });
    const agent = await world.agent({ behaviour: { kind: 'reset' } });
    const id = await world.workspace(agent);
    const busy = {
      status: 503,
      text: '{"error":"workspace agent busy — retry after a short backoff","busy":true,"retry_after":30}',
    };
    const system = { identity: { kind: 'service', service: 'registry', as: 'webhook:github' } } as const;
    expect(await world.call(proxy, id, system)).toMatchObject(busy);
    for (const depth of [1, 2]) expect((await world.call(proxy, id)).json.queue_depth).toBe(depth);
    const full = await world.call(proxy, id);
    expect(full).toMatchObject({
      status: 429,
      text: '{"error":"workspace mailbox is full — retry after a short backoff","busy":true,"retry_after":30,"queue_depth":2,"queue_limit":2}',
    });
    expect(full.headers['retry-after']).toBe('30');
    await waitFor(async () => (await world.audit(proxy)).failed === 2, { what: 'the ends of those that were refused' });
    expect(await world.audit(proxy)).toMatchObject({ accepted: 4, open: 2, balanced: true });
    expect(await world.figure(proxy, 'a2a_mailbox_full_total')).toBe(1);
    const rows = await world.rows(proxy, id, 4);
    expect(rows.map(({ status, error_detail }) => [status, error_detail])).toEqual(Array(4).fill(['error', 'connection reset']));
  });
});

describe('how long is waited', () => {
  it('is until the workspace has been idle, as its beat asked for; any event of it counts', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'hang' } });
    const id = await world.workspace(agent);
    world.beat(id, { active_tasks: 1, runtime_metadata: { idle_timeout_seconds: 1 } });
    const started = performance.now();
    const call = world.call(proxy, id);
    await agent.waitForCalls(1);
    // Three signs of life, each of another kind, keep it going beyond the second.
    const lasting = (ms: number) => waitFor(() => performance.now() - started > ms);
    await lasting(600);
    world.beat(id, { active_tasks: 1 });
    await lasting(1_200);
    await world.registry.say(id, { type: 'workspace.changed', data: { name: 'renamed' } });
    await lasting(1_800);
    world.say('registry', { event: 'TASK_UPDATED', workspaceId: id, timestamp: new Date().toISOString(), payload: {} });
    const answer = await call;
    const took = performance.now() - started;
    expect(answer.status).toBe(202);
    expect(took).toBeGreaterThan(2_700);
    expect(took).toBeLessThan(60_000); // and not for the five minutes of the default
    expect(await world.rows(proxy, id)).toMatchObject([{ error_detail: 'no activity of the workspace within the idle window' }]);
  });

  it('is what the environment says, and counts for the body as well', async ({ world }) => {
    const proxy = await world.proxy({ A2A_IDLE_TIMEOUT_SECONDS: '1' });
    const agent = await world.agent({ behaviour: { kind: 'stream', chunks: Array(100).fill('x'), everyMs: 100 } });
    const id = await world.workspace(agent);
    const started = performance.now();
    expect(await world.call(proxy, id)).toMatchObject({ status: 502, json: { delivery_confirmed: true } });
    expect(performance.now() - started).toBeGreaterThan(990);
  });

  it('is no longer than the caller says', async ({ world }) => {
    const proxy = await world.proxy();
    const agent = await world.agent({ behaviour: { kind: 'hang' } });
    const id = await world.workspace(agent);
    const started = performance.now();
    expect((await world.call(proxy, id, { headers: { 'x-timeout': '1' } })).status).toBe(202);
    expect(performance.now() - started).toBeGreaterThan(990);
    expect(await world.rows(proxy, id)).toMatchObject([{ error_detail: 'deadline exceeded' }]);
  });

  it('never reads more than ten mebibytes', async ({ world }) => {
    const proxy = await world.proxy();
    const chunk = Buffer.alloc(65_536, 0x20);
    const endless = await rude(world, (socket) => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      const pour = () => {
        while (socket.writable && socket.write(chunk));
        if (socket.writable) socket.once('drain', pour);
      };
      pour();
    });
    const id = await world.workspace(endless);
    const answer = await world.call(proxy, id);
    expect(answer.status).toBe(200);
    expect(answer.text.length).toBe(10 * 1024 * 1024);
    expect(await world.rows(proxy, id)).toMatchObject([{ status: 'ok', response_body: null }]);
  });
});
