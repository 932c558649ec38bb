/** R1–R5: lists as canvases and agents read them, against a bare endpoint with a body of the same size; and what a fleet costs in memory. */
import { abba, median } from '../lib/compare.ts';
import { type LoadResult, load } from '../lib/load.ts';
import { pssMegabytes, startProgram } from '../lib/programs.ts';
import { type Figure, short } from '../lib/report.ts';
import { type Cluster, seedWorkspaces } from '../lib/system.ts';

/** As many canvases as read at the same moment. */
const CONNECTIONS = 4;
const SIBLINGS = 1_000;

export async function readFigures(
  cluster: Cluster,
  quartets: number,
  fleets: { readonly small: number; readonly large: number },
): Promise<Figure[]> {
  const { url: databaseUrl } = cluster.postgres;
  const read = (id: string, what: string, path: string, targets: { readonly pass: number; readonly stretch: number }) =>
    readFigure({ cluster, quartets, id, what, path, ...targets });

  const [parentId] = await seedWorkspaces(databaseUrl, cluster.url(), 1);
  const siblings = await seedWorkspaces(databaseUrl, cluster.url(), SIBLINGS + 1, { parentId: parentId as string });
  const peers = await read('R3', `peers of one with ${SIBLINGS} siblings`, `/registry/${siblings[0]}/peers`, {
    pass: 0.02,
    stretch: 0.05,
  });
  const few = await read('R1', `GET /workspaces, ${SIBLINGS + 2} workspaces`, '/workspaces', { pass: 0.04, stretch: 0.1 });
  await seedWorkspaces(databaseUrl, cluster.url(), fleets.large - SIBLINGS - 2);
  const many = await read('R2', `GET /workspaces, ${fleets.large} workspaces`, '/workspaces', { pass: 0.05, stretch: 0.15 });
  // What reading under load leaves to the garbage collector is no memory of the fleet.
  for (const name of ['registry-0', 'gateway-0']) {
    await cluster.kill(name, 'SIGTERM');
    await cluster.restart(name);
  }
  await (await fetch(`${cluster.url()}/workspaces`)).arrayBuffer();
  return [
    few,
    many,
    peers,
    ...(['registry', 'gateway'] as const).map(
      (service): Figure => ({
        id: service === 'registry' ? 'R4' : 'R5',
        what: `memory (PSS) of the ${service} with ${fleets.large} workspaces, all read once`,
        value: pssMegabytes(cluster.pid(`${service}-0`)),
        unit: 'MB',
        pass: 220,
        stretch: 150,
        better: 'lower',
        behind: 'one process',
      }),
    ),
  ];
}

interface Reading {
  readonly cluster: Cluster;
  readonly quartets: number;
  readonly id: string;
  readonly what: string;
  readonly path: string;
  readonly pass: number;
  readonly stretch: number;
}

async function readFigure({ cluster, quartets, id, what, path, pass, stretch }: Reading): Promise<Figure> {
  const bytes = (await (await fetch(`${cluster.url()}${path}`)).arrayBuffer()).byteLength;
  const bare = await startProgram('bare-body', { BYTES: String(bytes) });
  const seen: Record<'bare' | 'ours', LoadResult[]> = { bare: [], ours: [] };
  const reads = (who: 'bare' | 'ours', url: string) => async () => {
    const result = await load({ url, method: 'GET', paths: [path], bodies: [''], connections: CONNECTIONS });
    seen[who].push(result);
    return result.perSecond;
  };
  const ratio = await abba(quartets, reads('bare', bare.url), reads('ours', cluster.url()));
  await bare.stop();
  const latency = (results: readonly LoadResult[]) =>
    `p50 ${short(median(results.map(({ p50 }) => p50)))}, p99 ${short(median(results.map(({ p99 }) => p99)))} ms`;
  return {
    id,
    what: `${what}, ${CONNECTIONS} connections ÷ bare node:http with the same body`,
    value: ratio.median,
    range: [ratio.low, ratio.high],
    unit: '×',
    pass,
    stretch,
    better: 'higher',
    behind: `${short(ratio.b)}/s, ${latency(seen.ours)} ÷ ${short(ratio.a)}/s, ${latency(seen.bare)}; ${short(bytes / 1024)} KB`,
  };
}
