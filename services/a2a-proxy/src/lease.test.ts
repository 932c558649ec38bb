import { manualClock } from '@molecule/testkit';
import { describe, expect, it } from 'vitest';
import { Lease } from './lease.ts';

const LEASE_MS = 9_000;
const taken = () => {
  const clock = manualClock();
  return { clock, lease: new Lease(clock, LEASE_MS, clock.monotonicMs()) };
};

describe('a lease', () => {
  it('ends before the others may think so, counted from before it was asked for', () => {
    const { clock, lease } = taken();
    clock.advance(8_000);
    expect(lease.holds()).toBe(true);
    lease.extend(clock.monotonicMs() - 1_000);
    clock.advance(7_000);
    expect(lease.holds()).toBe(true);
    clock.advance(200);
    expect(lease.holds()).toBe(false);
  });

  it('never holds again', () => {
    const { clock, lease } = taken();
    clock.advance(LEASE_MS);
    expect(lease.holds()).toBe(false);
    lease.extend(clock.monotonicMs());
    expect(lease.holds()).toBe(false);
  });

  it('stops what it holds when it ends, and at once what comes later; not what it let go', () => {
    const { clock, lease } = taken();
    const stopped: string[] = [];
    const held = (name: string) => lease.hold({ stop: () => stopped.push(name) });
    held('in flight');
    held('answered')();
    expect(stopped).toEqual([]);
    clock.advance(LEASE_MS);
    lease.holds();
    held('late');
    expect(stopped).toEqual(['in flight', 'late']);
  });

  it('is ended by a timer when nobody asks', async () => {
    const clock = { now: () => new Date(), monotonicMs: () => performance.now() };
    const lease = new Lease(clock, 20, clock.monotonicMs());
    await new Promise<void>((stop) => void lease.hold({ stop }));
    expect(lease.holds()).toBe(false);
  });
});
