/** What is going on with a workspace's calls, as the log and the mailbox say: for the registry (spec 1 §1.1, README choice 8). */
import type { WorkspaceId } from '@molecule/contracts';
import { type Kysely, sql } from 'kysely';
import type { Tables } from '../database.ts';

export interface Traffic {
  /** Calls to it that were sent and have not ended, whichever process waits for them. */
  readonly openCalls: number;
  /** When it last reached somebody, RFC 3339. */
  readonly lastOutboundAt: string | null;
}

/**
 * A direct call is open while its dispatch is the last that its stream says; those of a process that died are, until they are taken
 * over. None that is open began before what its worker says (`workers.open_since`). A claimed message of the mailbox is open.
 */
export async function trafficOf(db: Kysely<Tables>, workspaceId: WorkspaceId): Promise<Traffic> {
  const { rows } = await sql<{ direct: number; drained: number; last_outbound_at: Date | null }>`
    select
      (select count(*)::int from events
        where type = 'a2a.dispatched' and data ->> 'via' = 'direct' and data ->> 'workspaceId' = ${workspaceId}
          and recorded_at >= (select min(open_since) from workers)
          and not exists (select from events later where later.stream = events.stream and later.version = events.version + 1)
      ) as direct,
      (select count(*)::int from mailbox where workspace_id = ${workspaceId} and status = 'dispatched') as drained,
      (select last_outbound_at from a2a_outbound where workspace_id = ${workspaceId}) as last_outbound_at
  `.execute(db);
  const [row] = rows;
  return {
    openCalls: (row?.direct ?? 0) + (row?.drained ?? 0),
    lastOutboundAt: row?.last_outbound_at?.toISOString() ?? null,
  };
}
