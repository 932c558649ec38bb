import type { BeatListener } from '@molecule/bus';
import type { AnyRecordedFact, DirectoryEntry } from '@molecule/contracts';
import { manualClock } from '@molecule/testkit';
import { describe, expect, it } from 'vitest';
import { RuntimeCapabilities } from './runtime-capabilities.ts';
import { aBeat, workspaceId } from './test-beats.ts';

const LEASE_MS = 180_000;
const full = { capabilities: { session: true, status_mgmt: true }, idle_timeout_seconds: 600 };

function runtimes() {
  const clock = manualClock();
  const beatListeners: BeatListener[] = [];
  const factListeners: ((fact: AnyRecordedFact) => void)[] = [];
  const entries = new Map<string, Partial<DirectoryEntry>>();
  const capabilities = new RuntimeCapabilities({
    beats: { onBeat: (listener) => void beatListeners.push(listener) },
    directory: {
      get: (id) => entries.get(id) as DirectoryEntry | undefined,
      onChange: (listener) => void factListeners.push(listener),
    },
    leaseMs: LEASE_MS,
    clock,
  });
  return {
    clock,
    capabilities,
    entries,
    beat: (more: Parameters<typeof aBeat>[0] = {}) => {
      for (const listener of beatListeners)
        void listener(aBeat({ receivedAt: clock.now().getTime(), ...more }), { replayed: false });
    },
    happens: (type: AnyRecordedFact['type']) => {
      for (const listener of factListeners) listener({ type, workspaceId } as unknown as AnyRecordedFact);
    },
  };
}

describe('the capabilities of runtimes', () => {
  it('are what the last beats declared', () => {
    const { capabilities, beat } = runtimes();
    expect(capabilities.has(workspaceId, 'session')).toBe(false);
    expect(capabilities.of(workspaceId).size).toBe(0);
    expect(capabilities.idleTimeoutMs(workspaceId)).toBeUndefined();
    beat({ runtimeMetadata: full, activeTasks: 2, monthlySpend: 70 });
    beat({ activeTasks: 1 });
    expect(capabilities.has(workspaceId, 'session')).toBe(true);
    expect(capabilities.has(workspaceId, 'scheduler')).toBe(false);
    expect([...capabilities.of(workspaceId)]).toEqual(['session', 'status_mgmt']);
    expect(capabilities.idleTimeoutMs(workspaceId)).toBe(600_000);
    expect(capabilities.activeTasks(workspaceId)).toBe(1);
    expect(capabilities.monthlySpend(workspaceId)).toBe(70);
  });

  it('are cleared by a register, which leaves the figures', () => {
    const { capabilities, beat, happens } = runtimes();
    beat({ runtimeMetadata: full, activeTasks: 2 });
    happens('workspace.changed');
    expect(capabilities.has(workspaceId, 'session')).toBe(true);
    happens('workspace.registered');
    expect(capabilities.has(workspaceId, 'session')).toBe(false);
    expect(capabilities.idleTimeoutMs(workspaceId)).toBeUndefined();
    expect(capabilities.activeTasks(workspaceId)).toBe(2);
    beat(); // a partial beat brings nothing back
    expect(capabilities.has(workspaceId, 'session')).toBe(false);
  });

  it('are cleared when the lease runs out, and each beat renews it', () => {
    const { capabilities, beat, clock } = runtimes();
    beat({ runtimeMetadata: full });
    clock.advance(LEASE_MS);
    expect(capabilities.has(workspaceId, 'session')).toBe(true);
    beat();
    clock.advance(LEASE_MS);
    expect(capabilities.idleTimeoutMs(workspaceId)).toBe(600_000);
    clock.advance(1);
    expect(capabilities.has(workspaceId, 'session')).toBe(false);
    expect(capabilities.idleTimeoutMs(workspaceId)).toBeUndefined();
    beat();
    expect(capabilities.of(workspaceId).size).toBe(0);
  });

  it('I5: are forgotten with a removed workspace, whose late beats count for nothing', () => {
    const { capabilities, beat, happens, entries } = runtimes();
    beat({ runtimeMetadata: full });
    entries.set(workspaceId, { status: 'removed' });
    happens('workspace.removed');
    beat({ runtimeMetadata: full });
    expect(capabilities.has(workspaceId, 'session')).toBe(false);
    expect(capabilities.lastBeatAt(workspaceId)).toBeUndefined();
  });

  it('leave the figures to the registry where no beat was heard', () => {
    const { capabilities, beat, clock, entries } = runtimes();
    expect(capabilities.activeTasks(workspaceId)).toBeUndefined();
    entries.set(workspaceId, { status: 'online', activeTasks: 3, monthlySpend: 40, lastBeatAt: 500 });
    expect(capabilities.activeTasks(workspaceId)).toBe(3);
    expect(capabilities.monthlySpend(workspaceId)).toBe(40);
    expect(capabilities.lastBeatAt(workspaceId)).toBe(500);
    beat();
    expect(capabilities.activeTasks(workspaceId)).toBe(0);
    expect(capabilities.monthlySpend(workspaceId)).toBe(40); // 0 leaves what was
    expect(capabilities.lastBeatAt(workspaceId)).toBe(clock.now().getTime());
  });
});
