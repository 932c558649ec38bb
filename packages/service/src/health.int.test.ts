import { afterEach, describe, expect, it } from 'vitest';
import { createBasics } from './basics.ts';
import { evaluateHealth, type HealthCheck, startOpsServer } from './health.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const start = async (checks: Record<string, HealthCheck>) => {
  const { loops, metrics, log } = createBasics('registry', { level: 'silent' });
  loops.every('beat', 60_000, async () => {});
  closing.push(() => loops.stop());
  const server = await startOpsServer({ port: 0, host: '127.0.0.1', checks, loops, metrics, log });
  closing.push(() => server.close());
  return {
    port: server.port,
    get: (path: string, method = 'GET') => fetch(`http://127.0.0.1:${server.port}${path}`, { method }),
  };
};

describe('the ops server', () => {
  it('says that the process lives, whatever its dependencies do', async () => {
    const { get } = await start({ database: () => ({ ok: false, detail: 'gone' }) });
    const response = await get('/healthz');
    expect([response.status, await response.text()]).toEqual([200, '{"status":"ok"}']);
  });

  it('is ready when every check says so', async () => {
    const { get } = await start({
      bus: () => ({ ok: true, detail: 'connected' }),
      database: async () => ({ ok: true, detail: '' }),
    });
    const response = await get('/readyz');
    expect(response.status).toBe(200);
    expect(await response.json()).toEqual({
      ready: true,
      checks: { bus: { ok: true, detail: 'connected' }, database: { ok: true, detail: '' } },
      loops: { beat: { lastTickAt: expect.any(String), intervalMs: 60_000, ticked: false } },
    });
  });

  it('says which check says no, also when it throws', async () => {
    const { get } = await start({
      bus: () => ({ ok: true, detail: '' }),
      database: () => {
        throw new Error('connection refused');
      },
    });
    const response = await get('/readyz?x=1');
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({
      ready: false,
      checks: { database: { ok: false, detail: 'connection refused' } },
    });
  });

  it('bounds a check that does not answer', async () => {
    const { loops } = createBasics('registry', { level: 'silent' });
    const checks = { bus: () => new Promise<never>(() => {}) };
    expect(await evaluateHealth({ checks, loops, timeoutMs: 5 })).toMatchObject({
      ready: false,
      checks: { bus: { ok: false, detail: 'no answer within 5 ms' } },
    });
  });

  it('counts', async () => {
    const { get } = await start({});
    const response = await get('/metrics');
    expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    const text = await response.text();
    expect(text).toMatch(/^process_resident_memory_bytes\{service="registry"\} \d+$/m);
    expect(text).toMatch(/^molecule_loop_seconds_since_tick\{loop="beat",service="registry"\} [\d.]+$/m);
  });

  it('knows nothing else', async () => {
    const { get } = await start({});
    for (const path of ['/', '/metrics/', '/__proto__', '/constructor']) expect((await get(path)).status).toBe(404);
    expect((await get('/healthz', 'POST')).status).toBe(404);
  });

  it('says which port is in use, and what to do', async () => {
    const { port } = await start({});
    const { loops, metrics, log } = createBasics('registry', { level: 'silent' });
    await expect(startOpsServer({ port, host: '127.0.0.1', checks: {}, loops, metrics, log })).rejects.toThrow(
      `cannot listen on 127.0.0.1:${port}: the port is in use. Stop what listens there, or set OPS_PORT to a free port.`,
    );
  });
});
