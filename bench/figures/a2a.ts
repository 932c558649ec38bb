/** P1–P5: A2A through gateway and a2a-proxy, auth and activity recorded, against a bare two-hop proxy in the same run. */
import { randomUUID } from 'node:crypto';
import { abba, median } from '../lib/compare.ts';
import { load } from '../lib/load.ts';
import { cpuPerRequest, type Program, startProgram } from '../lib/programs.ts';
import { type Figure, short } from '../lib/report.ts';
import { type Cluster, workspaceAt } from '../lib/system.ts';

/** Until what is called most was compiled by the best of V8's compilers. */
const WARM_MS = 8_000;

/** 1 KB unless more is asked for, as it arrives from a runtime: nothing for the proxy to complete. */
export const body = (bytes = 1024): string => {
  const message = {
    jsonrpc: '2.0',
    id: randomUUID(),
    method: 'message/send',
    params: { message: { role: 'user', messageId: randomUUID(), parts: [{ kind: 'text', text: '' }] } },
  };
  const missing = bytes - Buffer.byteLength(JSON.stringify(message));
  message.params.message.parts = [{ kind: 'text', text: 'x'.repeat(missing) }];
  return JSON.stringify(message);
};

export async function a2aFigures(cluster: Cluster, quartets: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  const bodies = Array.from({ length: 64 }, () => body());
  const agent = await startProgram('echo-agent');
  const inner = await startProgram('bare-proxy', { TARGET: agent.url });
  const outer = await startProgram('bare-proxy', { TARGET: inner.url });
  const workspaceId = await workspaceAt(cluster, agent.url);
  const ours = { url: cluster.url(), paths: [`/workspaces/${workspaceId}/a2a`], bodies };
  const bare = { url: outer.url, paths: ['/'], bodies };

  // What is compared is what runs all day: code that was compiled, on both sides.
  await load({ ...bare, connections: 32, durationMs: WARM_MS / 2 });
  await load({ ...ours, connections: 32, durationMs: WARM_MS });
  const throughput = await abba(
    quartets,
    async () => (await load({ ...bare, connections: 32 })).perSecond,
    async () => (await load({ ...ours, connections: 32 })).perSecond,
  );
  figures.push({
    id: 'P1',
    what: 'A2A req/s, 1 KB, 32 connections, recorded ÷ bare two-hop',
    value: throughput.median,
    range: [throughput.low, throughput.high],
    unit: '×',
    pass: 0.6,
    stretch: 0.8,
    better: 'higher',
    behind: `${short(throughput.b)}/s ÷ ${short(throughput.a)}/s`,
  });

  const database: number[] = [];
  const { postgres, nats } = cluster;
  const cpu = await abba(
    quartets,
    () => cpuPerRequest([inner.pid, outer.pid], () => load({ ...bare, connections: 32 })),
    () =>
      cpuPerRequest([...cluster.servicePids(), nats.pid as number], async () => {
        const loaded = load({ ...ours, connections: 32 });
        database.push(await cpuPerRequest([postgres.pid as number], () => loaded));
        return loaded;
      }),
  );
  figures.push({
    id: 'P2',
    what: 'CPU per A2A message, all our processes and the broker ÷ bare two-hop',
    value: cpu.median,
    range: [cpu.low, cpu.high],
    unit: '×',
    pass: 2.2,
    stretch: 1.5,
    better: 'lower',
    behind: `${short(cpu.b)} µs ÷ ${short(cpu.a)} µs; and ${short(median(database))} µs of the database`,
  });

  const single = await addedLatency({ agent, bare, ours, connections: 1, quartets });
  figures.push({
    id: 'P5',
    what: 'added p50 at one connection ÷ that of the bare two-hop',
    value: single.p50.ours / single.p50.bare,
    unit: '×',
    pass: 2,
    stretch: 1.3,
    better: 'lower',
    behind: `+${short(single.p50.ours)} ms ÷ +${short(single.p50.bare)} ms`,
  });
  for (const program of [outer, inner, agent]) await program.stop();

  const slow = await startProgram('echo-agent', { DELAY_MS: '20' });
  const slowInner = await startProgram('bare-proxy', { TARGET: slow.url });
  const slowOuter = await startProgram('bare-proxy', { TARGET: slowInner.url });
  const slowId = await workspaceAt(cluster, slow.url);
  const open = await addedLatency({
    agent: slow,
    bare: { url: slowOuter.url, paths: ['/'], bodies },
    ours: { url: cluster.url(), paths: [`/workspaces/${slowId}/a2a`], bodies },
    rate: 300,
    connections: 1,
    quartets,
  });
  figures.push(
    {
      id: 'P3',
      what: 'added p50 over direct, 300/s open loop, agent 20 ms ÷ that of the bare two-hop',
      value: open.p50.ours / open.p50.bare,
      unit: '×',
      pass: 1.6,
      stretch: 1.2,
      better: 'lower',
      behind: `+${short(open.p50.ours)} ms ÷ +${short(open.p50.bare)} ms`,
    },
    {
      id: 'P4',
      what: 'added p99, same run',
      value: open.p99.ours / open.p99.bare,
      unit: '×',
      pass: 1.7,
      stretch: 1.25,
      better: 'lower',
      behind: `+${short(open.p99.ours)} ms ÷ +${short(open.p99.bare)} ms`,
    },
  );
  for (const program of [slowOuter, slowInner, slow]) await program.stop();
  return figures.sort((a, b) => a.id.localeCompare(b.id));
}

interface Path {
  readonly url: string;
  readonly paths: readonly string[];
  readonly bodies: readonly string[];
}

/** Latency over that of the agent called directly, in milliseconds: medians over the quartets. */
async function addedLatency(options: {
  readonly agent: Program;
  readonly bare: Path;
  readonly ours: Path;
  readonly connections: number;
  readonly rate?: number;
  readonly quartets: number;
}): Promise<Record<'p50' | 'p99', { bare: number; ours: number }>> {
  const { agent, bare, ours, connections, rate, quartets } = options;
  const measure = (path: Path) => load({ ...path, connections, ...(rate === undefined ? {} : { rate }) });
  const direct: Path = { url: agent.url, paths: ['/'], bodies: bare.bodies };
  const added = { p50: { bare: [] as number[], ours: [] as number[] }, p99: { bare: [] as number[], ours: [] as number[] } };
  for (let quartet = 0; quartet < quartets; quartet++) {
    const base = await measure(direct);
    for (const [name, path] of [
      ['bare', bare],
      ['ours', ours],
      ['ours', ours],
      ['bare', bare],
    ] as const) {
      const result = await measure(path);
      added.p50[name].push(result.p50 - base.p50);
      added.p99[name].push(result.p99 - base.p99);
    }
  }
  const middle = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)] as number;
  return {
    p50: { bare: middle(added.p50.bare), ours: middle(added.p50.ours) },
    p99: { bare: middle(added.p99.bare), ours: middle(added.p99.ours) },
  };
}
