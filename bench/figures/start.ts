/** P18–P20 and S8: how soon a service, and the whole, is ready; what it holds in memory; whether the length of the log matters. */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { median } from '../lib/compare.ts';
import { pssMegabytes, startProgram } from '../lib/programs.ts';
import { type Figure, short } from '../lib/report.ts';
import { appendRaw, type Cluster, type RawFact } from '../lib/system.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
export const CLI = join(ROOT, 'packages', 'cli', 'src', 'main.ts');
const TIMES = 5;
const SERVICES = 6;

const timed = async (work: () => Promise<unknown>): Promise<number> => {
  const started = performance.now();
  await work();
  return performance.now() - started;
};

/** With the whole system up: one service started again, and libraries alone. */
export async function startFigures(cluster: Cluster, longLog: number): Promise<Figure[]> {
  const env = { NATS_URL: cluster.nats.url, DATABASE_URL: cluster.postgres.url };
  const libraries = async () => {
    const program = await startProgram('libraries', env);
    return program;
  };
  const bare: number[] = [];
  const service: number[] = [];
  for (let time = 0; time < TIMES; time++) {
    bare.push(await timed(async () => (await libraries()).stop()));
    await cluster.kill('scheduler-0', 'SIGTERM');
    service.push(await timed(() => cluster.restart('scheduler-0')));
  }
  const six = await Promise.all(Array.from({ length: SERVICES }, libraries));
  const barePss = six.reduce((sum, { pid }) => sum + pssMegabytes(pid), 0);
  for (const program of six) await program.stop();
  const ourPss = cluster.servicePids().reduce((sum, pid) => sum + pssMegabytes(pid), 0);

  const proxyStarts = async () => {
    const starts: number[] = [];
    for (let time = 0; time < TIMES; time++) {
      await cluster.kill('a2a-proxy-0', 'SIGTERM');
      starts.push(await timed(() => cluster.restart('a2a-proxy-0')));
    }
    return median(starts);
  };
  const few = await proxyStarts();
  await appendRaw(cluster.postgres.url, 'a2a_proxy', Array.from({ length: longLog }, answeredCall));
  const many = await proxyStarts();

  return [
    {
      id: 'P18',
      what: 'one service ready, dependencies up ÷ libraries only',
      value: median(service) / median(bare),
      unit: '×',
      pass: 2,
      stretch: 1.3,
      better: 'lower',
      behind: `${short(median(service))} ms ÷ ${short(median(bare))} ms`,
    },
    {
      id: 'P20',
      what: 'memory (PSS) of six services ÷ six times libraries only',
      value: ourPss / barePss,
      unit: '×',
      pass: 1.5,
      stretch: 1.2,
      better: 'lower',
      behind: `${short(ourPss)} MB ÷ ${short(barePss)} MB`,
    },
    {
      id: 'S8',
      what: `a2a-proxy ready with ${longLog} facts more in its log ÷ with few`,
      value: many / few,
      unit: '×',
      pass: 1.2,
      stretch: 1.05,
      better: 'lower',
      behind: `${short(many)} ms ÷ ${short(few)} ms`,
    },
  ];
}

/** `npm start`, as a user meets it: embedded servers and six services in one process. */
export async function embeddedFigures(): Promise<Figure[]> {
  const home = await mkdtemp(join(tmpdir(), 'molecule-bench-'));
  const ready: number[] = [];
  let memory = Number.NaN;
  // The first start makes the database; what is measured is every later one.
  for (let time = 0; time <= TIMES; time++) {
    const started = performance.now();
    const child = spawn(process.execPath, [CLI, 'up'], {
      env: { ...process.env, PORT: '0', MOLECULE_HOME: home, PROVISIONER_BACKEND: 'process' },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const url = await announced(child.stdout);
    if ((await fetch(`${url}/health`)).ok && time > 0) ready.push(performance.now() - started);
    const { pid } = JSON.parse(await readFile(join(home, 'run.json'), 'utf8')) as { pid: number };
    memory = pssMegabytes(pid);
    const gone = once(child, 'exit');
    child.kill('SIGTERM');
    await gone;
  }
  await rm(home, { recursive: true, force: true });
  return [
    {
      id: 'P19',
      what: '`npm start` on a prepared checkout until /health answers',
      value: median(ready),
      unit: 'ms',
      pass: 3_000,
      stretch: 1_500,
      better: 'lower',
      behind: `${TIMES} starts, PostgreSQL, NATS and six services`,
    },
    {
      id: 'P20b',
      what: 'idle memory of the all-in-one process (PSS)',
      value: memory,
      unit: 'MB',
      pass: 180,
      stretch: 93,
      better: 'lower',
      behind: 'without PostgreSQL and nats-server',
    },
  ];
}

/** Reads what is printed until it names where the gateway answers. */
export async function announced(output: NodeJS.ReadableStream): Promise<string> {
  let text = '';
  for await (const chunk of output) {
    text += String(chunk);
    const url = /http:\/\/(?:127\.0\.0\.1|localhost):\d+/.exec(text)?.[0];
    if (url !== undefined && /ready/i.test(text)) return url;
  }
  throw new Error(`it ended without being ready:\n${text}`);
}

const answeredCall = (): RawFact => {
  const messageId = randomUUID();
  const workspaceId = '0b6c2f53-6d52-4c0c-8f3e-0f6f7c1d2e3f';
  const data = {
    messageId,
    workspaceId,
    callerId: null,
    source: 'canvas',
    method: 'message/send',
    httpStatus: 200,
    durationMs: 5,
  };
  return { stream: `message.${messageId}`, version: 1, type: 'a2a.answered', data, workspaceId };
};
