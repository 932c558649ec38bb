/** P22: the same A2A call through the all-in-one process and through a process per service. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { abba } from '../lib/compare.ts';
import { load } from '../lib/load.ts';
import { startProgram } from '../lib/programs.ts';
import { type Figure, short } from '../lib/report.ts';
import { type Cluster, workspaceAt } from '../lib/system.ts';
import { body } from './a2a.ts';
import { announced, CLI } from './start.ts';

const CONNECTIONS = 32;

export async function modeFigures(cluster: Cluster, quartets: number): Promise<Figure[]> {
  const home = await mkdtemp(join(tmpdir(), 'molecule-bench-'));
  const allInOne = spawn(process.execPath, [CLI, 'up'], {
    env: { ...process.env, PORT: '0', MOLECULE_HOME: home, PROVISIONER_BACKEND: 'process' },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const url = await announced(allInOne.stdout);
  const agent = await startProgram('echo-agent');
  const bodies = Array.from({ length: 64 }, () => body());
  const through = async (gateway: { url(): string }) => {
    const path = `/workspaces/${await workspaceAt(gateway, agent.url)}/a2a`;
    return async () => (await load({ url: gateway.url(), paths: [path], bodies, connections: CONNECTIONS })).perSecond;
  };
  const ratio = await abba(quartets, await through(cluster), await through({ url: () => url }));
  const gone = once(allInOne, 'exit');
  allInOne.kill('SIGTERM');
  await gone;
  await agent.stop();
  await rm(home, { recursive: true, force: true });
  return [
    {
      id: 'P22',
      what: `A2A req/s, 1 KB, ${CONNECTIONS} connections, recorded: all-in-one ÷ a process per service`,
      value: ratio.median,
      range: [ratio.low, ratio.high],
      unit: '×',
      pass: 1.3,
      stretch: 1.7,
      better: 'higher',
      behind: `${short(ratio.b)}/s ÷ ${short(ratio.a)}/s`,
    },
  ];
}
