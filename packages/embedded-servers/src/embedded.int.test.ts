/** The servers that Molecule brings along start, are mended when killed, and are not left behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { createLog } from '@molecule/service';
import pg from 'pg';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { startNats } from './nats.ts';
import { startPostgres } from './postgres.ts';
import { endProcess, isAlive, markOf, type ProcessMark } from './process-mark.ts';

const log = createLog({ service: 'test', level: 'silent' });
const searchPath = process.env['PATH'] ?? '';
let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'molecule-embedded-'));
  chmodSync(dir, 0o755);
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

const query = async (connectionString: string, text: string): Promise<Record<string, unknown>[]> => {
  const client = new pg.Client({ connectionString });
  client.on('error', () => undefined);
  try {
    await client.connect();
    return (await client.query(text)).rows as Record<string, unknown>[];
  } finally {
    await client.end();
  }
};
const eventually = <Value>(work: () => Promise<Value>) => expect.poll(work, { timeout: 10_000, interval: 20 });
const marked = (pid: number | undefined): ProcessMark => {
  const mark = markOf(pid ?? -1);
  if (!mark) throw new Error('there is no such process');
  return mark;
};

describe('PostgreSQL', () => {
  const start = async () => {
    const server = await startPostgres({ dir, log });
    onTestFinished(() => server.stop());
    return server;
  };

  it('keeps what was committed over a restart, and its password to itself', async () => {
    const first = await start();
    await query(first.url, 'create table kept (value int); insert into kept values (7)');
    const settings = await query(
      first.url,
      "select setting from pg_settings where name in ('fsync', 'listen_addresses') order by name",
    );
    expect(settings).toEqual([{ setting: 'on' }, { setting: '127.0.0.1' }]);
    await first.stop();
    expect(statSync(join(dir, 'password')).mode & 0o777).toBe(0o600);

    const second = await start();
    expect(await query(second.url, 'select value from kept')).toEqual([{ value: 7 }]);
    const wrong = Object.assign(new URL(second.url), { password: 'guessed' }).href;
    await expect(query(wrong, 'select 1')).rejects.toThrow('password authentication failed');
  });

  it('S4: comes back on the same port when it is killed', async () => {
    const server = await start();
    const killed = marked(server.pid);
    await endProcess(killed, 'SIGKILL', 1_000);
    await eventually(() => query(server.url, 'select 1 as one').catch((error: Error) => error.message)).toEqual([{ one: 1 }]);
    expect(server.pid).not.toBe(killed.pid);
  });

  it('P1: takes no half-made data directory for a whole one', async () => {
    mkdirSync(join(dir, 'unfinished-1', 'data'), { recursive: true });
    writeFileSync(join(dir, 'unfinished-1', 'data', 'PG_VERSION'), '18');
    const server = await start();
    expect(await query(server.url, 'select current_database() as name')).toEqual([{ name: 'molecule' }]);
    expect(existsSync(join(dir, 'unfinished-1'))).toBe(false);
  });

  it('starts below a directory that only we may enter', async () => {
    chmodSync(dir, 0o700);
    const server = await start();
    expect(await query(server.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  it('says which version a data directory needs', async () => {
    mkdirSync(join(dir, 'data'));
    writeFileSync(join(dir, 'data', 'PG_VERSION'), '15');
    await expect(start()).rejects.toThrow('was written by PostgreSQL 15');
  });
});

describe('nats-server', () => {
  const start = async () => {
    const server = await startNats({ dir, log, searchPath });
    onTestFinished(() => server.stop());
    return server;
  };

  it('S4: comes back on the same port when it is killed', async () => {
    const server = await start();
    const killed = marked(server.pid);
    await endProcess(killed, 'SIGKILL', 1_000);
    await eventually(async () => server.pid !== undefined && server.pid !== killed.pid && markOf(server.pid) !== undefined).toBe(
      true,
    );
    expect(new URL(server.url).port).toMatch(/^\d+$/);
  });

  it('says what it wrote when it cannot start', async () => {
    mkdirSync(join(dir, 'store'));
    writeFileSync(join(dir, 'store', 'jetstream'), 'a file where a directory must be');
    await expect(start()).rejects.toThrow(/nats-server ended .*\. The end of .*nats\.log:\n.*/s);
  });
});

describe('a parent that is killed', () => {
  const parent = async (environment: NodeJS.ProcessEnv = {}) => {
    const child = spawn(process.execPath, [join(import.meta.dirname, 'parent.fixture.ts'), dir], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...environment },
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const [line] = (await once(createInterface(child.stdout), 'line')) as [string];
    const { nats, postgres } = JSON.parse(line) as { nats: number; postgres: number };
    return { child, servers: [marked(nats), marked(postgres)] };
  };
  const kill = async ({ child }: Awaited<ReturnType<typeof parent>>) => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  };

  it('S2: takes its servers along', async () => {
    const killed = await parent();
    await kill(killed);
    await eventually(async () => killed.servers.map(isAlive)).toEqual([false, false]);
  });

  it('S1: leaves none when the next one has started, even without a watcher', async () => {
    const killed = await parent({ WITHOUT_WATCHERS: '1' });
    await kill(killed);
    expect(killed.servers.map(isAlive)).toEqual([true, true]);
    const next = await parent();
    expect(killed.servers.map(isAlive)).toEqual([false, false]);
    expect(next.servers.map(isAlive)).toEqual([true, true]);
    await kill(next);
    await eventually(async () => next.servers.map(isAlive)).toEqual([false, false]);
  });
});
