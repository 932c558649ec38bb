/** How loops of several services are shown as one list. */
import type { ServiceHealth, ServiceName } from '@molecule/contracts';
import { pino } from 'pino';
import { expect, it } from 'vitest';
import { everyHealth, mergedLiveness } from './liveness.ts';

const now = new Date('2026-11-22T12:00:10.500Z');
const tick = (lastTickAt: string) => ({ lastTickAt, intervalMs: 1000 });

const health = (service: ServiceName, loops: ServiceHealth['loops'] = {}): ServiceHealth => ({
  service,
  instance: `${service}-1`,
  ready: true,
  checks: {},
  loops,
});

it('shows a loop that ticked by its name, and by its service too where names meet', () =>
  expect(
    mergedLiveness(
      [
        health('gateway', { idle: { ...tick('2026-11-22T11:00:00.000Z'), ticked: false } }),
        health('registry', {
          relay: { ...tick('2026-11-22T12:00:10.000Z'), ticked: true },
          'hibernation-monitor': tick('2026-11-22T12:00:00.000Z'),
        }),
        health('scheduler', { relay: tick('2026-11-22T12:00:09.000Z'), scheduler: tick('2026-11-22T12:00:11.000Z') }),
      ],
      now,
    ),
  ).toEqual({
    'registry.relay': { last_tick_at: '2026-11-22T12:00:10.000Z', seconds_ago: 0 },
    'hibernation-monitor': { last_tick_at: '2026-11-22T12:00:00.000Z', seconds_ago: 10 },
    'scheduler.relay': { last_tick_at: '2026-11-22T12:00:09.000Z', seconds_ago: 1 },
    scheduler: { last_tick_at: '2026-11-22T12:00:11.000Z', seconds_ago: 0 },
  }));

it('names every service, also one that does not answer', async () => {
  const all = await everyHealth({
    log: pino({ level: 'silent' }),
    healthOf: async (service) => {
      if (service === 'sweeper') throw new Error('no answer');
      return health(service);
    },
  });
  expect(all.map(({ service, ready }) => [service, ready])).toEqual([
    ['gateway', true],
    ['registry', true],
    ['a2a-proxy', true],
    ['scheduler', true],
    ['provisioner', true],
    ['sweeper', false],
  ]);
});
