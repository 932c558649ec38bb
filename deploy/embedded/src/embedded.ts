/**
 * Molecule whole, in one process: the servers it stands on, then the six services, then a table of what runs where.
 *
 *   N1. Nothing is started before every setting was read and found good, and nothing is left behind by a start that fails.
 *   N2. One process per data directory.
 *   N3. What opened last closes first: the gateway, the services, the servers, the lock.
 */
import { createServer } from 'node:net';
import { ask, openBus } from '@molecule/bus';
import { ask as asks } from '@molecule/contracts';
import { isLoopback } from '@molecule/gateway';
import { bind, ConfigError, type Log, run, type Scope, withTenantSettings } from '@molecule/service';
import { type Home, keptInternalKey, openHome, removeRunFile, writeRunFile } from './home.ts';
import { takeLock } from './lock.ts';
import { openLog } from './log.ts';
import { report } from './report.ts';
import { openServers, withoutSecrets } from './servers.ts';
import { openServices } from './services.ts';
import { forServices, readSettings, type Settings } from './settings.ts';

/** How long closing may take before what is left is ended by force. */
const GRACE_MS = 9_500;

export interface MainOptions {
  /** Called once everything answers. */
  readonly onReady?: () => void;
}

/** Runs until it is told to stop. Resolves when everything is closed; the exit code is then in `process.exitCode`. */
export async function main(env: NodeJS.ProcessEnv, { onReady = () => undefined }: MainOptions = {}): Promise<void> {
  try {
    const tenant = await withTenantSettings(env);
    const settings = readSettings(tenant.env);
    await freeDoor(settings);
    const home = openHome(settings.MOLECULE_HOME);
    const unlock = takeLock(home);
    const log = openLog(home, settings.LOG_LEVEL);
    tenant.tell(log);
    stopWhenAlone();
    await run(
      log,
      async (scope) => {
        await start(settings, home, log, scope).catch((error: unknown) => {
          if (!scope.signal.aborted) complain(error);
          throw error;
        });
        onReady();
      },
      { graceMs: GRACE_MS },
    );
    unlock();
    say('Molecule has stopped.');
  } catch (error) {
    complain(error);
    process.exitCode = 1;
  }
}

async function start(settings: Settings, home: Home, log: Log, scope: Scope): Promise<void> {
  const startedAt = new Date();
  const { mode, env, LOG_LEVEL: level } = settings;
  removeRunFile(home);
  await scope.open(
    () => log,
    () => say('\nStopping …'),
  );
  say(settings.DATABASE_URL && settings.NATS_URL ? 'Starting Molecule …' : 'Starting the database and the bus …');
  const { database, bus } = await openServers(settings, home, log, scope);

  say('Starting the six services …');
  const internalKey = settings.MOLECULE_INTERNAL_KEY ?? keptInternalKey(home);
  const configs = forServices({ env, home: home.dir }, { databaseUrl: database.url, natsUrl: bus.url, internalKey });
  const services = await openServices(configs, { log, level }, scope);
  const ports = Object.fromEntries(Object.entries(services).map(([name, { port }]) => [name, port])) as Record<
    keyof typeof services,
    number
  >;
  const backend = await askBackend(bus.url, log);
  const url = `http://${hostForUrl(settings.HOST)}:${ports.gateway}`;

  await scope.open(
    () =>
      writeRunFile(home, {
        pid: process.pid,
        url,
        ports,
        databaseUrl: database.embedded ? database.url : withoutSecrets(database.url),
        natsUrl: bus.embedded ? bus.url : withoutSecrets(bus.url),
        backend,
        mode,
        logFile: home.logFile,
        startedAt: startedAt.toISOString(),
      }),
    () => removeRunFile(home),
  );
  say(
    report({
      url,
      ports,
      database: { title: database.title, address: withoutSecrets(database.url) },
      bus: { title: bus.title, address: withoutSecrets(bus.url) },
      backend,
      mode,
      adminTokenSet: configs.gateway.ADMIN_TOKEN !== undefined,
      home: home.dir,
      logFile: home.logFile,
      tookMs: performance.now(),
    }),
  );
}

/** A port that is taken is told before anything else is started. @throws CannotListen */
async function freeDoor({ PORT: port, HOST: host }: Settings): Promise<void> {
  if (port === 0) return;
  const probe = createServer();
  await bind(probe, { port, host });
  await new Promise((closed) => probe.close(closed));
}

async function askBackend(servers: string, log: Log): Promise<string> {
  const bus = await openBus({ servers, name: 'molecule', log });
  try {
    return (await ask(bus, asks.provisioner.backend, {})).backend;
  } finally {
    await bus.close();
  }
}

/** When the terminal is closed, or the bootstrap that holds a channel to us is killed, nobody could stop us any more. */
function stopWhenAlone(): void {
  let told = false;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => (told = true));
  const stop = () => {
    if (!told) process.kill(process.pid, 'SIGTERM');
  };
  process.on('SIGHUP', stop);
  if (!process.connected) return;
  process.once('disconnect', stop);
  process.channel?.unref();
}

/** An address that listens everywhere is reached, from here, by the loopback one. */
const hostForUrl = (host: string): string => {
  if (isLoopback(host) || (host !== '0.0.0.0' && host !== '::')) return host.includes(':') ? `[${host}]` : host;
  return '127.0.0.1';
};

function say(text: string): void {
  console.log(text);
}

function complain(error: unknown): void {
  const known = error instanceof ConfigError || (error instanceof Error && error.name !== 'Error' && error.name !== 'TypeError');
  console.error(`Molecule cannot start: ${error instanceof Error ? error.message : String(error)}`);
  if (!known && error instanceof Error && error.stack) console.error(error.stack.split('\n').slice(1, 4).join('\n'));
}
