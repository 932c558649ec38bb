/**
 * What the environment says, read once for all six services, with every mistake in one message (D11).
 *
 * The services get the settings they know, and what only this process can tell: where PostgreSQL and NATS came up, the key
 * they share, that each listens on a free loopback port. Their schemas check the rest, each in its own words.
 */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { ConfigError, configPieces, type Mode, modeOf, readConfig } from '@molecule/service';
import { z } from 'zod';
import { CONFIGS, type Composed } from './services.ts';

const ROOT = join(import.meta.dirname, '../../..');

const directory = z
  .string()
  .refine((path) => existsSync(path))
  .describe('a directory that exists')
  .optional();

export const Embedded = z.object({
  HOST: configPieces.host,
  PORT: configPieces.port(8080),
  MOLECULE_ENV: configPieces.moleculeEnv,
  MOLECULE_HOME: z.string().default(join(ROOT, '.molecule')),
  MOLECULE_INTERNAL_KEY: configPieces.internalKey.optional(),
  DATABASE_URL: configPieces.databaseUrl.optional(),
  NATS_URL: configPieces.natsUrl.unwrap().optional(),
  LOG_LEVEL: configPieces.logLevel,
  ORG_TEMPLATES_DIR: directory,
  CONFIGS_DIR: directory,
  PATH: z.string().default(''),
});

export interface Settings extends Omit<z.infer<typeof Embedded>, 'MOLECULE_ENV'> {
  readonly mode: Mode;
  /** What the services read, without what `forServices` adds. */
  readonly env: NodeJS.ProcessEnv;
}

/** What is known only once the servers run. */
export interface Found {
  readonly databaseUrl: string;
  readonly natsUrl: string;
  readonly internalKey: string;
}

/** Stand in for what is not known yet, so that everything else can be checked before anything is started. */
const UNKNOWN: Found = {
  databaseUrl: 'postgres://127.0.0.1/molecule',
  natsUrl: 'nats://127.0.0.1',
  internalKey: 'not known before the data directory is open',
};

/** @throws ConfigError that names every mistake of every service */
export function readSettings(given: NodeJS.ProcessEnv): Settings {
  // Absent is what `npm start` on a laptop is; present and empty is somebody's decision for the default mode (design §7).
  const env = { ...given, MOLECULE_ENV: given['MOLECULE_ENV'] ?? 'development' };
  const mistakes = new Set<string>();
  const attempt = <Value>(read: () => Value): Value | undefined => {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      for (const mistake of error.mistakes) mistakes.add(mistake);
      return undefined;
    }
  };
  const own = attempt(() => readConfig(Embedded, env));
  const home = resolve(own?.MOLECULE_HOME ?? '.');
  attempt(() => forServices({ env, home }, UNKNOWN, attempt));
  if (own === undefined || mistakes.size > 0) throw new ConfigError([...mistakes]);
  return { ...own, MOLECULE_HOME: home, mode: modeOf(own.MOLECULE_ENV), env: { ...env, MOLECULE_HOME: home } };
}

/** Reads each service's configuration out of the one environment. @throws ConfigError */
export function forServices(
  { env, home }: { readonly env: NodeJS.ProcessEnv; readonly home: string },
  { databaseUrl, natsUrl, internalKey }: Found,
  attempt: <Value>(read: () => Value) => Value | undefined = (read) => read(),
): Composed {
  const shared = {
    ...env,
    MOLECULE_HOME: home,
    DATABASE_URL: databaseUrl,
    NATS_URL: natsUrl,
    MOLECULE_INTERNAL_KEY: internalKey,
    OPS_PORT: '0',
  };
  const behind = { ...shared, HOST: '127.0.0.1', PORT: '0', GATEWAY_HOST: env['HOST'] };
  const read = <Schema extends z.ZodType>(schema: Schema, from: NodeJS.ProcessEnv) =>
    attempt(() => readConfig(schema, from)) as z.infer<Schema>;
  return {
    gateway: read(CONFIGS.gateway, shared),
    registry: read(CONFIGS.registry, behind),
    'a2a-proxy': read(CONFIGS['a2a-proxy'], behind),
    scheduler: read(CONFIGS.scheduler, behind),
    provisioner: read(CONFIGS.provisioner, behind),
    sweeper: read(CONFIGS.sweeper, behind),
  };
}
