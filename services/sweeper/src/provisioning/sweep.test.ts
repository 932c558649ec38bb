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
