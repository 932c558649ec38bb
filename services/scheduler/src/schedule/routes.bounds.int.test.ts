/** What is kept in rows and told in facts is small; a prompt may be as long as a body may be. */
import { describe, expect } from 'vitest';
import { EVERY_MINUTE, it } from '../testing/world.ts';

const good = { cron_expr: EVERY_MINUTE, prompt: 'stand up' };

describe('a new schedule', () => {
  it('has a bounded name, expression and zone', async ({ world }) => {
    const scheduler = await world.scheduler();
    const workspaceId = await world.around.registry.create();
    for (const change of [
      { name: 'x'.repeat(256) },
      { name: 'ü'.repeat(128) },
      { cron_expr: `${EVERY_MINUTE}${' '.repeat(255)}` },
      { timezone: 'x'.repeat(101) },
      { timezone: 'x'.repeat(500_000) },
    ]) {
      const answer = await world.create(scheduler, workspaceId, { ...good, ...change });
      expect(answer).toMatchObject({ status: 400, text: '{"error":"invalid request body"}' });
    }
    expect(await world.list(scheduler, workspaceId)).toEqual([]);
    const longest = { name: `${'ü'.repeat(127)}x`, prompt: 'x'.repeat(1_000_000) };
    expect(await world.create(scheduler, workspaceId, { ...good, ...longest })).toMatchObject({ status: 201 });
  });

  it('is refused for its zone as before when that is short enough', async ({ world }) => {
    const scheduler = await world.scheduler();
    const answer = await world.create(scheduler, await world.around.registry.create(), { ...good, timezone: 'x'.repeat(100) });
    expect(answer).toMatchObject({ status: 400, text: expect.stringContaining('invalid timezone: ') });
  });
});
