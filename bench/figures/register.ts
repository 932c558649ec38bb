/** R6, F17 and S2: the whole fleet comes back at once; and what it costs to watch over it while nobody is silent. */
import { fileURLToPath } from 'node:url';
import { median } from '../lib/compare.ts';
import { type LoadResult, load } from '../lib/load.ts';
import { runProgram, startProgram } from '../lib/programs.ts';
import { type Figure, short } from '../lib/report.ts';
import { type Cluster, seedWorkspaces } from '../lib/system.ts';

const REGISTERING = 1_000;
const BEATING = 10_000;
const CONNECTIONS = 64;
/** "Not now" is an answer; anything else is none. */
const PUT_OFF = [429, 503];

const registration = JSON.stringify({
  id: '{id}',
  workspace_id: '{id}',
  url: 'http://localhost:9',
  agent_card: { name: 'agent' },
});
const beat = JSON.stringify({
  workspace_id: '{id}',
  error_rate: 0,
  sample_error: '',
  active_tasks: 0,
  current_task: '',
  uptime_seconds: 1,
});

export async function registerFigures(cluster: Cluster, quartets: number): Promise<Figure[]> {
  const bare = await startProgram('upsert-beats', { DATABASE_URL: cluster.postgres.url });
  const storm = async (url: string) => {
    const ids = await seedWorkspaces(cluster.postgres.url, cluster.url(), REGISTERING);
    if (url === cluster.url()) await restart(cluster, 'registry-0', 'gateway-0');
    return load({
      url,
      paths: ['/registry/register'],
      bodies: [registration],
      ids,
      connections: CONNECTIONS,
      once: true,
      allowed: PUT_OFF,
    });
  };
  const seen: Record<'bare' | 'ours', LoadResult[]> = { bare: [], ours: [] };
  for (let time = 0; time < quartets; time++) {
    seen.bare.push(await storm(bare.url));
    seen.ours.push(await storm(cluster.url()));
  }
  await bare.stop();
  const took = (results: readonly LoadResult[]) => median(results.map(({ durationMs }) => durationMs));
  const p99 = (results: readonly LoadResult[]) => median(results.map((result) => result.p99));

  const fleet = await seedWorkspaces(cluster.postgres.url, cluster.url(), BEATING);
  await restart(cluster, ...cluster.names());
  const herd = await load({
    url: cluster.url(),
    paths: ['/registry/heartbeat'],
    bodies: [beat],
    ids: fleet,
    connections: CONNECTIONS,
    rate: BEATING,
    mostConnections: 512,
    warmupMs: 0,
    durationMs: 1_000,
    allowed: PUT_OFF,
  });
  return [
    {
      id: 'R6',
      what: `${REGISTERING} agents register at once after a restart, until all are answered 200 ÷ as many committed rows over HTTP`,
      value: took(seen.ours) / took(seen.bare),
      unit: '×',
      pass: 15,
      stretch: 8,
      better: 'lower',
      behind: `${short(took(seen.ours))} ms, p99 ${short(p99(seen.ours))} ÷ ${short(took(seen.bare))} ms; answers ${JSON.stringify(seen.ours.map(({ statuses }) => statuses))}`,
    },
    {
      id: 'F17',
      what: `${BEATING} beats within a second over 512 connections, after a restart of everything, p99`,
      value: herd.p99,
      unit: 'ms',
      pass: 1_000,
      stretch: 250,
      better: 'lower',
      behind: `p50 ${short(herd.p50)} ms, all within ${short(herd.durationMs)} ms; answers ${JSON.stringify(herd.statuses)}`,
    },
  ];
}

async function restart(cluster: Cluster, ...names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => cluster.kill(name, 'SIGTERM')));
  await Promise.all(names.map((name) => cluster.restart(name)));
}

/** Programs of the services' own, which alone may know their insides. */
const own = (path: string) => fileURLToPath(new URL(`../../services/${path}`, import.meta.url));

export async function watchFigures(
  cluster: Cluster,
  fleets: { readonly small: number; readonly large: number },
): Promise<Figure[]> {
  const sizes = JSON.stringify([fleets.small, fleets.large]);
  const [, sweep] = await runProgram<[number, number]>(own('sweeper/src/testing/measure-silence.ts'), { SIZES: sizes });
  const [few, many] = await runProgram<[number, number]>(own('registry/src/testing/measure-vitals.ts'), {
    SIZES: sizes,
    DATABASE_URL: cluster.postgres.url,
  });
  return [
    {
      id: 'S2',
      what: `asking who of ${fleets.large} is silent, when nobody is`,
      value: sweep,
      unit: 'ms',
      pass: 5,
      stretch: 1,
      better: 'lower',
      behind: 'by the class itself; the pass as a whole also asks a gateway whether beats arrive',
    },
    {
      id: 'S2b',
      what: `storing what 1,000 beats said, with ${fleets.large} rows ÷ with ${fleets.small}`,
      value: many / few,
      unit: '×',
      pass: 1.25,
      stretch: 1.1,
      better: 'lower',
      behind: `${short(many)} ms ÷ ${short(few)} ms`,
    },
  ];
}
