import type { DirectoryEntry } from '@molecule/contracts';
import { directoryEntry } from '@molecule/testkit';
import { describe, expect, it } from 'vitest';
import { planTimeouts, provisionTimeout } from './sweep.ts';

const now = Date.parse('2026-03-02T09:00:00Z');
const entry = (change: Partial<DirectoryEntry> = {}): DirectoryEntry =>
  directoryEntry({ runtime: 'langgraph', statusSince: '2026-03-02T08:50:00Z', ...change });

describe('the limit', () => {
  it.each([
    ['langgraph', undefined, 600],
    ['', undefined, 600],
    ['constructor', undefined, 600],
    ['hermes', undefined, 1800],
    ['hermes', '5', 5],
    ['langgraph', '0', 600],
    ['langgraph', '-1', 600],
    ['langgraph', '1.5', 600],
    ['langgraph', '60s', 600],
  ])('of %j with %j is %d seconds', (runtime, override, seconds) => expect(provisionTimeout(runtime, override)).toBe(seconds));
});

describe('whose time is up', () => {
  it('is who has been provisioning for the whole limit', () => {
    const onTime = entry({ statusSince: '2026-03-02T08:50:01Z' });
    const late = entry();
    expect(planTimeouts([late, onTime], now, undefined)).toEqual([late]);
  });
  it('is nobody in another status', () => expect(planTimeouts([entry({ status: 'online' })], now, undefined)).toEqual([]));
});
