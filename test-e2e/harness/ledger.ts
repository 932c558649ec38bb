/** The logs of the services, read as evidence: the one place where a test looks behind the gateway. */
import { type LedgerService, SCHEMAS } from '@molecule/contracts';
import pg from 'pg';
import type { Recorded } from './checker.ts';

/** Every message there ever was: what its stream says, and which place it had in a mailbox. */
export async function readMessages(databaseUrl: string): Promise<Recorded[]> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ stream: string; facts: string[]; key: string | null; place: string | null }>(`
      select stream, array_agg(type order by version) as facts,
             max(data ->> 'idempotencyKey') as key, max(mailbox.sequence) as place
      from a2a_proxy.events left join a2a_proxy.mailbox on stream = 'message.' || mailbox.message_id
      where stream like 'message.%' group by stream`);
    return rows.map(({ stream, facts, key, place }) => ({
      // A message that was never queued is known to the log by its own id only.
      value: key ?? stream,
      queueId: stream.slice('message.'.length),
      place: place === null ? null : Number(place),
      facts,
    }));
  } finally {
    await client.end();
  }
}

/** How many facts each service has recorded. */
export async function countFacts(databaseUrl: string): Promise<Record<LedgerService, number>> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const counts = Object.entries(SCHEMAS).map(([service, schema]) => `'${service}', (select count(*) from ${schema}.events)`);
    const { rows } = await client.query(`select json_build_object(${counts.join(', ')}) as counts`);
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
