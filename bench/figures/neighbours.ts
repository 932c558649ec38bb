/** S11, F12: what many workspaces have beside one that asks for ten times as much, and beside many whose agents go wrong. */
import { abba, median, type Ratio } from '../lib/compare.ts';
import { load } from '../lib/load.ts';
import { startProgram } from '../lib/programs.ts';
import { type Figure, short } from '../lib/report.ts';
import { type Cluster, workspaceAt } from '../lib/system.ts';
import { body } from './a2a.ts';

const NEIGHBOURS = 16;
const TIMES_THE_LOAD = 10;
const HOSTILE = 50;
/** What calls to agents that go wrong end in. */
const NOT_WELL = [302, 429, 500, 502, 503] as const;

export async function neighbourFigures(cluster: Cluster, quartets: number): Promise<Figure[]> {
  // The agents take their time, as those that think do; so who sends with ten connections asks for ten times as much.
  const agent = await startProgram('echo-agent', { DELAY_MS: '20' });
  const hostile = await startProgram('hostile-agent');
  const target = { url: cluster.url(), bodies: Array.from({ length: 64 }, body) };
  const neighbours = await pathsTo(cluster, agent.url, NEIGHBOURS);
  const noisy = await pathsTo(cluster, agent.url, 1);
  const wrong = await pathsTo(cluster, hostile.url, HOSTILE);

  const alone = () => load({ ...target, paths: neighbours, connections: NEIGHBOURS });
  const noise = () => load({ ...target, paths: noisy, connections: TIMES_THE_LOAD });
  const trouble = () => load({ ...target, paths: wrong, connections: HOSTILE, allowed: NOT_WELL });
  const beside = async (other: () => Promise<unknown>) => (await Promise.all([alone(), other()]))[0];

  const loud = await kept(quartets, alone, () => beside(noise));
  const bad = await kept(quartets, alone, () => beside(trouble));
  for (const program of [agent, hostile]) await program.stop();
  const beside11 = `${NEIGHBOURS} workspaces beside one at ${TIMES_THE_LOAD} times the load of each`;
  return [
    ...figures('S11', `A2A req/s of ${beside11} ÷ alone, agents 20 ms`, loud, { throughput: 0.8, p99: 2 }),
    ...figures('F12', `A2A req/s of ${NEIGHBOURS} workspaces beside ${HOSTILE} whose agents go wrong ÷ alone`, bad, {
      throughput: 0.85,
      p99: 1.5,
    }),
  ];
}

async function pathsTo(cluster: Cluster, agentUrl: string, count: number): Promise<string[]> {
  const paths: string[] = [];
  for (let n = 0; n < count; n++) paths.push(`/workspaces/${await workspaceAt(cluster, agentUrl)}/a2a`);
  return paths;
}

interface Kept {
  readonly throughput: Ratio & { readonly a: number; readonly b: number };
  /** Medians, in milliseconds. */
  readonly p99: { readonly alone: number; readonly beside: number };
}

type Measured = () => Promise<{ readonly perSecond: number; readonly p99: number }>;

async function kept(quartets: number, alone: Measured, beside: Measured): Promise<Kept> {
  const p99: Record<'alone' | 'beside', number[]> = { alone: [], beside: [] };
  const measure = async (what: keyof typeof p99, measured: Measured) => {
    const result = await measured();
    p99[what].push(result.p99);
    return result.perSecond;
  };
  const throughput = await abba(
    quartets,
    () => measure('alone', alone),
    () => measure('beside', beside),
  );
  return { throughput, p99: { alone: median(p99.alone), beside: median(p99.beside) } };
}

function figures(id: string, what: string, { throughput, p99 }: Kept, pass: { throughput: number; p99: number }): Figure[] {
  return [
    {
      id,
      what,
      value: throughput.median,
      range: [throughput.low, throughput.high],
      unit: '×',
      pass: pass.throughput,
      stretch: 0.95,
      better: 'higher',
      behind: `${short(throughput.b)}/s ÷ ${short(throughput.a)}/s`,
    },
    {
      id: `${id}b`,
      what: 'p99 of the same',
      value: p99.beside / p99.alone,
      unit: '×',
      pass: pass.p99,
      stretch: 1.25,
      better: 'lower',
      behind: `${short(p99.beside)} ms ÷ ${short(p99.alone)} ms`,
    },
  ];
}
