/** P7: A2A bodies of 64 KiB through gateway and a2a-proxy, recorded, against two bare hops that pipe them. */
import { abba } from '../lib/compare.ts';
import { load } from '../lib/load.ts';
import { startProgram } from '../lib/programs.ts';
import { type Figure, short } from '../lib/report.ts';
import { type Cluster, workspaceAt } from '../lib/system.ts';
import { body } from './a2a.ts';

const BYTES = 64 * 1024;
const CONNECTIONS = 16;

export async function largeFigures(cluster: Cluster, quartets: number): Promise<Figure[]> {
  const agent = await startProgram('echo-agent');
  const inner = await startProgram('agent-proxy', { TARGET: agent.url });
  const outer = await startProgram('agent-proxy', { TARGET: inner.url });
  const id = await workspaceAt(cluster, agent.url);
  const bodies = Array.from({ length: 16 }, () => body(BYTES));
  const throughput = await abba(
    quartets,
    async () => (await load({ url: outer.url, paths: ['/'], bodies, connections: CONNECTIONS })).perSecond,
    async () =>
      (await load({ url: cluster.url(), paths: [`/workspaces/${id}/a2a`], bodies, connections: CONNECTIONS })).perSecond,
  );
  for (const program of [outer, inner, agent]) await program.stop();
  return [
    {
      id: 'P7',
      what: `A2A req/s, 64 KiB, ${CONNECTIONS} connections, recorded ÷ two hops of node:http agent and pipe`,
      value: throughput.median,
      range: [throughput.low, throughput.high],
      unit: '×',
      pass: 0.5,
      stretch: 0.75,
      better: 'higher',
      behind: `${short(throughput.b)}/s ÷ ${short(throughput.a)}/s; both bodies of each call are kept`,
    },
  ];
}
