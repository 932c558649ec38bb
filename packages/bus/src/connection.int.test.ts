import { createBasics, createLog } from '@molecule/service';
import { describe, expect } from 'vitest';
import { openBus } from './connection.ts';
import { exposeBusCounts } from './metrics.ts';
import { ensureStreams } from './streams.ts';
import { eventually, it, LogLines, NatsProcess } from './test-support.ts';

describe('the connection to NATS', () => {
  it('C1: waits for a server that is not there yet, and says which', async ({ nats, log, lines }) => {
    await nats.kill();
    const opening = openBus({ servers: nats.url, name: 'test', log });
    await eventually(() => lines.saying('waiting for NATS').length > 0);
    expect(lines.saying('waiting for NATS')[0]).toMatchObject({ servers: [nats.url] });
    await nats.up();
    const bus = await opening;
    expect(bus.healthy()).toEqual({ ok: true, detail: `NATS ${bus.serverVersion}` });
    await bus.close();
    expect(bus.healthy().ok).toBe(false);
  });

  it('C1: stops waiting when told to', async ({ nats, log }) => {
    await nats.kill();
    const stopping = new AbortController();
    const opening = openBus({ servers: nats.url, name: 'test', log, signal: stopping.signal });
    stopping.abort(new Error('stopped'));
    await expect(opening).rejects.toThrow('stopped');
  });

  it('C2: is made again after the server died, and tells those who listen', async ({ nats, bus }) => {
    let back = 0;
    const leave = bus.onReconnect(() => back++);
    await nats.kill();
    await eventually(() => !bus.connected);
    expect(bus.healthy()).toMatchObject({ ok: false, detail: expect.stringContaining('not connected') });
    await nats.up();
    await eventually(() => bus.connected);
    expect(back).toBe(1);
    expect(bus.counts.reconnects).toBe(1);
    leave();
  });

  it('C3: shows what a part of the service cannot do', ({ bus }) => {
    bus.complain('publishing facts', 'no acknowledgement');
    expect(bus.healthy()).toEqual({ ok: false, detail: 'publishing facts: no acknowledgement' });
    bus.complain('publishing facts', null);
    expect(bus.healthy().ok).toBe(true);
  });

  it('I12: shows what it counted', async ({ bus, log }) => {
    const { metrics } = createBasics('registry', { level: 'error', log });
    exposeBusCounts(bus, metrics);
    bus.counts.beatGaps = 3;
    const shown = await metrics.metrics();
    expect(shown).toContain('molecule_bus_beat_gaps_total{service="registry"} 3');
    for (const key of Object.keys(bus.counts))
      expect(shown).toContain(`molecule_bus_${key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}_total`);
  });

  it('logs in with the user and password of the address, and never shows them', async () => {
    const nats = await NatsProcess.start(['--user', 'mole', '--pass', 's3cret']);
    const lines = new LogLines();
    const log = createLog({ service: 'test', level: 'debug', destination: lines });
    const bus = await openBus({ servers: nats.url.replace('//', '//mole:s3cret@'), name: 'test', log });
    await ensureStreams(bus);
    await bus.close();
    await nats.stop();
    expect(JSON.stringify(lines.all)).not.toContain('s3cret');
  });
});
