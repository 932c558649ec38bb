/** A request that is sent under a lease (X4). */
import { type ManualClock, manualClock, startAgent } from '@molecule/testkit';
import { Pool } from 'undici';
import { it as base, describe, expect } from 'vitest';
import { Lease } from '../lease.ts';
import { Dispatch } from './dispatch.ts';
import { ReplyMemory } from './reply-body.ts';
import { Streams } from './stream.ts';
import { Target } from './targets.ts';

const LEASE_MS = 1_000;

const it = base
  // biome-ignore lint/correctness/noEmptyPattern: it needs nothing
  .extend('agent', async ({}, { onCleanup }) => {
    const agent = await startAgent();
    onCleanup(() => agent.stop());
    return agent;
  })
  .extend('run', async ({ agent }, { onCleanup }) => {
    const pool = new Pool(new URL(agent.url).origin);
    onCleanup(() => pool.destroy());
    return (clock: ManualClock, lease: Lease) =>
      new Dispatch(clock, { idleMs: 60_000, limitMs: 60_000, lease }, () => false).run(
        pool,
        { path: '/', body: '{}' },
        new Target('w'),
      );
  });

describe('a request under a lease', () => {
  it('is not written when the lease has ended, whatever its timer knows', async ({ agent, run }) => {
    const clock = manualClock();
    const lease = new Lease(clock, LEASE_MS, clock.monotonicMs());
    clock.advance(LEASE_MS);
    expect(await run(clock, lease)).toEqual({ kind: 'stopped' });
    expect(agent.received).toHaveLength(0);
  });

  it('is not written when the lease ends while it is dialled', async ({ agent, run }) => {
    const clock = manualClock();
    const lease = new Lease(clock, LEASE_MS, clock.monotonicMs());
    const exchange = run(clock, lease);
    clock.advance(LEASE_MS); // as after a stop of the whole process
    expect(await exchange).toEqual({ kind: 'stopped' });
    expect(agent.received).toHaveLength(0);
  });

  it('is cut off when the lease ends while it is answered', async ({ agent, run }) => {
    const clock = manualClock();
    const lease = new Lease(clock, LEASE_MS, clock.monotonicMs());
    agent.behave({ kind: 'hang' });
    const exchange = run(clock, lease);
    await agent.waitForCalls(1);
    lease.end();
    expect(await exchange).toEqual({ kind: 'stopped' });
    await agent.waitForCalls(0);
  });
});

describe('a stream of events', () => {
  it('B2: goes on when what is kept of it is more than there is; then there is no reply of it', async ({
    agent,
    onTestFinished,
  }) => {
    const pool = new Pool(new URL(agent.url).origin);
    onTestFinished(() => pool.destroy());
    agent.behave({ kind: 'stream', chunks: ['x'.repeat(300_000), 'y'.repeat(100_000)], everyMs: 0 });
    const read = async (limit: number) => {
      const memory = new ReplyMemory(limit);
      const events = new Streams(60_000).toNobody('message/stream');
      const dispatch = new Dispatch(manualClock(), { idleMs: 60_000, limitMs: 60_000, memory }, () => false);
      const exchange = await dispatch.run(pool, { path: '/', body: '{}', events }, new Target('w'));
      const text = exchange.kind === 'reply' ? exchange.body.toString() : exchange.kind;
      return { text, total: memory.total, brokenOff: memory.brokenOff };
    };
    expect(await read(1_000_000)).toEqual({ text: expect.stringContaining('"text":"yyy'), total: 0, brokenOff: 0 });
    expect(await read(80_000)).toMatchObject({ text: 'null', total: 0 });
  });
});
