/** T3: PostgreSQL goes away while something runs, or the answer to a commit is lost. */
import { fileURLToPath } from 'node:url';
import { openLedger } from '@molecule/event-store';
import type { Log } from '@molecule/service';
import { waitFor, withPostgres } from '@molecule/testkit';
import { pino } from 'pino';
import { describe, expect } from 'vitest';
import type { Tables } from '../database.ts';
import { it as base } from '../testing/world.ts';
import * as decisions from './decisions.ts';
import { messageIdOf } from './fire.ts';
import { schedule } from './schedule.ts';

const MIGRATIONS = fileURLToPath(new URL('../../../../migrations/scheduler', import.meta.url));

const it = base
  .extend('lines', (): string[] => [])
  .extend(
    'log',
    async ({ lines }): Promise<Log> => pino({ level: 'info' }, { write: (line: string) => void lines.push(line) }) as Log,
  )
  .extend('server', async ({ task: _ }, { onCleanup }) => {
    const server = await withPostgres();
    onCleanup(() => server.dispose());
    return server;
  })
  .extend('postgresUrl', ({ server }) => server.url);

describe('a run', () => {
  it('that ends while PostgreSQL is away is written down when it is back', async ({ server, lines, world }) => {
    const scheduler = await world.scheduler();
    const workspaceId = await world.around.registry.create();
    await world.schedule(scheduler, workspaceId);
    const gate = world.proxy.gate();
    world.aMinuteLater();
    await world.proxy.waitForCalls(1);
    await server.stop();
    gate.open();
    const gaveUp = /did not end|cannot be stored now/;
    await waitFor(() => lines.some((line) => gaveUp.test(line)), { what: 'an attempt to fail', timeoutMs: 15_000 });
    await server.start();
    expect(await world.ran(scheduler, workspaceId, 1)).toMatchObject({ run_count: 1, last_status: 'ok' });
    expect(await world.log()).toEqual({ 'schedule.created': 1, 'schedule.due': 1, 'schedule.fired': 1 });
    expect(world.proxy.received).toHaveLength(1);
    world.aMinuteLater();
    await world.ran(scheduler, workspaceId, 2);
  });

  it('whose claim was stored, but not heard of, runs all the same', async ({ world, log, postgresUrl }) => {
    const scheduler = await world.scheduler();
    const workspaceId = await world.around.registry.create();
    const scheduleId = await world.schedule(scheduler, workspaceId);
    const [{ next_run_at: dueAt } = { next_run_at: '' }] = await world.list(scheduler, workspaceId);
    const messageId = messageIdOf(scheduleId, new Date(dueAt));
    const later = new Date(Date.parse(dueAt) + 60_000).toISOString();
    const beside = { databaseUrl: postgresUrl, schema: 'scheduler', service: 'scheduler', migrations: MIGRATIONS } as const;
    const ledger = await openLedger<Tables>({ ...beside, log, aggregates: [schedule] });
    const claim = decisions.claim({ now: dueAt, nextRunAt: later, worker: scheduler.worker, messageId });
    await ledger.transact(schedule, { id: scheduleId, commandId: 'a claim' }, claim);
    await ledger.close();
    expect(await world.ran(scheduler, workspaceId, 1)).toMatchObject({ run_count: 1, last_status: 'ok' });
    expect(await world.log()).toEqual({ 'schedule.created': 1, 'schedule.due': 1, 'schedule.fired': 1 });
    expect(world.proxy.received.map(({ headers }) => headers['x-molecule-message-id'])).toEqual([messageId]);
  });
});
