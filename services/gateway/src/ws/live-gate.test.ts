/** L1–L3 with a clock of our own. */
import type { LiveEvent } from '@molecule/contracts';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { LiveGate, MAX_HELD, MAX_HELD_MS } from './live-gate.ts';

const said = (workspaceId: string, n: number, after?: number): LiveEvent => ({
  event: 'WORKSPACE_HEARTBEAT',
  workspaceId,
  timestamp: '2026-11-22T12:00:00.000Z',
  payload: { n },
  ...(after === undefined ? {} : { after }),
});

beforeEach(() => void vi.useFakeTimers({ now: 0 }));
afterEach(() => void vi.useRealTimers());

function setUp() {
  const versions = new Map<string, number>();
  const passed: string[] = [];
  const gate = new LiveGate({
    versionOf: (id) => versions.get(id) ?? 0,
    pass: ({ workspaceId, payload }) => void passed.push(`${workspaceId}${payload['n']}`),
    nowMs: () => Date.now(),
  });
  const show = (id: string, version: number) => {
    versions.set(id, version);
    gate.shown(id);
  };
  return { gate, passed, show };
}

describe('what is said live', () => {
  it('passes at once when it follows no fact, or one that was shown', () => {
    const { gate, passed, show } = setUp();
    show('a', 3);
    gate.hear(said('a', 1));
    gate.hear(said('a', 2, 3));
    expect(passed).toEqual(['a1', 'a2']);
  });

  it('L1: waits for the fact it was said after, and holds up no other workspace', () => {
    const { gate, passed, show } = setUp();
    gate.hear(said('a', 1, 2));
    gate.hear(said('b', 1));
    expect(passed).toEqual(['b1']);
    show('a', 1);
    expect(passed).toEqual(['b1']);
    show('a', 2);
    expect(passed).toEqual(['b1', 'a1']);
  });

  it('L1: waits half a second at most', () => {
    const { gate, passed } = setUp();
    gate.hear(said('a', 1, 9));
    vi.advanceTimersByTime(300);
    gate.hear(said('a', 2, 9));
    vi.advanceTimersByTime(MAX_HELD_MS - 301);
    expect(passed).toEqual([]);
    vi.advanceTimersByTime(1);
    expect(passed).toEqual(['a1']);
    vi.advanceTimersByTime(300);
    expect(passed).toEqual(['a1', 'a2']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('L2: what needs not wait still stays behind what came before it', () => {
    const { gate, passed, show } = setUp();
    gate.hear(said('a', 1, 1));
    gate.hear(said('a', 2));
    gate.hear(said('a', 3, 2));
    show('a', 1);
    expect(passed).toEqual(['a1', 'a2']);
    show('a', 2);
    expect(passed).toEqual(['a1', 'a2', 'a3']);
  });

  it('L3: holds 256 and lets the oldest pass for one more', () => {
    const { gate, passed } = setUp();
    for (let n = 0; n <= MAX_HELD; n++) gate.hear(said('a', n, 5));
    expect(passed).toEqual(['a0']);
  });
});
