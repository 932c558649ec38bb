/** P13, P14: how fast messages for a busy agent are taken in, and how fast they are delivered once it is free. */
import { randomUUID } from 'node:crypto';
import { waitFor } from '@molecule/testkit/outside';
import pg from 'pg';
import { abba, median } from '../lib/compare.ts';
import { load } from '../lib/load.ts';
import { startProgram } from '../lib/programs.ts';
import { type Figure, short } from '../lib/report.ts';
import { type Cluster, workspaceAt } from '../lib/system.ts';

/** Mailboxes are one queue a workspace: so many of them, as a platform has them. */
const WORKSPACES = 64;
const CONNECTIONS = 64;
const POOL = 16;
const INSERTS = 6_000;
/** Long enough for the last records to be written. */
const DRAINED_MS = 120_000;

/** 1 KB without a message id: each time it is sent it is another message. */
const body = JSON.stringify({
  method: 'message/send',
  params: { message: { role: 'user', parts: [{ kind: 'text', text: 'x'.repeat(900) }] } },
});

export async function mailboxFigures(cluster: Cluster, quartets: number): Promise<Figure[]> {
  const agent = await startProgram('busy-agent');
  const ids: string[] = [];
  for (let nth = 0; nth < WORKSPACES; nth++) ids.push(await workspaceAt(cluster, agent.url));
  const paths = ids.map((id) => `/workspaces/${id}/a2a`);
  const bodies = ids.map(() => body);
  const ours = { url: cluster.url(), paths, bodies, connections: CONNECTIONS };

  const pool = new pg.Pool({ connectionString: cluster.postgres.url, max: POOL });
  await pool.query('create table if not exists bare_queue (id uuid primary key, workspace_id uuid, body text)');
  const bareInserts = async (): Promise<number> => {
    let left = INSERTS;
    const started = performance.now();
    await Promise.all(
      Array.from({ length: CONNECTIONS }, async () => {
        while (left-- > 0)
          await pool.query({
            name: 'enqueue',
            text: 'insert into bare_queue values ($1, $2, $3)',
            values: [randomUUID(), ids[0], body],
          });
      }),
    );
    return (INSERTS / (performance.now() - started)) * 1000;
  };
  const enqueue = await abba(quartets, bareInserts, async () => (await load({ ...ours, durationMs: 2_000 })).perSecond);

  // What was queued is delivered; the bare hop is measured beside it, with as many requests at once.
  const hop = await startProgram('bare-proxy', { TARGET: agent.url });
  const counts = async (status: 'queued' | 'completed'): Promise<number> => {
    const { rows } = await pool.query('select count(*)::int as n from a2a_proxy.mailbox where status = $1', [status]);
    return rows[0].n;
  };
  const waiting = await counts('queued');
  agent.tell({ busy: false });
  const bare = async () => (await load({ url: hop.url, paths: ['/'], bodies, connections: 32, durationMs: 2_000 })).perSecond;
  const bareRates = [await bare()];
  const started = performance.now();
  for (const id of ids)
    await fetch(`${cluster.url()}/registry/heartbeat`, {
      method: 'POST',
      body: JSON.stringify({ workspace_id: id, active_tasks: 0 }),
    });
  await waitFor(async () => (await counts('completed')) >= waiting, { timeoutMs: DRAINED_MS, what: 'all to be delivered' });
  const drained = (waiting / (performance.now() - started)) * 1000;
  bareRates.push(await bare());
  await pool.end();
  for (const program of [hop, agent]) await program.stop();

  return [
    {
      id: 'P13',
      what: `messages for a busy agent queued over HTTP (202), ${CONNECTIONS} connections ÷ bare inserts, pool of ${POOL}`,
      value: enqueue.median,
      range: [enqueue.low, enqueue.high],
      unit: '×',
      pass: 0.4,
      stretch: 0.6,
      better: 'higher',
      behind: `${short(enqueue.b)}/s ÷ ${short(enqueue.a)}/s; each was tried at the agent first, and its connection reset`,
    },
    {
      id: 'P14',
      what: 'messages delivered from mailboxes to an instant agent, once each, recorded ÷ bare one-hop proxy',
      value: drained / median(bareRates),
      unit: '×',
      pass: 0.2,
      stretch: 0.35,
      better: 'higher',
      behind: `${short(drained)}/s ÷ ${short(median(bareRates))}/s; ${waiting} messages in ${WORKSPACES} mailboxes, one at a time in each`,
    },
  ];
}
