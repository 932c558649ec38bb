/** Limits F16: gateways whose clocks are off say nothing about how long a declaration holds. */
import type { BeatListener } from '@molecule/bus';
import type { Beat } from '@molecule/contracts';
import { manualClock } from '@molecule/testkit';
import { describe, expect, it } from 'vitest';
import { RuntimeCapabilities } from './runtime-capabilities.ts';
import { aBeat, workspaceId } from './test-beats.ts';

const LEASE_MS = 180_000;
const HOUR = 3_600_000;
const native = { runtimeMetadata: { capabilities: { session: true } } };

function reader() {
  const clock = manualClock();
  const listeners: BeatListener[] = [];
  const capabilities = new RuntimeCapabilities({
    beats: { onBeat: (listener) => void listeners.push(listener) },
    directory: { get: () => undefined, onChange: () => {} },
    leaseMs: LEASE_MS,
    clock,
  });
  /** A beat from a gateway whose clock is `off` milliseconds ahead. */
  const beat = (off: number, more: Partial<Beat> = {}, { replayed = false } = {}) => {
    for (const listener of listeners) void listener(aBeat({ receivedAt: clock.now().getTime() + off, ...more }), { replayed });
  };
  return { clock, beat, has: () => capabilities.has(workspaceId, 'session') };
}

describe.each([-HOUR, HOUR])('a gateway whose clock is %d ms off', (off) => {
  it('drops nothing, and lets nothing outlive its lease', () => {
    const { clock, beat, has } = reader();
    beat(off, native);
    expect(has()).toBe(true);
    clock.advance(LEASE_MS);
    expect(has()).toBe(true);
    clock.advance(1);
    expect(has()).toBe(false);
  });

  it('may take turns with one whose clock is right', () => {
    const { clock, beat, has } = reader();
    beat(0, native);
    for (let n = 0; n < 10; n++) {
      clock.advance(30_000);
      beat(n % 2 === 0 ? off : 0);
      expect(has()).toBe(true);
    }
  });
});

describe.each([-HOUR, -5_000, HOUR])('our own clock, set by %d ms', (step) => {
  it.each(['before', 'after'])('ends no lease and prolongs none, %s the last beat', (when) => {
    const { clock, beat, has } = reader();
    const set = () => clock.set(new Date(clock.now().getTime() + step));
    beat(0, native);
    clock.advance(30_000);
    if (when === 'before') set();
    beat(0);
    if (when === 'after') set();
    clock.advance(LEASE_MS);
    expect(has()).toBe(true);
    clock.advance(1);
    expect(has()).toBe(false);
  });
});

it('what the bus kept from a gateway that is ahead holds for one lease from now at most', () => {
  const { clock, beat, has } = reader();
  beat(HOUR, native, { replayed: true });
  expect(has()).toBe(true);
  clock.advance(LEASE_MS + 1);
  expect(has()).toBe(false);
});
