/**
 * S4: whether messages come out of mailboxes as fast however many wait; and how long one takes to its agent, once that is free, while
 * a thousand other mailboxes wait too.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import pg from 'pg';
import { median } from '../lib/compare.ts';
import { type Figure, short } from '../lib/report.ts';
import { appendRaw, type Cluster, seedWorkspaces } from '../lib/system.ts';

const MAILBOXES = 100;
const BACKLOGS = { small: 1_000, large: 100_000 } as const;
/** Deliveries that are timed at once. */
const WINDOW = 1_000;
const WAITING = { mailboxes: 1_000, each: 10 } as const;
const TIMES = 200;
/** What the seeding has left to do in the background is done by then: above all, to tell everybody of each message. */
const settleMs = (messages: number): number => 8_000 + messages * 0.3;

const REPLY = '{"jsonrpc":"2.0","id":"1","result":{"parts":[]}}';

/** Agents of many workspaces, each below a path of its own; they take what `takes` says, and are busy for everything else. */
class Agents {
  takes: (path: string) => boolean = () => false;
  readonly server: Server;

  constructor() {
    this.server = createServer(async (req, res) => {
      if (!this.takes(req.url ?? '')) return void req.socket.resetAndDestroy();
      await text(req);
      res.writeHead(200, { 'content-type': 'application/json' }).end(REPLY);
    });
  }

  async start(): Promise<string> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

/** So many messages in each mailbox, as if they had been queued; the proxy starts again and finds them. */
async function queueMessages(cluster: Cluster, workspaces: readonly string[], each: number): Promise<void> {
  const url = cluster.postgres.url;
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  // Arrived in turn, as they do: one of each mailbox, then the next.
  const queued = Array.from({ length: each }, () =>
    workspaces.map((workspaceId) => ({ workspaceId, messageId: randomUUID() })),
  ).flat();
  for (let from = 0; from < queued.length; from += 5_000)
    await client.query(
      `insert into a2a_proxy.messages (message_id, workspace_id, body)
       select "messageId", "workspaceId", $2 from jsonb_to_recordset($1::jsonb) as m("messageId" uuid, "workspaceId" uuid)`,
      [JSON.stringify(queued.slice(from, from + 5_000)), '{"jsonrpc":"2.0","id":1,"method":"message/send","params":{}}'],
    );
  const { rows } = await client.query(`select setval('a2a_proxy.arrivals', nextval('a2a_proxy.arrivals') + $1) as last`, [
    queued.length,
  ]);
  const first = Number(rows[0].last) - queued.length;
  await appendRaw(
    url,
    'a2a_proxy',
    queued.map(({ messageId, workspaceId }, at) => ({
      stream: `message.${messageId}`,
      version: 1,
      type: 'a2a.queued',
      workspaceId,
      data: {
        messageId,
        workspaceId,
        callerId: null,
        source: 'canvas',
        method: 'message/send',
        priority: 50,
        idempotencyKey: null,
        enqueuedAt: String(first + at).padStart(19, '0'),
      },
    })),
  );
  // As the projection of these facts has it.
  await client.query(`
    insert into a2a_proxy.mailbox (message_id, workspace_id, source, priority, method, sequence, enqueued_at, attempts, status)
    select (data ->> 'messageId')::uuid, (data ->> 'workspaceId')::uuid, data ->> 'source', 50, data ->> 'method',
      (data ->> 'enqueuedAt')::bigint, recorded_at, 0, 'queued'
    from a2a_proxy.events where type = 'a2a.queued'
    on conflict (message_id) do nothing`);
  await client.query('analyze');
  await client.end();
  await cluster.kill('a2a-proxy-0', 'SIGTERM');
  await cluster.restart('a2a-proxy-0');
  await new Promise((resolve) => setTimeout(resolve, settleMs(queued.length)));
}

const beat = async (cluster: Cluster, workspaceId: string): Promise<void> => {
  const body = JSON.stringify({ workspace_id: workspaceId, active_tasks: 0 });
  await (await fetch(`${cluster.url()}/registry/heartbeat`, { method: 'POST', body })).arrayBuffer();
};

/** How often a table was read from its beginning to its end. */
async function wholeReads(cluster: Cluster, table: string): Promise<number> {
  const client = new pg.Client({ connectionString: cluster.postgres.url });
  await client.connect();
  const { rows } = await client.query(
    `select seq_scan::int as scans from pg_stat_user_tables where schemaname = 'a2a_proxy' and relname = $1`,
    [table],
  );
  await client.end();
  return rows[0].scans;
}

export async function backlogFigures(cluster: Cluster, rounds: number): Promise<Figure[]> {
  const agents = new Agents();
  const agentsUrl = await agents.start();
  const at = (_id: string, index: number) => `${agentsUrl}/${index}`;
  const workspaces = await seedWorkspaces(cluster.postgres.url, cluster.url(), MAILBOXES, { urlOf: at });

  /** Deliveries per second, from the first to the last of a window; then everybody is busy again. */
  const drained = async (): Promise<number> => {
    let [taken, firstAt] = [0, 0];
    const full = new Promise<number>((resolve) => {
      agents.takes = () => {
        if (taken === WINDOW) return false;
        if (taken++ === 0) firstAt = performance.now();
        if (taken === WINDOW) resolve(performance.now());
        return true;
      };
    });
    await Promise.all(workspaces.map((id) => beat(cluster, id)));
    return (WINDOW - 1) / (((await full) - firstAt) / 1_000);
  };
  const rates: Record<keyof typeof BACKLOGS, number[]> = { small: [], large: [] };
  for (let round = 0; round < rounds; round++) {
    await queueMessages(cluster, workspaces, BACKLOGS.small / MAILBOXES);
    rates.small.push(await drained());
  }
  await queueMessages(cluster, workspaces, BACKLOGS.large / MAILBOXES);
  const before = await wholeReads(cluster, 'mailbox');
  for (let round = 0; round < rounds; round++) rates.large.push(await drained());
  const scans = (await wholeReads(cluster, 'mailbox')) - before;
  agents.stop();
  const [small, large] = [median(rates.small), median(rates.large)];
  const spread = rates.large.map((rate) => rate / small);
  return [
    {
      id: 'S4',
      what: `deliveries/s from ${MAILBOXES} mailboxes: ${BACKLOGS.large} waiting ÷ ${BACKLOGS.small} waiting`,
      value: large / small,
      range: [Math.min(...spread), Math.max(...spread)],
      unit: '×',
      pass: 0.8,
      stretch: 0.95,
      better: 'higher',
      behind: `${short(large)}/s ÷ ${short(small)}/s; whole reads of the mailboxes: ${scans}`,
    },
  ];
}

/** One agent after the other says that it is free, while all the others are busy. */
export async function waitingFigures(cluster: Cluster): Promise<Figure[]> {
  const agents = new Agents();
  const agentsUrl = await agents.start();
  const many = await seedWorkspaces(cluster.postgres.url, cluster.url(), WAITING.mailboxes, {
    urlOf: (_id, index) => `${agentsUrl}/w${index}`,
  });
  await queueMessages(cluster, many, WAITING.each);
  const waits: number[] = [];
  for (let time = 0; time < TIMES; time++) {
    const free = `/w${time * 5}`;
    const arrived = new Promise<number>((resolve) => {
      agents.takes = (path) => {
        if (path !== free) return false;
        resolve(performance.now());
        return true;
      };
    });
    const freeAt = performance.now();
    await beat(cluster, many[time * 5] as string);
    waits.push((await arrived) - freeAt);
  }
  agents.stop();
  waits.sort((a, b) => a - b);
  const share = (part: number) => waits[Math.floor(waits.length * part)] as number;
  return [
    {
      id: 'D8',
      what: `agent says it is free → queued message at the agent, p99, ${WAITING.mailboxes} mailboxes of ${WAITING.each} waiting`,
      value: share(0.99),
      unit: 'ms',
      pass: 50,
      stretch: 25,
      better: 'lower',
      behind: `${TIMES} times; p50 ${short(share(0.5))} ms, max ${short(waits.at(-1) as number)} ms; all other agents busy`,
    },
  ];
}
