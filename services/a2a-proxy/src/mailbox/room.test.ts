import type { DirectoryEntry } from '@molecule/contracts';
import { describe, expect, it } from 'vitest';
import { hasRoom, isReachable, type Occupied } from './room.ts';

const free: Occupied = { claimed: 0, claimedLately: 0, direct: 0, directLately: false, activeTasks: 0 };

describe('room for one more message', () => {
  it.each(['beat', 'answered', 'registered', 'unprompted'] as const)('is there when nothing is in flight (%s)', (prompt) =>
    expect(hasRoom(1, prompt, free)).toBe(true),
  );

  it.each(['answered', 'registered', 'unprompted'] as const)(
    'is not there while as many are in flight as may be (%s)',
    (prompt) => {
      expect(hasRoom(1, prompt, { ...free, direct: 1 })).toBe(false);
      expect(hasRoom(1, prompt, { ...free, claimed: 1 })).toBe(false);
      expect(hasRoom(3, prompt, { ...free, claimed: 1, direct: 2 })).toBe(false);
      expect(hasRoom(3, prompt, { ...free, claimed: 1, direct: 1 })).toBe(true);
    },
  );

  it('is there when a beat says so, unless something began that it may not know of', () => {
    const old = { ...free, direct: 1 };
    expect(hasRoom(1, 'beat', old)).toBe(true);
    expect(hasRoom(1, 'beat', { ...old, directLately: true })).toBe(false);
    expect(hasRoom(1, 'beat', { ...free, claimed: 1, claimedLately: 1 })).toBe(false);
  });

  it('is not tried unprompted while the agent says that it is full', () => {
    expect(hasRoom(1, 'unprompted', { ...free, activeTasks: 1 })).toBe(false);
    expect(hasRoom(1, 'answered', { ...free, activeTasks: 1 })).toBe(true);
    expect(hasRoom(1, 'unprompted', { ...free, activeTasks: undefined })).toBe(true);
  });
});

describe('an agent', () => {
  const entry = (status: string, url = 'http://127.0.0.1:1') => ({ status, url }) as DirectoryEntry;
  it('is not tried without a URL, nor unprompted unless it is up', () => {
    expect(isReachable(entry('paused', ''), 'beat')).toBe(false);
    expect(isReachable(entry('offline'), 'unprompted')).toBe(false);
    expect(isReachable(entry('offline'), 'beat')).toBe(true);
    expect(isReachable(entry('degraded'), 'unprompted')).toBe(true);
  });
});
