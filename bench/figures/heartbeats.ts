/** P8–P10 and S1: beats accepted and evaluated, against a bare endpoint and against one committed row per beat. */
import { abba } from '../lib/compare.ts';
import { load } from '../lib/load.ts';
import { cpuPerRequest, startProgram } from '../lib/programs.ts';
import { type Figure, short } from '../lib/report.ts';
import { type Cluster, seedWorkspaces } from '../lib/system.ts';

/** A beat of about 1 KB, as a runtime sends it. */
const body = JSON.stringify({
  workspace_id: '{id}',
  error_rate: 0,
  sample_error: '',
  active_tasks: 0,
  current_task: '',
  uptime_seconds: 3600,
  runtime_metadata: {
    capabilities: {
      heartbeat: false,
      scheduler: false,
      session: false,
      status_mgmt: false,
      retry: false,
      activity_decoration: false,
      channel_dispatch: false,
    },
    idle_timeout_seconds: 600,
  },
  padding: 'x'.repeat(600),
});
const CONNECTIONS = 64;

export async function heartbeatFigures(
  cluster: Cluster,
  quartets: number,
  fleets: { readonly small: number; readonly large: number },
): Promise<Figure[]> {
  const small = await seedWorkspaces(cluster.postgres.url, cluster.url(), fleets.small);
  const bare = await startProgram('bare-http');
  const upsert = await startProgram('upsert-beats', { DATABASE_URL: cluster.postgres.url });
  const beat = (url: string, ids: readonly string[]) =>
    load({ url, paths: ['/registry/heartbeat'], bodies: [body], ids, connections: CONNECTIONS });

  const accepted = await abba(
    quartets,
    async () => (await beat(bare.url, small)).perSecond,
    async () => (await beat(cluster.url(), small)).perSecond,
  );
  const committed = await abba(
    quartets,
    async () => (await beat(upsert.url, small)).perSecond,
    async () => (await beat(cluster.url(), small)).perSecond,
  );
  await upsert.stop();
  const perBeat = (ids: readonly string[]) => () => cpuPerRequest(cluster.pids(), () => beat(cluster.url(), ids));
  const ceiling = await abba(quartets, () => cpuPerRequest([bare.pid], () => beat(bare.url, small)), perBeat(small));
  await bare.stop();

  const large = await seedWorkspaces(cluster.postgres.url, cluster.url(), fleets.large);
  const scaling = await abba(quartets, perBeat(small), perBeat(large));
  return [
    {
      id: 'P8',
      what: `heartbeats/s accepted and evaluated, ${fleets.small} workspaces, ÷ bare node:http`,
      value: accepted.median,
      range: [accepted.low, accepted.high],
      unit: '×',
      pass: 0.18,
      stretch: 0.25,
      better: 'higher',
      behind: `${short(accepted.b)}/s ÷ ${short(accepted.a)}/s`,
    },
    {
      id: 'P9',
      what: 'CPU per heartbeat, everything ÷ the ceiling',
      value: ceiling.median,
      range: [ceiling.low, ceiling.high],
      unit: '×',
      pass: 9,
      stretch: 6,
      better: 'lower',
      behind: `${short(ceiling.b)} µs ÷ ${short(ceiling.a)} µs`,
    },
    {
      id: 'P10',
      what: 'heartbeats/s ÷ one committed row per beat',
      value: committed.median,
      range: [committed.low, committed.high],
      unit: '×',
      pass: 1.3,
      stretch: 1.8,
      better: 'higher',
      behind: `${short(committed.b)}/s ÷ ${short(committed.a)}/s`,
    },
    {
      id: 'S1',
      what: `CPU per heartbeat at ${fleets.large} workspaces ÷ at ${fleets.small}`,
      value: scaling.median,
      range: [scaling.low, scaling.high],
      unit: '×',
      pass: 1.5,
      stretch: 1.25,
      better: 'lower',
      behind: `${short(scaling.b)} µs ÷ ${short(scaling.a)} µs`,
    },
  ];
}
