/** P23: what throughput is left half a minute after everything failed once, under load, of what there was before. */
import { setTimeout as delay } from 'node:timers/promises';
import { median, summary } from '../lib/compare.ts';
import { load } from '../lib/load.ts';
import { startProgram } from '../lib/programs.ts';
import { type Figure, short } from '../lib/report.ts';
import { type Cluster, workspaceAt } from '../lib/system.ts';
import { body } from './a2a.ts';

const CONNECTIONS = 32;
/** Under load too, as what comes after the faults: neither is measured cold. */
const BEFORE_MS = 10_000;
const AFTER_MS = 30_000;
const MEASURED_MS = 5_000;
const CALLERS = 16;
const RETRY_MS = 50;

export async function recoveryFigures(cluster: Cluster, runs: number): Promise<Figure[]> {
  const agent = await startProgram('echo-agent');
  const workspaceId = await workspaceAt(cluster, agent.url);
  const path = `/workspaces/${workspaceId}/a2a`;
  const job = { url: cluster.url(), paths: [path], bodies: Array.from({ length: 64 }, body), connections: CONNECTIONS };
  const perSecond = async (warmupMs: number) => (await load({ ...job, warmupMs, durationMs: MEASURED_MS })).perSecond;

  const [before, after]: [number[], number[]] = [[], []];
  for (let run = 0; run < runs; run++) {
    before.push(await perSecond(BEFORE_MS));
    await whileCalling(`${cluster.url()}${path}`, async () => {
      for (const name of cluster.names()) {
        await cluster.kill(name);
        await cluster.restart(name);
      }
      await cluster.crash('nats');
      await cluster.crash('postgres');
    });
    after.push(await perSecond(AFTER_MS));
  }
  await agent.stop();
  const ratios = summary(after.map((rate, run) => rate / (before[run] as number)));
  return [
    {
      id: 'P23',
      what: `A2A req/s 30 s after every service, the broker and the database were killed ÷ before, ${CONNECTIONS} connections`,
      value: ratios.median,
      range: [ratios.low, ratios.high],
      unit: '×',
      pass: 0.9,
      stretch: 0.95,
      better: 'higher',
      behind: `${short(median(after))}/s ÷ ${short(median(before))}/s, ${runs} run(s)`,
    },
  ];
}

/** Calls go on while things fail; how they end is not of interest here. */
async function whileCalling(url: string, work: () => Promise<void>): Promise<void> {
  let goesOn = true;
  const callers = Array.from({ length: CALLERS }, async () => {
    while (goesOn) {
      try {
        await (await fetch(url, { method: 'POST', body: body() })).text();
      } catch {
        await delay(RETRY_MS);
      }
    }
  });
  try {
    await work();
  } finally {
    goesOn = false;
    await Promise.all(callers);
  }
}
