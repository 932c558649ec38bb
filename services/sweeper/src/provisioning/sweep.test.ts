import type { DirectoryEntry } from '@molecule/contracts';
import { directoryEntry } from '@molecule/testkit';
import { describe, expect, it } from 'vitest';
import { planTimeouts } from './sweep.ts';

const now = Date.parse('2026-03-02T09:00:00Z');
const entry = (change: Partial<DirectoryEntry> = {}): DirectoryEntry =>
  directoryEntry({ runtime: 'langgraph', statusSince: '2026-03-02T08:50:00Z', ...change });

describe('whose time is up', () => {
  it('is who has been provisioning for the whole limit', () => {
    const onTime = entry({ statusSince: '2026-03-02T08:50:01Z' });
    const late = entry();
    expect(planTimeouts([late, onTime], now, undefined)).toEqual([late]);
  });
  it('is nobody in another status', () => expect(planTimeouts([entry({ status: 'online' })], now, undefined)).toEqual([]));
});

describe('how long it may take', () => {
  it.each([
    ['langgraph', undefined, 600],
    ['', undefined, 600],
    ['hermes', undefined, 1_800],
    ['hermes', '20', 20],
    ['langgraph', '20', 20],
    ['langgraph', '0', 600],
    ['langgraph', '-5', 600],
    ['langgraph', '20s', 600],
    ['hermes', '1.5', 1_800],
  ])('for the runtime %j with the setting %j is %d s', (runtime, setting, seconds) => {
    const since = (age: number) => entry({ runtime, statusSince: new Date(now - age * 1_000).toISOString() });
    const [late, onTime] = [since(seconds), since(seconds - 1)];
    expect(planTimeouts([late, onTime], now, setting)).toEqual([late]);
  });
});
