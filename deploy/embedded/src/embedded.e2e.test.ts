/** Molecule whole, as `npm start` runs it: seen from outside only. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAlive, markOf, readMark } from '@molecule/embedded-servers';
import { freePort, it, waitFor } from '@molecule/testkit';
import { afterEach, beforeEach, describe, expect, onTestFinished } from 'vitest';
import type { RunFile } from './home.ts';

const STOPS_WITHIN_MS = 10_000;

let home: string;
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'molecule-embedded-'));
  chmodSync(home, 0o711);
});
afterEach(() => rmSync(home, { recursive: true, force: true, maxRetries: 5 }));

class Molecule {
  readonly child: ChildProcess;
  readonly ended: Promise<unknown>;
  out = '';
  err = '';

  constructor(env: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, [join(import.meta.dirname, 'main.ts')], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], MOLECULE_HOME: home, PORT: '0', PROVISIONER_BACKEND: 'none', ...env },
    });
    this.ended = once(this.child, 'exit');
    this.child.stdout?.on('data', (chunk: Buffer) => {
      this.out += chunk.toString();
    });
    this.child.stderr?.on('data', (chunk: Buffer) => {
      this.err += chunk.toString();
    });
    onTestFinished(async () => {
      this.child.kill('SIGKILL');
      await this.ended;
    });
  }

  async ready(): Promise<RunFile> {
    const answer = await waitFor(() => this.child.exitCode !== null || this.out.includes('Stop it with'), {
      timeoutMs: 60_000,
      what: 'Molecule to be ready',
    });
    if (!answer || this.child.exitCode !== null) throw new Error(`Molecule ended: ${this.out}${this.err}`);
    return runFile();
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const startedAt = performance.now();
    this.child.kill(signal);
    await this.ended;
    expect(performance.now() - startedAt).toBeLessThan(STOPS_WITHIN_MS);
    return this.child.exitCode;
  }
}

const runFile = (where = home): RunFile => JSON.parse(readFileSync(join(where, 'run.json'), 'utf8')) as RunFile;
const servers = () => ['postgres/postgres', 'nats/nats'].map((name) => readMark(join(home, `${name}.pid.json`)));
const lives = () => servers().map((mark) => mark !== undefined && isAlive(mark));
const isHealthy = async (url: string) => (await fetch(`${url}/health`)).ok;

describe('a start', () => {
  it('ends with six services that answer, a table, and a file that says where', async ({ promtool }) => {
    const molecule = new Molecule();
    const run = await molecule.ready();
    expect(await isHealthy(run.url)).toBe(true);
    expect(run).toMatchObject({ pid: molecule.child.pid, mode: 'development', backend: 'none' });
    expect(Object.keys(run.ports).sort()).toEqual(['a2a-proxy', 'gateway', 'provisioner', 'registry', 'scheduler', 'sweeper']);
    const health = (await (await fetch(`${run.url}/admin/health`)).json()) as { ready: boolean }[];
    expect(health.map(({ ready }) => ready)).toEqual([true, true, true, true, true, true]);

    const figures = await (await fetch(`${run.url}/metrics`)).text();
    expect(await promtool(figures)).toBe('');
    for (const service of Object.keys(run.ports)) expect(figures).toContain(`process_cpu_seconds{service="${service}"}`);
    for (const name of ['outbox', 'consumer', 'projection'])
      expect(figures).toMatch(new RegExp(`^molecule_${name}_lag_seconds\\{.*service="a2a-proxy"\\} [0-9.e-]+$`, 'm'));

    expect(molecule.out).toContain('DEVELOPMENT');
    const password = new URL(run.databaseUrl).password;
    expect(password).not.toBe('');
    for (const text of [molecule.out, molecule.err, readFileSync(run.logFile, 'utf8')]) expect(text).not.toContain(password);

    expect(lives()).toEqual([true, true]);
    expect(await molecule.stop()).toBe(0);
    expect(molecule.out).toContain('Molecule has stopped.');
    expect(servers()).toEqual([undefined, undefined]);
    for (const file of ['run.json', 'lock']) expect(existsSync(join(home, file))).toBe(false);
  });

  it('keeps its data over a restart, by Ctrl-C too', async () => {
    const first = new Molecule();
    const { url } = await first.ready();
    const answer = await fetch(`${url}/workspaces`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name: 'kept', runtime: 'external', external: true }),
    });
    expect(answer.status).toBe(201);
    expect(await first.stop('SIGINT')).toBe(0);

    const second = new Molecule();
    const again = await second.ready();
    const list = (await (await fetch(`${again.url}/workspaces`)).json()) as { name: string }[];
    expect(list.map(({ name }) => name)).toEqual(['kept']);
    expect(existsSync(again.logFile.replace('.log', '.1.log'))).toBe(true);
    await second.stop();
  });

  it('uses the servers it is given', async ({ postgresUrl, natsUrl }) => {
    const molecule = new Molecule({ DATABASE_URL: postgresUrl, NATS_URL: natsUrl });
    const run = await molecule.ready();
    expect(await isHealthy(run.url)).toBe(true);
    expect(existsSync(join(home, 'postgres'))).toBe(false);
    expect(existsSync(join(home, 'nats'))).toBe(false);
    expect(run.natsUrl).toBe(natsUrl);
    await molecule.stop();
  });
});

describe('a start that cannot be', () => {
  it('N1: names every mistake and starts nothing', async () => {
    const molecule = new Molecule({ PORT: '99999', LOG_LEVEL: 'loud', SWEEP_INTERVAL_SECONDS: 'often' });
    await molecule.ended;
    expect(molecule.child.exitCode).toBe(1);
    for (const name of ['PORT', 'LOG_LEVEL', 'SWEEP_INTERVAL_SECONDS']) expect(molecule.err).toContain(`${name}: got`);
    expect(existsSync(join(home, 'lock'))).toBe(false);
    expect(existsSync(join(home, 'postgres'))).toBe(false);
  });

  it('says that the port is taken', async () => {
    const taken = createServer();
    await new Promise<void>((listening) => taken.listen(0, '127.0.0.1', listening));
    onTestFinished(() => void taken.close());
    const { port } = taken.address() as { port: number };
    const molecule = new Molecule({ PORT: `${port}` });
    await molecule.ended;
    expect(molecule.child.exitCode).toBe(1);
    expect(molecule.err).toContain(`cannot listen on 127.0.0.1:${port}: the port is in use`);
  });

  it('says where the database is that does not answer, and stops when it is told to', async ({ natsUrl }) => {
    const port = await freePort();
    const molecule = new Molecule({ DATABASE_URL: `postgres://127.0.0.1:${port}/x`, NATS_URL: natsUrl });
    await waitFor(() => molecule.err.includes(`127.0.0.1:${port}`), { timeoutMs: 20_000, what: 'a word about the database' });
    await molecule.stop();
    expect(existsSync(join(home, 'lock'))).toBe(false);
  });
});

describe('N2: a second one', () => {
  it('is refused in the same directory, and told who is there', async () => {
    const first = new Molecule();
    await first.ready();
    const second = new Molecule();
    await second.ended;
    expect(second.child.exitCode).toBe(1);
    expect(second.err).toContain(`another Molecule (process ${first.child.pid})`);
    expect(await isHealthy(runFile().url)).toBe(true);
    await first.stop();
  });

  it('runs beside it in a directory of its own', async () => {
    const otherHome = join(home, 'other');
    const both = [new Molecule(), new Molecule({ MOLECULE_HOME: otherHome })];
    await both[0]?.ready();
    await waitFor(() => both[1]?.out.includes('Stop it with'), { timeoutMs: 60_000, what: 'the second Molecule' });
    expect(runFile().url).not.toBe(runFile(otherHome).url);
    expect(await Promise.all([runFile(), runFile(otherHome)].map(({ url }) => isHealthy(url)))).toEqual([true, true]);
    expect(await Promise.all(both.map((molecule) => molecule.stop()))).toEqual([0, 0]);
  });
});

describe('one that is killed', () => {
  it('leaves no servers behind, and the next one takes over', async () => {
    const killed = new Molecule();
    await killed.ready();
    const left = servers();
    killed.child.kill('SIGKILL');
    await killed.ended;

    const next = new Molecule();
    const run = await next.ready();
    expect(left.map((mark) => mark && isAlive(mark))).toEqual([false, false]);
    expect(await isHealthy(run.url)).toBe(true);
    expect(run.pid).toBe(next.child.pid);
    await next.stop();
  });

  it('stops with whoever holds a channel to it', async () => {
    const code = `const { spawn } = require('node:child_process');
      const child = spawn(process.execPath, [${JSON.stringify(join(import.meta.dirname, 'main.ts'))}], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
      process.on('SIGTERM', () => child.kill());`;
    const env = { PATH: process.env['PATH'], MOLECULE_HOME: home, PORT: '0', PROVISIONER_BACKEND: 'none' };
    const holder = spawn(process.execPath, ['-e', code], { stdio: 'ignore', env });
    onTestFinished(() => void holder.kill('SIGKILL'));
    await waitFor(() => existsSync(join(home, 'run.json')), { timeoutMs: 60_000, what: 'Molecule to be ready' });
    const molecule = markOf(runFile().pid);
    holder.kill('SIGKILL');
    await waitFor(() => molecule && !isAlive(molecule), { timeoutMs: STOPS_WITHIN_MS, what: 'Molecule to stop' });
    expect(existsSync(join(home, 'lock'))).toBe(false);
    expect(lives()).toEqual([false, false]);
  });
});

describe('a server that is killed under it', () => {
  it.for(['postgres/postgres', 'nats/nats'])('%s comes back, and Molecule with it', async (name) => {
    const molecule = new Molecule();
    const { url } = await molecule.ready();
    const mark = readMark(join(home, `${name}.pid.json`));
    if (mark === undefined) throw new Error(`${name} does not run`);
    process.kill(mark.pid, 'SIGKILL');
    await waitFor(() => readMark(join(home, `${name}.pid.json`))?.pid !== mark.pid, {
      timeoutMs: 20_000,
      what: `${name} to be started again`,
    });
    const ready = async () => {
      const answer = await fetch(`${url}/admin/health`);
      const services = answer.ok ? ((await answer.json()) as { ready: boolean }[]) : [];
      return services.length === 6 && services.every((service) => service.ready);
    };
    await waitFor(ready, { timeoutMs: 30_000, what: 'all six to be ready again' });
    expect(await molecule.stop()).toBe(0);
  });
});
