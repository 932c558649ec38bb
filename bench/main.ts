/** `npm run bench [-- <figure>… --quartets <n>]`: measures, prints the table, and keeps it in bench/results/. See README.md for the method. */
import { mkdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { a2aFigures } from './figures/a2a.ts';
import { backlogFigures, waitingFigures } from './figures/backlog.ts';
import { commitFigures } from './figures/commits.ts';
import { drainFigures } from './figures/drain.ts';
import { fileFigures } from './figures/files.ts';
import { heartbeatFigures } from './figures/heartbeats.ts';
import { heldFigures } from './figures/held.ts';
import { largeFigures } from './figures/large.ts';
import { mailboxFigures } from './figures/mailbox.ts';
import { modeFigures } from './figures/modes.ts';
import { neighbourFigures } from './figures/neighbours.ts';
import { readFigures } from './figures/reads.ts';
import { recoveryFigures } from './figures/recovery.ts';
import { registerFigures, watchFigures } from './figures/register.ts';
import { socketFigures } from './figures/sockets.ts';
import { embeddedFigures, startFigures } from './figures/start.ts';
import { streamFigures } from './figures/streams.ts';
import { type Figure, table } from './lib/report.ts';
import { Cluster } from './lib/system.ts';

const FLEETS = { small: 1_000, large: 100_000 } as const;
const READ_FLEETS = { small: 1_000, large: 10_000 } as const;
const LONG_LOG = 500_000;
/** How long calls are held that wait for their agents; the law says sixty seconds, and costs as much at ten. */
const HELD_MS = 10_000;

const { values, positionals: wanted } = parseArgs({
  allowPositionals: true,
  options: { quartets: { type: 'string', default: '5' } },
});
/** Fewer than five are for a quick look. */
const QUARTETS = Number(values.quartets);
if (!Number.isInteger(QUARTETS) || QUARTETS < 1) {
  console.error(`--quartets takes a whole number from 1, not ${values.quartets}`);
  process.exit(2);
}

/** Each group has a system of its own, so that none measures what another left behind. */
const GROUPS = {
  a2a: () => withCluster((cluster) => a2aFigures(cluster, QUARTETS)),
  streams: () => withCluster((cluster) => streamFigures(cluster, QUARTETS)),
  large: () => withCluster((cluster) => largeFigures(cluster, QUARTETS)),
  modes: () => withCluster((cluster) => modeFigures(cluster, QUARTETS)),
  held: () => withCluster((cluster) => heldFigures(cluster, HELD_MS)),
  drain: () => withCluster(drainFigures),
  recovery: () => withCluster((cluster) => recoveryFigures(cluster, QUARTETS)),
  backlog: () => withCluster((cluster) => backlogFigures(cluster, QUARTETS)),
  waiting: () => withCluster(waitingFigures),
  neighbours: () => withCluster((cluster) => neighbourFigures(cluster, QUARTETS)),
  mailbox: () => withCluster((cluster) => mailboxFigures(cluster, QUARTETS), { A2A_MAILBOX_LIMIT: '1000000' }),
  commits: () => withCluster((cluster) => commitFigures(cluster.postgres.url, QUARTETS)),
  heartbeats: () => withCluster((cluster) => heartbeatFigures(cluster, QUARTETS, FLEETS)),
  reads: () => withCluster((cluster) => readFigures(cluster, QUARTETS, READ_FLEETS)),
  sockets: () => withCluster((cluster) => socketFigures(cluster, QUARTETS)),
  register: () => withCluster((cluster) => registerFigures(cluster, QUARTETS)),
  watch: () => withCluster((cluster) => watchFigures(cluster, FLEETS)),
  files: () => withCluster(fileFigures),
  start: () => withCluster((cluster) => startFigures(cluster, LONG_LOG)),
  embedded: embeddedFigures,
} as const satisfies Record<string, () => Promise<Figure[]>>;

async function withCluster(
  measure: (cluster: Cluster) => Promise<Figure[]>,
  env: Readonly<Record<string, string>> = {},
): Promise<Figure[]> {
  const cluster = await Cluster.start({ env: { LOG_LEVEL: 'warn', ...env } });
  try {
    return await measure(cluster);
  } finally {
    await cluster.stop();
  }
}

const unknown = wanted.filter((name) => !(name in GROUPS));
if (unknown.length > 0) {
  console.error(`there is no figure ${unknown.join(', ')}; there are ${Object.keys(GROUPS).join(', ')}`);
  process.exit(2);
}

const figures: Figure[] = [];
for (const [name, measure] of Object.entries(GROUPS)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  console.error(`measuring ${name} …`);
  figures.push(...(await measure()));
}
const cores = cpus();
const result = `Node ${process.version}, ${cores.length} × ${cores[0]?.model ?? 'unknown'}, load generator on the same machine, ${QUARTETS} quartet(s).\n\n${table(figures)}\n`;
console.log(result);
const results = fileURLToPath(new URL('./results', import.meta.url));
await mkdir(results, { recursive: true });
await writeFile(`${results}/${wanted.length === 0 ? 'latest' : wanted.join('-')}.md`, result);
process.exit(0);
