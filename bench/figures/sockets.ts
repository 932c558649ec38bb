/** P16, P17 and S6: what is said on the bus until it is on the canvases, against a bare hop from NATS to WebSockets. */
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type LiveEvent, subjects } from '@molecule/contracts';
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { abba, median } from '../lib/compare.ts';
import { Crowd, type CrowdReport } from '../lib/crowd.ts';
import { cpuMicros, pssMegabytes, startProgram } from '../lib/programs.ts';
import { type Figure, short } from '../lib/report.ts';
import type { Cluster } from '../lib/system.ts';

const CANVASES = 200;
const FEW = 20;
const MANY = 1_000;
/** Deliveries per measurement of a burst. */
const DELIVERIES = 200_000;
/** Events on their way at once: below the bound at which a slow client loses some. */
const WINDOW = 64;
const STEADY_MS = 4_000;

/** About 512 bytes as a frame. */
const PADDING = 'x'.repeat(300);
const event = (): LiveEvent => ({
  event: 'AGENT_MESSAGE',
  workspaceId: randomUUID(),
  timestamp: new Date().toISOString(),
  payload: { at: performance.timeOrigin + performance.now(), message: PADDING },
});

/** One event is one message on the bus, for both. */
type Say = (nats: NatsConnection) => void;
const live = subjects.live('registry', 'bench');
const throughUs: Say = (nats) => nats.publish(live, JSON.stringify([event()]));
const bare: Say = (nats) => {
  const { event: name, workspaceId, timestamp, payload } = event();
  nats.publish('bench.frames', JSON.stringify({ event: name, workspace_id: workspaceId, timestamp, payload }));
};

export async function socketFigures(cluster: Cluster, quartets: number): Promise<Figure[]> {
  const { host, username, password } = new URL(cluster.nats.url);
  const nats = await connect({ servers: host, user: username, pass: password });
  const ceiling = await startProgram('bare-broadcast', { NATS_URL: cluster.nats.url });
  const ours = `${cluster.url().replace('http', 'ws')}/ws`;
  const [audience, theirs] = [await Crowd.open(ours, CANVASES), await Crowd.open(ceiling.url.replace('http', 'ws'), CANVASES)];

  const burst = (crowd: Crowd, say: Say) => () => deliver(nats, crowd, say, CANVASES);
  const throughput = await abba(quartets, burst(theirs, bare), burst(audience, throughUs));

  const seen = { bare: [] as CrowdReport[], ours: [] as CrowdReport[] };
  const p99 = (who: 'bare' | 'ours', rate: number) => async () => {
    const [crowd, say] = who === 'bare' ? ([theirs, bare] as const) : ([audience, throughUs] as const);
    const report = await steady(nats, crowd, say, { rate, clients: CANVASES });
    seen[who].push(report);
    return report.p99;
  };
  const slow = await abba(quartets, p99('bare', 50), p99('ours', 50));
  const slowSeen = { bare: seen.bare.splice(0), ours: seen.ours.splice(0) };
  const fast = await abba(quartets, p99('bare', 200), p99('ours', 200));
  await theirs.close();
  await ceiling.stop();
  await audience.close();

  // What the bursts left to the garbage collector would hide what a socket costs.
  await cluster.kill('gateway-0', 'SIGTERM');
  await cluster.restart('gateway-0');
  const gateway = cluster.pid('gateway-0');
  const before = pssMegabytes(gateway);
  const many = await Crowd.open(ours, MANY);
  const perSocket = ((pssMegabytes(gateway) - before) * 1024) / MANY;
  const perDeliveryToMany = await cpuPerDelivery(nats, gateway, { crowd: many, clients: MANY, rate: 25 });
  await many.close();
  const few = await Crowd.open(ours, FEW);
  const perDeliveryToFew = await cpuPerDelivery(nats, gateway, { crowd: few, clients: FEW, rate: 400 });
  await few.close();
  await nats.close();

  const latencies = (reports: readonly CrowdReport[]) =>
    `p50 ${short(median(reports.map(({ p50 }) => p50)))}, p99 ${short(median(reports.map(({ p99: at }) => at)))} ms`;
  return [
    {
      id: 'P16',
      what: `deliveries/s to ${CANVASES} sockets, events from NATS ÷ bare NATS → ws`,
      value: throughput.median,
      range: [throughput.low, throughput.high],
      unit: '×',
      pass: 0.7,
      stretch: 0.9,
      better: 'higher',
      behind: `${short(throughput.b)}/s ÷ ${short(throughput.a)}/s`,
    },
    {
      id: 'P17',
      what: `event → canvas, p99 at 50/s × ${CANVASES} ÷ bare NATS → ws`,
      value: slow.median,
      range: [slow.low, slow.high],
      unit: '×',
      pass: 2,
      stretch: 1.2,
      better: 'lower',
      behind: `${latencies(slowSeen.ours)} ÷ ${latencies(slowSeen.bare)}`,
    },
    {
      id: 'P17b',
      what: `the same at 200/s × ${CANVASES}`,
      value: fast.median,
      range: [fast.low, fast.high],
      unit: '×',
      pass: 2,
      stretch: 1.2,
      better: 'lower',
      behind: `${latencies(seen.ours)} ÷ ${latencies(seen.bare)}`,
    },
    {
      id: 'S6',
      what: `CPU of the gateway per delivery to ${MANY} sockets ÷ to ${FEW}, event by event`,
      value: perDeliveryToMany / perDeliveryToFew,
      unit: '×',
      pass: 1.6,
      stretch: 1.2,
      better: 'lower',
      behind: `${short(perDeliveryToMany)} µs ÷ ${short(perDeliveryToFew)} µs`,
    },
    {
      id: 'S6b',
      what: `memory (PSS) of the gateway per idle socket, of ${MANY}`,
      value: perSocket,
      unit: 'KB',
      pass: 40,
      stretch: 27,
      better: 'lower',
      behind: 'measured when all were open',
    },
  ];
}

/** As fast as they are heard, a window of events ahead. Answers deliveries per second. */
async function deliver(nats: NatsConnection, crowd: Crowd, say: Say, clients: number): Promise<number> {
  await crowd.order('reset');
  const events = Math.ceil(DELIVERIES / clients / WINDOW) * WINDOW;
  const started = performance.now();
  for (let said = 0; said < events; said += WINDOW) {
    // Half a window is still on its way when the next goes out.
    for (let one = 0; one < WINDOW; one++) say(nats);
    await nats.flush();
    await crowd.order({ reach: Math.max(0, said + WINDOW / 2) * clients });
  }
  await crowd.order({ reach: events * clients });
  return ((events * clients) / (performance.now() - started)) * 1000;
}

/** At fixed times, whatever is heard. */
async function steady(
  nats: NatsConnection,
  crowd: Crowd,
  say: Say,
  { rate, clients }: { readonly rate: number; readonly clients: number },
): Promise<CrowdReport> {
  await crowd.order('reset');
  const everyMs = 1000 / rate;
  const events = STEADY_MS / everyMs;
  const started = performance.now();
  for (let said = 0; said < events; said++) {
    const wait = started + said * everyMs - performance.now();
    if (wait > 0) await delay(wait);
    say(nats);
  }
  return crowd.order({ reach: events * clients });
}

/** Event by event: what comes in a burst is written together, and costs less the fewer sockets there are. */
async function cpuPerDelivery(
  nats: NatsConnection,
  pid: number,
  { crowd, clients, rate }: { readonly crowd: Crowd; readonly clients: number; readonly rate: number },
): Promise<number> {
  const once = () => steady(nats, crowd, throughUs, { rate, clients });
  await once(); // to be warm
  const before = cpuMicros(pid);
  const { heard } = await once();
  return (cpuMicros(pid) - before) / heard;
}
