/** The servers of a test run: those that CI or a developer already has, else our own, in a directory of their own. */
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type EmbeddedNats, isAlive, markOf, NatsServerMissing, readMark, startNats } from '@molecule/embedded-servers';
import { createLog, type Log } from '@molecule/service';

export { freePort } from '@molecule/embedded-servers';

/** Silent, unless `TEST_LOG_LEVEL` says otherwise. */
export const testLog = (): Log =>
  createLog({ service: 'test', level: (process.env['TEST_LOG_LEVEL'] as 'debug' | undefined) ?? 'silent' });

const RUNS = join(tmpdir(), 'molecule-tests');
const OWNER = 'owner.json';

/** A new directory below the system's temporary one; `remove` deletes it. What killed runs left behind is deleted too. */
export function temporaryDir(): { readonly dir: string; remove(): void } {
  mkdirSync(RUNS, { recursive: true });
  for (const name of readdirSync(RUNS)) {
    const owner = readMark(join(RUNS, name, OWNER));
    if (owner && !isAlive(owner)) rmSync(join(RUNS, name), { recursive: true, force: true, maxRetries: 3 });
  }
  const dir = join(RUNS, randomBytes(6).toString('hex'));
  mkdirSync(dir);
  chmodSync(dir, 0o755); // PostgreSQL may have to run as another user
  writeFileSync(join(dir, OWNER), JSON.stringify(markOf(process.pid)));
  return {
    dir,
    remove: () => {
      if (existsSync(dir)) rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** What a test cannot have here: why not, and whether that is a failure (CI) or a reason to skip. */
export class Missing extends Error {
  readonly failsRun = process.env['CI'] === 'true' || process.env['CI'] === '1';
}

/** An empty nats-server with JetStream, or the one that `TEST_NATS_URL` names. @throws Missing */
export async function natsForTest(dir: string, port?: number): Promise<EmbeddedNats> {
  try {
    return await startNats({ dir, log: testLog(), open: true, ...toolPlaces(), ...(port === undefined ? {} : { port }) });
  } catch (error) {
    throw error instanceof NatsServerMissing ? new Missing(error.message, { cause: error }) : error;
  }
}

/** Where a started program looks for others. */
const toolPlaces = () => ({ searchPath: process.env['PATH'] ?? '', binDir: join(process.cwd(), '.molecule', 'bin') });
