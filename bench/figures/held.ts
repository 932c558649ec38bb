/** S7: calls that wait for their agents cost memory only, and end when the agent answers: no timer comes late. */
import { load } from '../lib/load.ts';
import { pssMegabytes, startProgram } from '../lib/programs.ts';
import { type Figure, short } from '../lib/report.ts';
import { type Cluster, workspaceAt } from '../lib/system.ts';
import { body } from './a2a.ts';

const HELD = 1_000;
const FIRST = 50;

export async function heldFigures(cluster: Cluster, heldMs: number): Promise<Figure[]> {
  const agent = await startProgram('echo-agent', { DELAY_MS: String(heldMs) });
  const quick = await startProgram('echo-agent');
  const id = await workspaceAt(cluster, agent.url);
  const quickId = await workspaceAt(cluster, quick.url);
  const hold = (delayed: string, count: number) => {
    const bodies = Array.from({ length: count }, () => body());
    return load({ url: cluster.url(), paths: [`/workspaces/${delayed}/a2a`], bodies, connections: count, once: true });
  };
  await hold(quickId, FIRST); // so that the code is loaded; what the burst itself needs counts as theirs
  const pids = ['gateway-0', 'a2a-proxy-0'].map((name) => cluster.pid(name));
  const memory = () => pids.map(pssMegabytes);
  const before = memory();
  const holding = hold(id, HELD);
  await new Promise((resolve) => setTimeout(resolve, heldMs * 0.7));
  const grown = memory().map((megabytes, at) => ((megabytes - (before[at] as number)) * 1024) / HELD);
  const { p50, max } = await holding;
  for (const program of [quick, agent]) await program.stop();
  return [
    {
      id: 'S7',
      what: `memory (PSS) per held call and hop, of ${HELD} held for ${short(heldMs / 1000)} s`,
      value: Math.max(...grown),
      unit: 'KB',
      pass: 100,
      stretch: 60,
      better: 'lower',
      behind: `gateway ${short(grown[0] as number)} KB, a2a-proxy ${short(grown[1] as number)} KB; all answered 200`,
    },
    {
      id: 'S7b',
      what: 'the same calls: the slowest answer after the agent meant to give it',
      value: max - heldMs,
      unit: 'ms',
      pass: 3_000,
      stretch: 1_500,
      better: 'lower',
      behind: `p50 ${short(p50 - heldMs)} ms; all began at once, on new connections`,
    },
  ];
}
