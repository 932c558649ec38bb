/** Leadership among replicas (L1–L3). */

import { waitFor } from '@molecule/testkit';
import { describe, expect } from 'vitest';
import { it as base } from './fixtures/tally.ts';
import { whileLeading } from './leading.ts';

/** Starts a candidate that leads until it is told to stop, and tells who led when. */
const it = base.extend('candidates', async ({ ledger, log }, { onCleanup }) => {
  const history: string[] = [];
  const stops: (() => Promise<void>)[] = [];
  onCleanup(async () => {
    await Promise.all(stops.map((stop) => stop()));
  });
  return {
    history,
    start: (name: string, task: (signal: AbortSignal) => Promise<void> = untilAborted, silenceMs?: number) => {
      const stopping = new AbortController();
      const ended = whileLeading({
        ledger,
        key: 'test',
        log,
        signal: stopping.signal,
        ...(silenceMs !== undefined && { silenceMs }),
        task: async (signal) => {
          history.push(`${name} leads`);
          try {
            await task(signal);
          } finally {
            history.push(`${name} ends`);
          }
        },
      });
      const stop = () => {
        stopping.abort();
        return ended;
      };
      stops.push(stop);
      return stop;
    },
  };
});

const untilAborted = (signal: AbortSignal) =>
  new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });

describe('of several candidates', () => {
  it('L1: one leads, and the next takes over when it stops', async ({ candidates: { history, start } }) => {
    const stopFirst = start('first');
    await waitFor(() => history.length === 1);
    start('second');
    await stopFirst();
    await waitFor(() => history.length === 3);
    expect(history).toEqual(['first leads', 'first ends', 'second leads']);
  });

  it('L1: one whose connection is killed is aborted before another leads', async ({ ledger, candidates: { history, start } }) => {
    start('first');
    await waitFor(() => history.length === 1);
    start('second');
    await ledger.pool.query(`
      select pg_terminate_backend(pid) from pg_locks join pg_stat_activity using (pid)
      where locktype = 'advisory' and datname = current_database()`);
    await waitFor(() => history.length >= 3);
    expect(history.slice(0, 2)).toEqual(['first leads', 'first ends']);
    expect(history[2]).toMatch(/ leads$/);
  });

  it('L2: one that is silent for too long loses the lead, and learns of it', async ({ candidates: { history, start } }) => {
    // It pings every 10 s: between two pings it is as silent as a process that was stopped.
    start('first', untilAborted, 700);
    await waitFor(() => history.length === 1);
    start('second');
    await waitFor(() => history.length >= 3);
    expect(history.slice(0, 2)).toEqual(['first leads', 'first ends']);
    expect(history[2]).toMatch(/ leads$/);
  });

  it('L1: a task that fails gives up the lead for a moment, and gets it again', async ({ candidates: { history, start } }) => {
    let failures = 0;
    start('first', async (signal) => {
      if (failures++ === 0) throw new Error('stumbled');
      await untilAborted(signal);
    });
    await waitFor(() => history.length === 3);
    expect(history).toEqual(['first leads', 'first ends', 'first leads']);
  });

  it('L3: who waits says that it lives, and ends at once when told to', async ({
    ledger,
    log,
    candidates: { history, start },
  }) => {
    start('first');
    await waitFor(() => history.length === 1);
    const stopping = new AbortController();
    let ticks = 0;
    const waiting = whileLeading({
      ledger,
      key: 'test',
      log,
      signal: stopping.signal,
      tick: () => ticks++,
      task: async () => {
        throw new Error('there is a leader');
      },
    });
    await waitFor(() => ticks > 0);
    stopping.abort();
    await waiting;
  });

  it('leads in its own schema only', async ({ replica, log, candidates: { history, start } }) => {
    start('first');
    await waitFor(() => history.length === 1);
    const stopping = new AbortController();
    const { promise: led, resolve } = Promise.withResolvers<void>();
    const other = await replica({ schema: 'scheduler', service: 'scheduler' });
    const leading = whileLeading({
      pool: other.pool,
      schema: other.schema,
      key: 'test',
      log,
      signal: stopping.signal,
      task: async (signal) => {
        resolve();
        await untilAborted(signal);
      },
    });
    await led;
    stopping.abort();
    await leading;
  });
});
