/** R3 (limits F16): whether a silence that the sweeper reports is one, as the registry's own ears tell. */
import { WorkspaceId } from '@molecule/contracts';
import { recordedFact } from '@molecule/testkit';
import { describe, expect, it } from 'vitest';
import { reactionTo } from './reactions.ts';

const NOON = Date.parse('2026-03-02T12:00:00Z');
const LEASE_MS = 180_000;
const workspaceId = WorkspaceId.parse('0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f');
const lastHeardAt = new Date(NOON - LEASE_MS).toISOString();
const lost = recordedFact(
  { type: 'liveness.lost', data: { workspaceId, lastHeardAt, leaseSeconds: LEASE_MS / 1_000 } },
  { workspaceId, version: 1, recordedAt: new Date(NOON) },
);
const counts = (heardAt: number) => reactionTo(lost, { heardAt, now: NOON, statusSince: 0, run: 0 }) !== null;

describe('a reported silence', () => {
  it('counts when nothing was heard since', () => expect(counts(NOON - LEASE_MS)).toBe(true));
  it('counts when the same last beat was only heard a little later here', () => {
    expect(counts(NOON - LEASE_MS + 50)).toBe(true);
    expect(counts(NOON - LEASE_MS + 5_000)).toBe(true);
  });
  it('is contradicted by a beat that came since, whatever the clock of its gateway', () => {
    expect(counts(NOON - 1)).toBe(false);
    expect(counts(NOON - 30_000)).toBe(false);
  });
});
