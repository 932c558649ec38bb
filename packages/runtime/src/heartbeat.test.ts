import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { waitFor } from '@molecule/testkit';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Heartbeat, type HeartbeatParts } from './heartbeat.ts';
import { Platform } from './platform.ts';
import { TokenFile } from './token-file.ts';
import { Wedge } from './wedge.ts';

interface Received {
  readonly path: string;
  readonly bearer: string | undefined;
  readonly body: Record<string, unknown>;
  readonly at: number;
}
type Answer = { status: number; headers?: Record<string, string>; body?: object; afterMs?: number };

describe('the pulse of a runtime (spec 4 §4)', () => {
  const OK: Answer = { status: 200, body: { status: 'ok' } };
  let directory: string;
  let server: Server;
  let received: Received[];
  let answer: (request: Received) => Answer;
  let stop: (() => Promise<void>) | undefined;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'heartbeat-'));
    received = [];
    answer = () => OK;
    server = createServer(async (request, response) => {
      const body = JSON.parse(await text(request)) as Record<string, unknown>;
      const bearer = request.headers.authorization?.replace('Bearer ', '');
      const one = { path: request.url ?? '', bearer, body, at: performance.now() };
      received.push(one);
      const { status, headers = {}, body: said = {}, afterMs = 0 } = answer(one);
      setTimeout(() => response.writeHead(status, headers).end(JSON.stringify(said)), afterMs);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    await stop?.();
    stop = undefined;
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    rmSync(directory, { recursive: true });
  });

  const port = () => (server.address() as { port: number }).port;
  const start = (change: Partial<HeartbeatParts> = {}) => {
    const platform = new Platform(`http://127.0.0.1:${port()}`);
    const wedge = new Wedge(() => heartbeat.nudge());
    const heartbeat: Heartbeat = new Heartbeat({
      workspaceId: 'w1',
      platform,
      token: new TokenFile(directory),
      wedge,
      intervalMs: 60_000,
      metadata: () => ({ capabilities: { session: true }, idle_timeout_seconds: 2 }),
      registration: () => ({ id: 'w1', url: 'http://127.0.0.1:4100', agent_card: { name: 'Ada' } }),
      log: { info: () => {}, warn: () => {}, error: () => {} },
      random: () => 0.5,
      ...change,
    });
    heartbeat.start();
    stop = async () => {
      await heartbeat.stop();
      platform.close();
    };
    return { heartbeat, wedge };
  };
  const beats = () => received.filter(({ path }) => path === '/registry/heartbeat');
  const beat = (index: number) => waitFor(() => beats()[index], { what: `beat ${index}` });

  it('registers and beats at once', async () => {
    start();
    expect((await beat(0)).body).toEqual({
      workspace_id: 'w1',
      error_rate: 0,
      sample_error: '',
      active_tasks: 0,
      current_task: '',
      uptime_seconds: 0,
      runtime_metadata: { capabilities: { session: true }, idle_timeout_seconds: 2 },
    });
    expect(received.map(({ path }) => path)).toEqual(['/registry/register', '/registry/heartbeat']);
    expect(received[0]?.body).toEqual({ id: 'w1', url: 'http://127.0.0.1:4100', agent_card: { name: 'Ada' } });
  });

  it('keeps the token that register gives, and shows it', async () => {
    answer = ({ path }) => (path === '/registry/register' ? { status: 200, body: { auth_token: 'fresh' } } : OK);
    start();
    expect(await beat(0)).toMatchObject({ bearer: 'fresh' });
    expect(new TokenFile(directory).read()).toBe('fresh');
  });

  it('reads its token again when it is refused, and repeats the beat once, whole', async () => {
    const token = new TokenFile(directory);
    writeFileSync(join(directory, '.auth_token'), 'old');
    token.read();
    writeFileSync(join(directory, '.auth_token'), 'new');
    answer = ({ bearer }) => (bearer === 'new' ? OK : { status: 401 });
    start({ token });
    expect(await beat(1)).toMatchObject({ bearer: 'new' });
    expect(beats()[0]?.bearer).toBe('old');
    expect(beats()[1]?.body).toEqual(beats()[0]?.body);
  });

  it('registers again with later beats until it is accepted', async () => {
    let attempts = 0;
    answer = ({ path }) => (path === '/registry/register' && ++attempts < 3 ? { status: 400 } : OK);
    start({ intervalMs: 5 });
    await waitFor(() => attempts === 3);
    const before = beats().length;
    await beat(before + 3);
    expect(attempts).toBe(3);
  });

  it('pushes when a task starts and when it ends, in that order (H1)', async () => {
    const { heartbeat } = start();
    await beat(0);
    heartbeat.taskStarted('Greet');
    await beat(1);
    heartbeat.taskEnded();
    await beat(2);
    const push = { workspace_id: 'w1', error_rate: 0, sample_error: '', uptime_seconds: 0 };
    expect(beats()[1]?.body).toEqual({ ...push, current_task: 'Greet', active_tasks: 1 });
    expect(beats()[2]?.body).toEqual({ ...push, current_task: '', active_tasks: 0 });
  });

  it('makes one push of those that pile up, and always tells the last state (H2)', async () => {
    const { heartbeat } = start();
    await beat(0);
    answer = () => ({ ...OK, afterMs: 60 });
    for (let task = 1; task <= 20; task++) heartbeat.taskStarted(`Task ${task}`);
    await beat(1);
    for (let task = 1; task <= 20; task++) heartbeat.taskEnded();
    const last = await beat(2);
    expect(last.body).toMatchObject({ active_tasks: 0, current_task: '' });
    expect(beats()[1]?.body).toMatchObject({ active_tasks: 20, current_task: 'Task 20' });
    expect(heartbeat.activeTasks).toBe(0);
  });

  it('tells errors against requests since the last beat, and then starts counting anew', async () => {
    const { heartbeat } = start();
    await beat(0);
    for (const error of ['boom', undefined, undefined, undefined]) {
      heartbeat.taskStarted('x');
      heartbeat.taskEnded(error);
    }
    heartbeat.nudge();
    const full = await waitFor(() => beats().findLast(({ body }) => body['error_rate'] !== 0));
    expect(full.body).toMatchObject({ error_rate: 0.25, sample_error: 'boom' });
    const seen = beats().length;
    heartbeat.nudge();
    expect((await beat(seen)).body).toMatchObject({ error_rate: 0, sample_error: '' });
  });

  it('says at once that it is wedged, in pushes too, and when it no longer is (H3)', async () => {
    const { heartbeat, wedge } = start();
    await beat(0);
    wedge.mark('no control channel');
    expect((await beat(1)).body).toMatchObject({ runtime_state: 'wedged', sample_error: 'no control channel' });
    heartbeat.taskStarted('x');
    expect((await beat(2)).body).toMatchObject({ runtime_state: 'wedged', active_tasks: 1 });
    wedge.clear();
    expect((await beat(3)).body).not.toHaveProperty('runtime_state');
  });

  it('sends nothing before Retry-After is over (H4)', async () => {
    answer = () => (beats().length === 1 ? { status: 503, headers: { 'retry-after': '1' } } : OK);
    const { heartbeat } = start({ intervalMs: 20 });
    const first = await beat(0);
    heartbeat.taskStarted('x');
    const second = await beat(1);
    expect(second.at - first.at).toBeGreaterThanOrEqual(990);
    expect(second.body).toMatchObject({ active_tasks: 1 });
  });

  it('tells soon what was not accepted (H5)', async () => {
    const { heartbeat } = start();
    await beat(0);
    answer = () => ({ status: 500 });
    heartbeat.taskStarted('x');
    await beat(1);
    answer = () => OK;
    expect((await beat(2)).body).toMatchObject({ active_tasks: 1, runtime_metadata: {} });
  });

  it('beats without its metadata when the adapter cannot say it', async () => {
    const fail = () => {
      throw new Error('broken adapter');
    };
    start({ metadata: fail });
    expect((await beat(0)).body).not.toHaveProperty('runtime_metadata');
  });

  it('goes on when the platform goes away and comes back (H6)', async () => {
    start({ intervalMs: 20 });
    await beat(0);
    const where = port();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    const before = beats().length;
    await new Promise<void>((resolve) => server.listen(where, '127.0.0.1', resolve));
    await beat(before);
  });
});
