/** Whether the bus was told of every fact that is for all, and of each once: what the logs hold against what FACTS holds. */
import type { Bus } from '@molecule/bus';
import { factContract, SCHEMAS, STREAMS } from '@molecule/contracts';
import pg from 'pg';

export interface BusAudit {
  /** In a log, and not in FACTS (yet). */
  readonly missing: readonly string[];
  /** In FACTS more than once. */
  readonly twice: readonly string[];
  /** In FACTS, and in no log. */
  readonly unknown: readonly string[];
}

const AT_A_TIME = 64;

export async function auditBus(bus: Bus, databaseUrl: string): Promise<BusAudit> {
  const logged = await loggedFacts(databaseUrl);
  const told = new Map<string, number>();
  for (const id of await toldFacts(bus)) told.set(id, (told.get(id) ?? 0) + 1);
  return {
    missing: [...logged].filter(([id, type]) => !told.has(id) && factContract(type)?.audience !== 'owner').map(([id]) => id),
    twice: [...told].filter(([, times]) => times > 1).map(([id]) => id),
    unknown: [...told.keys()].filter((id) => !logged.has(id)),
  };
}

/** Every fact of every service: its type by its id. */
async function loggedFacts(databaseUrl: string): Promise<Map<string, string>> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const logs = Object.values(SCHEMAS).map((schema) => `select id, type from ${schema}.events`);
    const { rows } = await client.query<{ id: string; type: string }>(logs.join(' union all '));
    return new Map(rows.map(({ id, type }) => [id, type]));
  } finally {
    await client.end();
  }
}

/** The ids of what is in FACTS, one by one as it is stored. */
async function toldFacts(bus: Bus): Promise<string[]> {
  const { state } = await bus.jsm.streams.info(STREAMS.facts);
  const ids: string[] = [];
  for (let next = state.first_seq; next <= state.last_seq; next += AT_A_TIME) {
    const sequences = Array.from({ length: Math.min(AT_A_TIME, state.last_seq - next + 1) }, (_, at) => next + at);
    const messages = await Promise.all(sequences.map((seq) => bus.jsm.streams.getMessage(STREAMS.facts, { seq })));
    for (const message of messages) if (message) ids.push(message.json<{ id: string }>().id);
  }
  return ids;
}
