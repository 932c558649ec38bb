/** Finds a `nats-server` on this machine and tells its version. Getting one is the bootstrap script's business. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';

export interface FoundNats {
  readonly command: string;
  readonly version: string;
}

export interface WhereToLook {
  /** Like `PATH`. */
  readonly searchPath?: string;
  /** A directory of our own, where the bootstrap script puts what it downloads. */
  readonly binDir?: string;
}

/** Debian keeps servers where a user's `PATH` does not look. */
const USUAL_PLACES = ['/usr/sbin', '/usr/local/sbin', '/usr/bin', '/usr/local/bin', '/opt/homebrew/bin'];

export class NatsServerMissing extends Error {
  constructor() {
    super(
      [
        'nats-server was not found on this machine. Get it by one of these, then start again:',
        '  Debian, Ubuntu:  sudo apt-get install nats-server',
        '  macOS:           brew install nats-server',
        '  any:             node scripts/bootstrap.mjs prepare   (downloads the official release)',
        'or set NATS_URL to a server of your own (with JetStream).',
      ].join('\n'),
    );
  }

  override get name(): string {
    return 'NatsServerMissing';
  }
}

/** The first one that runs: on the path, then in `binDir`, then in the usual places. @throws NatsServerMissing */
export async function findNatsServer({ searchPath = '', binDir }: WhereToLook = {}): Promise<FoundNats> {
  const places = [...searchPath.split(delimiter), ...(binDir === undefined ? [] : [binDir]), ...USUAL_PLACES];
  for (const place of new Set(places.filter((place) => place !== ''))) {
    const command = join(place, 'nats-server');
    const version = await versionOf(command);
    if (version !== undefined) return { command, version };
  }
  throw new NatsServerMissing();
}

async function versionOf(command: string): Promise<string | undefined> {
  try {
    await access(command, constants.X_OK);
    const { stdout } = await promisify(execFile)(command, ['--version'], { timeout: 5_000 });
    return /v?(\d+\.\d+\.\d+\S*)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}
