/** What a fact of the registry changes on an entry of the directory. Total and pure: a fact happened, and is never argued with. */

import type { AnyRecordedFact } from '@molecule/contracts';
import { type DirectoryEntry, type RecordedWorkspaceFact, type WorkspaceId, workspaceFacts } from '@molecule/contracts';

/** Whether a fact is one of those the directory is made of. */
export const isWorkspaceFact = (fact: AnyRecordedFact): fact is RecordedWorkspaceFact => Object.hasOwn(workspaceFacts, fact.type);

/**
 * The entry as it is after `fact`. A fact that the entry shows already leaves it as it is, the very object.
 *
 *   A1. The version of the entry is the highest version that it was given.
 *   A2. Removed stays removed, and has no tokens (I5).
 *   A3. `statusSince` is when the status changed, by the log's clock.
 */
export function applyFact(entry: DirectoryEntry | undefined, fact: RecordedWorkspaceFact): DirectoryEntry {
  if (entry && fact.version <= entry.version) return entry;
  const before = entry ?? blank(fact);
  const after: DirectoryEntry = { ...before, version: fact.version };
  if (before.status === 'removed') return fact.type === 'workspace.purged' ? { ...after, purged: true } : after; // A2
  switch (fact.type) {
    case 'workspace.created':
      return {
        ...withStatus(after, fact.data.status, fact.recordedAt),
        statusSince: fact.recordedAt,
        name: fact.data.name,
        parentId: fact.data.parentId,
        url: fact.data.url,
        runtime: fact.data.runtime,
        tier: fact.data.tier,
        external: fact.data.external,
        maxConcurrentTasks: fact.data.maxConcurrentTasks,
        budgetLimit: fact.data.budgetLimit,
      };
    case 'workspace.changed': {
      const { name = after.name, tier = after.tier, runtime = after.runtime } = fact.data;
      return { ...after, name, tier, runtime };
    }
    case 'workspace.moved':
      return { ...after, parentId: fact.data.parentId };
    case 'workspace.registered': {
      const { url, internalUrl } = fact.data;
      const located = after.located === true && url === after.url;
      return { ...withStatus(after, 'online', fact.recordedAt), url, internalUrl, located };
    }
    case 'workspace.located':
      return { ...after, url: fact.data.url, located: true };
    case 'workspace.status': {
      // Also from a status to itself: a restart of what is being provisioned begins its time anew.
      const moved: DirectoryEntry = { ...after, status: fact.data.to, statusSince: fact.recordedAt };
      return fact.data.clearsUrl ? { ...moved, url: '', internalUrl: '', located: false } : moved;
    }
    case 'workspace.removed':
      return { ...withStatus(after, 'removed', fact.recordedAt), url: '', internalUrl: '', located: false, tokens: [] };
    case 'token.issued': {
      const { tokenId, hash } = fact.data;
      return { ...after, tokens: [...after.tokens.filter((token) => token.tokenId !== tokenId), { tokenId, hash }] };
    }
    case 'token.revoked':
      return { ...after, tokens: after.tokens.filter(({ tokenId }) => tokenId !== fact.data.tokenId) };
    case 'workspace.budgeted':
      return { ...after, budgetLimit: fact.data.budgetLimit };
    case 'workspace.card':
    case 'workspace.purged':
    case 'workspace.idle-limited':
    case 'workspace.expanded':
    case 'workspace.collapsed':
    case 'workspace.agent-assigned':
    case 'workspace.agent-replaced':
    case 'workspace.agent-removed':
    case 'workspace.agent-moved-out':
    case 'workspace.agent-moved-in':
      return after;
    default:
      return unreachable(fact);
  }
}

const withStatus = (entry: DirectoryEntry, status: DirectoryEntry['status'], at: string): DirectoryEntry =>
  entry.status === status ? entry : { ...entry, status, statusSince: at };

/** What is known of a workspace of which nothing is known but that something happened to it. */
const blank = (fact: RecordedWorkspaceFact): DirectoryEntry => ({
  workspaceId: fact.workspaceId as WorkspaceId,
  version: 0,
  name: '',
  parentId: null,
  status: 'provisioning',
  statusSince: fact.recordedAt,
  url: '',
  internalUrl: '',
  runtime: '',
  tier: 1,
  external: false,
  located: false,
  maxConcurrentTasks: 1,
  budgetLimit: null,
  tokens: [],
  monthlySpend: 0,
  activeTasks: 0,
  lastBeatAt: null,
});

const unreachable = (fact: never): never => {
  throw new TypeError(`unknown fact ${JSON.stringify(fact)}`);
};
