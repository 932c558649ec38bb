/**
 * nats-server with JetStream as our child, on the loopback interface. Its configuration is written for the version that is
 * found: an unknown key keeps an older server from starting (limits §3, trap 11).
 */
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join, resolve } from 'node:path';
import type { Log } from '@molecule/service';
import { findNatsServer, type WhereToLook } from './find-nats.ts';
import { freePort } from './ports.ts';
import { type EmbeddedServer, Supervised } from './supervised.ts';

export interface EmbeddedNats extends EmbeddedServer {
  readonly version: string;
}

export interface NatsOptions extends WhereToLook {
  /** Everything it keeps is below this directory; made when it is not there. */
  readonly dir: string;
  readonly log: Log;
  /** Default: one that is free. */
  readonly port?: number;
  /** No password: for tests. */
  readonly open?: boolean;
}

const USER = 'molecule';

/** Starts it and resolves when it answers and JetStream is on. @throws NatsServerMissing, Error with the end of its output. */
export async function startNats({ dir: given, log, port: wanted, open = false, ...where }: NatsOptions): Promise<EmbeddedNats> {
  const { command, version } = await findNatsServer(where);
  const dir = resolve(given);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const port = wanted ?? (await freePort());
  const password = open ? undefined : keptPassword(join(dir, 'password'));
  const configFile = join(dir, 'nats.conf');
  writeFileSync(configFile, natsConfig({ version, port, storeDir: join(dir, 'store'), password }), { mode: 0o600 });

  const server = await Supervised.start({
    title: 'nats-server',
    command,
    args: ['-c', configFile],
    options: { cwd: '/', env: {} },
    pidFile: join(dir, 'nats.pid.json'),
    logFile: join(dir, 'nats.log'),
    stopSignal: 'SIGINT',
    answers: () => answers(port),
    log,
  });
  return {
    url: `nats://${password === undefined ? '' : `${USER}:${password}@`}127.0.0.1:${port}`,
    version,
    get pid() {
      return server.pid;
    },
    stop: () => server.stop(),
  };
}

export interface NatsConfig {
  readonly version: string;
  readonly port: number;
  readonly storeDir: string;
  readonly password: string | undefined;
}

/** The configuration that this version understands. */
export const natsConfig = ({ version, port, storeDir, password }: NatsConfig): string =>
  [
    'server_name: molecule',
    `listen: "127.0.0.1:${port}"`,
    'max_payload: 1MB',
    `jetstream { store_dir: ${JSON.stringify(storeDir)} }`,
    ...(password === undefined ? [] : [`authorization { user: ${USER}, password: ${JSON.stringify(password)} }`]),
    // One stopped subscriber must not slow down every publisher to a tenth (limits §2, §3 trap 8).
    ...(isAtLeast(version, [2, 10, 27]) ? ['no_fast_producer_stall: true'] : []),
    '',
  ].join('\n');

/** Whether `version` is that release or a later one; what follows the numbers does not count. */
export function isAtLeast(version: string, [major, minor, patch]: readonly [number, number, number]): boolean {
  const [a = 0, b = 0, c = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  return a !== major ? a > major : b !== minor ? b > minor : c >= patch;
}

function keptPassword(file: string): string {
  if (existsSync(file)) return readFileSync(file, 'utf8').trim();
  // Begins with a letter: in NATS's configuration a value that looks like a number would be one.
  const password = `p${randomBytes(24).toString('hex')}`;
  writeFileSync(`${file}.new`, password, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  return password;
}

/** A server introduces itself to whoever connects, with `INFO {…}`. */
function answers(port: number): Promise<void> {
  return new Promise((answered, failed) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.setTimeout(2_000, () => socket.destroy(new Error('no answer')));
    let text = '';
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString();
      if (!text.includes('\r\n')) return;
      socket.destroy();
      if (/^INFO .*"jetstream":true/.test(text)) answered();
      else failed(new Error('JetStream is not on'));
    });
    socket.on('error', failed);
    socket.on('close', () => failed(new Error('the connection was closed')));
  });
}
