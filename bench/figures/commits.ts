/** P11: facts committed through the event store, with an expected version and a command id, against bare commits of the same row. */
import { randomUUID } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { type A2aFact, a2aFacts, type MessageId, type WorkspaceId } from '@molecule/contracts';
import { type Aggregate, openLedger } from '@molecule/event-store';
import pg from 'pg';
import { pino } from 'pino';
import { abba } from '../lib/compare.ts';
import { type Figure, short } from '../lib/report.ts';

const IN_FLIGHT = 64;
const COMMITS = 8_000;
const POOL = 16;

/** A stream per message, one fact each: the shape of what the a2a-proxy appends. */
const message: Aggregate<object, null, A2aFact> = {
  noun: 'message',
  family: a2aFacts,
  fold: { initial: null, evolve: () => null },
  inline: [],
  workspaceOf: (_id, fact) => fact.data.workspaceId,
};

const answered = (id: string): A2aFact => ({
  type: 'a2a.answered',
  data: {
    messageId: id as MessageId,
    workspaceId: '0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f' as WorkspaceId,
    callerId: null,
    source: 'canvas',
    method: 'message/send',
    httpStatus: 200,
    durationMs: 12,
  },
});

export async function commitFigures(databaseUrl: string, quartets: number): Promise<Figure[]> {
  const ledger = await openLedger<object>({
    databaseUrl,
    schema: 'bench',
    service: 'a2a-proxy',
    log: pino({ level: 'silent' }),
    migrations: fileURLToPath(new URL('../migrations', import.meta.url)),
    poolSize: POOL,
  });
  const pool = new pg.Pool({ connectionString: databaseUrl, max: POOL });
  await pool.query(
    'create table if not exists bare_commits (id uuid primary key, stream text, version int, type text, data jsonb, unique (stream, version))',
  );

  const perSecond = async (commit: () => Promise<unknown>): Promise<number> => {
    let left = COMMITS;
    const started = performance.now();
    await Promise.all(
      Array.from({ length: IN_FLIGHT }, async () => {
        while (left-- > 0) await commit();
      }),
    );
    return (COMMITS / (performance.now() - started)) * 1000;
  };
  const bare = () => {
    const id = randomUUID();
    return pool.query({
      name: 'bare',
      text: 'insert into bare_commits (id, stream, version, type, data) values ($1, $2, 1, $3, $4)',
      values: [id, `message.${id}`, 'a2a.answered', JSON.stringify(answered(id).data)],
    });
  };
  const transacted = () => {
    const id = randomUUID();
    return ledger.transact(message, { id, commandId: id }, () => [answered(id)]);
  };

  const ratio = await abba(
    quartets,
    () => perSecond(bare),
    () => perSecond(transacted),
  );
  await pool.end();
  await ledger.close();
  return [
    {
      id: 'P11',
      what: `facts committed, expected version, ${IN_FLIGHT} in flight ÷ bare commits of the same row`,
      value: ratio.median,
      range: [ratio.low, ratio.high],
      unit: '×',
      pass: 0.55,
      stretch: 0.75,
      better: 'higher',
      behind: `${short(ratio.b)}/s ÷ ${short(ratio.a)}/s`,
    },
  ];
}
