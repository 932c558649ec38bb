/**
 * What to reap: a pure comparison of what the engine runs and what the registry knows (spec 3 §3.5).
 *
 *   I8. Only resources that carry our label and our installation's id (or the bare label of old ones), only prefixes that could be
 *       a workspace id, only on an explicit "absent" or "removed" of the registry, and what has no row only after a grace.
 */
import type { ManagedResource } from '@molecule/contracts';

export interface RowAnswer {
  readonly prefix: string;
  readonly state: 'absent' | 'removed' | 'live';
}

export interface Reap {
  readonly prefix: string;
  readonly cause: 'no-row' | 'removed-row';
  readonly evidence: string;
}

const LIKE_A_WORKSPACE_ID = /^[0-9a-f][0-9a-f-]*$/;

/** The prefixes worth asking the registry about. */
export const candidates = (resources: readonly ManagedResource[], installation: string): ManagedResource[] =>
  resources.filter(
    (resource) =>
      LIKE_A_WORKSPACE_ID.test(resource.prefix) && (resource.installation === null || resource.installation === installation),
  );

/** `firstSeen`: when this process first saw each prefix, ms since the epoch. All times by the same clock. */
export function planReaps(
  resources: readonly ManagedResource[],
  rows: readonly RowAnswer[],
  {
    now,
    graceMs,
    firstSeen,
  }: { readonly now: number; readonly graceMs: number; readonly firstSeen: ReadonlyMap<string, number> },
): Reap[] {
  const states = new Map(rows.map(({ prefix, state }) => [prefix, state]));
  return resources.flatMap(({ prefix, createdAt, running }): Reap[] => {
    const state = states.get(prefix);
    const what = `${running ? 'running' : 'stopped'}, made ${createdAt ?? 'at an unknown time'}`;
    if (state === 'removed') return [{ prefix, cause: 'removed-row', evidence: `its workspace is removed; ${what}` }];
    if (state !== 'absent') return [];
    const since = createdAt === null ? (firstSeen.get(prefix) ?? now) : Date.parse(createdAt);
    return now - since < graceMs ? [] : [{ prefix, cause: 'no-row', evidence: `no workspace has this id; ${what}` }];
  });
}
