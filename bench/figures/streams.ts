/** P6: how much later an event of an agent's stream is at its client through gateway and a2a-proxy, against a bare two-hop. */
import { fileURLToPath } from 'node:url';
import { median } from '../lib/compare.ts';
import { runProgram, startProgram } from '../lib/programs.ts';
import { type Figure, short } from '../lib/report.ts';
import type { StreamsReport } from '../lib/streams-worker.ts';
import { type Cluster, workspaceAt } from '../lib/system.ts';

const STREAMS = '50';
const RATE = '20';
const SECONDS = '5';
const BODY = JSON.stringify({
  jsonrpc: '2.0',
  id: 1,
  method: 'message/stream',
  params: { message: { role: 'user', messageId: 'm', parts: [] } },
});
const WORKER = fileURLToPath(new URL('../lib/streams-worker.ts', import.meta.url));

const read = (url: string): Promise<StreamsReport> => runProgram(WORKER, { URL: url, STREAMS, BODY });

export async function streamFigures(cluster: Cluster, quartets: number): Promise<Figure[]> {
  const agent = await startProgram('sse-agent', { RATE, SECONDS });
  const inner = await startProgram('bare-proxy', { TARGET: agent.url });
  const outer = await startProgram('bare-proxy', { TARGET: inner.url });
  const workspaceId = await workspaceAt(cluster, agent.url);
  const urls = { bare: outer.url, ours: `${cluster.url()}/workspaces/${workspaceId}/a2a` };

  await read(urls.ours); // to be warm
  const added = { p50: { bare: [] as number[], ours: [] as number[] }, p99: { bare: [] as number[], ours: [] as number[] } };
  for (let quartet = 0; quartet < quartets; quartet++) {
    const base = await read(agent.url);
    for (const who of ['bare', 'ours', 'ours', 'bare'] as const) {
      const report = await read(urls[who]);
      added.p50[who].push(report.p50 - base.p50);
      added.p99[who].push(report.p99 - base.p99);
    }
  }
  for (const program of [outer, inner, agent]) await program.stop();

  const middle = ({ bare, ours }: { bare: number[]; ours: number[] }) => ({ bare: median(bare), ours: median(ours) });
  const [p50, p99] = [middle(added.p50), middle(added.p99)];
  return [
    {
      id: 'P6',
      what: `an event of ${STREAMS} streams × ${RATE}/s, added p99 over direct ÷ that of the bare two-hop`,
      value: p99.ours / p99.bare,
      unit: '×',
      pass: 1.5,
      stretch: 1,
      better: 'lower',
      behind: `+${short(p99.ours)} ms ÷ +${short(p99.bare)} ms; p50 +${short(p50.ours)} ms ÷ +${short(p50.bare)} ms`,
    },
  ];
}
