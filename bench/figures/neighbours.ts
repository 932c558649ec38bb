/** S11: what many workspaces have while one of them gets ten times the load of each, against what they have alone. */
import { abba, median } from '../lib/compare.ts';
import { load } from '../lib/load.ts';
import { startProgram } from '../lib/programs.ts';
import { type Figure, short } from '../lib/report.ts';
import { type Cluster, workspaceAt } from '../lib/system.ts';
import { body } from './a2a.ts';

const NEIGHBOURS = 16;
const TIMES_THE_LOAD = 10;

export async function neighbourFigures(cluster: Cluster, quartets: number): Promise<Figure[]> {
  // All agents take their time, as those that think do; so who sends with ten connections asks for ten times as much.
  const agent = await startProgram('echo-agent', { DELAY_MS: '20' });
  const bodies = Array.from({ length: 64 }, body);
  const pathOf = async () => `/workspaces/${await workspaceAt(cluster, agent.url)}/a2a`;
  const neighbours: string[] = [];
  for (let n = 0; n < NEIGHBOURS; n++) neighbours.push(await pathOf());
  const noisy = await pathOf();
  const target = { url: cluster.url(), bodies };

  const p99: Record<'alone' | 'beside', number[]> = { alone: [], beside: [] };
  const measure = async (what: keyof typeof p99) => {
    const result = await load({ ...target, paths: neighbours, connections: NEIGHBOURS });
    p99[what].push(result.p99);
    return result.perSecond;
  };
  const throughput = await abba(
    quartets,
    () => measure('alone'),
    async () => {
      const [kept] = await Promise.all([measure('beside'), load({ ...target, paths: [noisy], connections: TIMES_THE_LOAD })]);
      return kept;
    },
  );
  await agent.stop();
  const [alone, beside] = [median(p99.alone), median(p99.beside)];
  return [
    {
      id: 'S11',
      what: `A2A req/s of ${NEIGHBOURS} workspaces beside one at ${TIMES_THE_LOAD} times the load of each ÷ alone, agents 20 ms`,
      value: throughput.median,
      range: [throughput.low, throughput.high],
      unit: '×',
      pass: 0.8,
      stretch: 0.95,
      better: 'higher',
      behind: `${short(throughput.b)}/s ÷ ${short(throughput.a)}/s`,
    },
    {
      id: 'S11b',
      what: 'p99 of the same',
      value: beside / alone,
      unit: '×',
      pass: 2,
      stretch: 1.25,
      better: 'lower',
      behind: `${short(beside)} ms ÷ ${short(alone)} ms`,
    },
  ];
}
