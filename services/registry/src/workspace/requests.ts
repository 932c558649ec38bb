/** What other services may ask about workspaces. No rule lives here. */
import type { RequestServer } from '@molecule/bus';
import { ask, TokenId } from '@molecule/contracts';
import type { Parts } from '../parts.ts';
import { replaceTokens } from './decisions.ts';
import { fitting } from './fitting.ts';
import { directoryPage, findDirectoryEntry, findWorkspace, rowsOfPrefixes } from './queries.ts';
import { recall, remember, rolesOf } from './remembering.ts';
import { wakeWorkspace } from './starts.ts';

export type RequestParts = Pick<
  Parts,
  'bus' | 'ledger' | 'store' | 'barrier' | 'fleet' | 'contexts' | 'templates' | 'clock' | 'newId' | 'log'
>;

const PAGE = 200;
/** A page stays well below what a message may hold (D10). */
const MAX_PAGE_BYTES = 48 * 1024;

export function serveWorkspaceRequests(requests: RequestServer, parts: RequestParts): void {
  const { ledger, store, fleet, barrier, clock, newId } = parts;
  const vitalsOf = (workspaceId: string) => fleet.vitals(workspaceId);

  requests.serve(ask.registry.directory, async ({ after }) => {
    const rows = await directoryPage(ledger.db, vitalsOf, { after, limit: PAGE });
    const entries = fitting(rows, MAX_PAGE_BYTES);
    const more = entries.length < rows.length || rows.length === PAGE;
    return { entries, next: more ? (entries.at(-1)?.workspaceId ?? null) : null };
  });

  requests.serve(ask.registry.resolve, async ({ workspaceId }) => ({
    entry: await findDirectoryEntry(ledger.db, vitalsOf, workspaceId),
  }));

  requests.serve(ask.registry.rows, async ({ prefixes }) => ({ rows: await rowsOfPrefixes(ledger.db, prefixes) }));

  requests.serve(ask.registry.agentCard, async ({ workspaceId }) => {
    const row = await findWorkspace(ledger.db, workspaceId);
    const found = row !== undefined && row.status !== 'removed';
    return { found, card: found ? row.agent_card : null };
  });

  requests.serve(ask.registry.roles, async ({ workspaceIds }) => ({
    roles: await rolesOf(ledger.db, workspaceIds, MAX_PAGE_BYTES),
  }));

  requests.serve(ask.registry.remember, async (told) => ({ id: await remember(ledger.db, told) }));

  requests.serve(ask.registry.recall, async (asked) => ({ memories: await recall(ledger.db, asked, MAX_PAGE_BYTES) }));

  requests.serve(ask.registry.wake, async ({ workspaceId, commandId }) => ({
    waking: await wakeWorkspace(parts, workspaceId, { commandId: `wake.${commandId}` }),
  }));

  requests.serve(ask.registry.replaceTokens, async ({ workspaceId, hash, prefix, commandId }) => {
    const token = { tokenId: TokenId.parse(newId()), hash, prefix, issuedAt: clock.now().toISOString() };
    let present = false;
    const { version, repeated } = await store.change(workspaceId, { commandId }, (state) => {
      present = state.situation === 'present';
      return replaceTokens(token)(state);
    });
    const accepted = present || repeated;
    if (accepted) await barrier.passed(workspaceId, version);
    return { accepted };
  });
}
