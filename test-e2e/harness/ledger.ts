/** The logs of the services, read as evidence: the one place where a test looks behind the gateway. */
import { type LedgerService, SCHEMAS } from '@molecule/contracts';
import pg from 'pg';
import type { Recorded } from './checker.ts';

/** Every message there ever was: what its stream says, and whether it had a place in a mailbox. */
export async function readMessages(databaseUrl: string): Promise<Recorded[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ stream: string; facts: string[]; key: string | null; priority: number | null }>(`
      select stream, max(data ->> 'idempotencyKey') as key, max((data ->> 'priority')::int) as priority,
             coalesce(array_agg(type order by version)
                        filter (where type <> 'a2a.dispatched' or data ->> 'via' <> 'direct'), '{}') as facts
      from a2a_proxy.events where stream like 'message.%' group by stream`);
    return rows.map(({ stream, facts, key, priority }) => ({
      // A message that was never queued is known to the log by its own id only.
      value: key ?? stream,
      queueId: stream.slice('message.'.length),
      priority,
      facts,
    }));
  } finally {
    await client.end();
  }
}

/** How many facts each service has recorded, but for those about these workspaces. */
export async function countFacts(databaseUrl: string, except: readonly string[] = []): Promise<Record<LedgerService, number>> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const counts = Object.entries(SCHEMAS).map(
      ([service, schema]) =>
        `'${service}', (select count(*) from ${schema}.events where not meta ->> 'workspaceId' = any($1::text[]))`,
    );
    const { rows } = await client.query(`select json_build_object(${counts.join(', ')}) as counts`, [except]);
    return rows[0].counts;
  } finally {
    await client.end();
  }
}

/** The types of the facts of a stream, in order. */
export async function factsOf(databaseUrl: string, service: LedgerService, stream: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const query = `select type from ${SCHEMAS[service]}.events where stream = $1 order by version`;
    return (await client.query<{ type: string }>(query, [stream])).rows.map(({ type }) => type);
  } finally {
    await client.end();
  }
}
