/** What other services may ask about org tokens and sessions. No rule lives here. */
import type { RequestServer } from '@molecule/bus';
import { AccessEntry, ask, isWorkspaceId, PLATFORM } from '@molecule/contracts';
import type { Ledger } from '@molecule/event-store';
import type { Clock } from '@molecule/service';
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../database.ts';
import { access } from './aggregate.ts';

/** A page stays well below what a message may hold (D10). */
const PAGE = 100;

export function serveAccessRequests(
  requests: RequestServer,
  { ledger, clock }: { readonly ledger: Ledger<Tables>; readonly clock: Clock },
): void {
  requests.serve(ask.registry.access, async ({ after }) => {
    // First the version: rows may show more than it says, never less.
    const { version } = await ledger.load(access, PLATFORM);
    const entries = await accessPage(ledger.db, { after, now: clock.now() });
    return { version, entries, next: entries.length === PAGE ? (entries.at(-1)?.id ?? null) : null };
  });
}

/** What opens every door now, in the order of ids, after `after`. */
async function accessPage(
  db: Kysely<Tables>,
  { after, now }: { readonly after: string | null; readonly now: Date },
): Promise<AccessEntry[]> {
  const beyond = after !== null && isWorkspaceId(after) ? after : '00000000-0000-0000-0000-000000000000';
  const { rows } = await sql<{ entry: unknown }>`
    select entry from (
      select token_id as id, jsonb_build_object('kind', 'org', 'id', token_id, 'hash', hash, 'prefix', prefix, 'orgId', org_id) as entry
        from org_tokens where revoked_at is null and token_id > ${beyond}
      union all
      select session_id, jsonb_build_object('kind', 'session', 'id', session_id, 'hash', hash, 'expiresAt', expires_at,
             'adminKey', case opened_by when 'admin' then coalesce(admin_key, '') end)
        from sessions where closed_at is null and session_id > ${beyond} and expires_at > ${now.toISOString()}
    ) every
     order by id limit ${PAGE}
  `.execute(db);
  return rows.map(({ entry }) => AccessEntry.parse(entry));
}
