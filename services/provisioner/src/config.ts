/** Everything the provisioner reads from its environment; nothing else in the service looks there. */
import { configPieces } from '@molecule/service';
import { z } from 'zod';

const text = z.string().default('');

const Images = z
  .string()
  .default('{}')
  .transform((given, context) => {
    try {
      return z.record(z.string(), z.string().min(1)).parse(JSON.parse(given));
    } catch {
      context.addIssue({ code: 'custom', message: 'a JSON object of runtime names and images' });
      return z.NEVER;
    }
  });

export const Config = z.object({
  NATS_URL: configPieces.natsUrl,
  DATABASE_URL: configPieces.databaseUrl,
  LOG_LEVEL: configPieces.logLevel,
  MOLECULE_INTERNAL_KEY: configPieces.internalKey,
  HOST: configPieces.host,
  PORT: configPieces.port(8084),
  OPS_PORT: configPieces.port(9084),
  /** Where installations keep their data; workspaces of the process backend live in it. */
  MOLECULE_HOME: z.string().default('.molecule'),
  /** Names this installation on everything it makes; unset, `<MOLECULE_HOME>/installation` says it, and is made. */
  MOLECULE_INSTALLATION: z
    .string()
    .regex(/^[A-Za-z0-9_-]+$/)
    .describe('letters, digits, - and _')
    .optional(),
  PROVISIONER_BACKEND: z.enum(['auto', 'docker', 'process', 'none']).describe('auto, docker, process, none').default('auto'),
  /** Where agents reach the gateway, when it is not the default of the backend. */
  AGENT_PLATFORM_URL: text,
  /** The name of the specification for the same. */
  PLATFORM_URL: text,
  /** Where the gateway listens, for those defaults. */
  GATEWAY_HOST: z.string().default('127.0.0.1'),
  GATEWAY_PORT: configPieces.port(8080),
  /** Templates of workspaces; unset, those that come with Molecule. */
  CONFIGS_DIR: text,
  /** Templates of organisations, and the manifest that lists the runtimes; unset, both are looked for in the usual places. */
  ORG_TEMPLATES_DIR: text,
  WORKSPACE_MANIFEST_PATH: text,
  /** A directory of the host that workspaces without one of their own work in. */
  WORKSPACE_DIR: text,
  AWARENESS_URL: text,
  /** Starts at a time. */
  PROVISION_CONCURRENCY: configPieces.count(4),
  /** Chat files on their way in, at a time. Each may take 50 MiB of the disk meanwhile. */
  UPLOADS_AT_ONCE: configPieces.count(16),
  /** Chat files on their way out, at a time. Each may take 32 MiB of the disk meanwhile. */
  DOWNLOADS_AT_ONCE: configPieces.count(64),
  /** Whether agents that are processes end with the platform (they are started again with it), or stay. */
  AGENTS_ON_STOP: z.enum(['stop', 'leave']).describe('stop, leave').default('stop'),
  /** Handed on to every agent, in seconds. */
  HEARTBEAT_INTERVAL_SECONDS: z.string().optional(),

  DOCKER_HOST: z.string().optional(),
  DOCKER_TLS_VERIFY: z.string().optional(),
  DOCKER_CERT_PATH: z.string().optional(),
  DOCKER_API_VERSION: z.string().optional(),
  /** The network of the containers. `host` is the machine's own. Unset: see `dockerNetwork`. */
  MOLECULE_DOCKER_NETWORK: text,
  /** Images of our own, by runtime: `{"echo":"registry/echo:1"}`. */
  WORKSPACE_IMAGES: Images,
  MOLECULE_IMAGE_PLATFORM: z.string().optional(),
  TIER2_MEMORY_MB: configPieces.lenientCount(512),
  TIER3_MEMORY_MB: configPieces.lenientCount(2048),
  TIER4_MEMORY_MB: configPieces.lenientCount(4096),
  TIER2_CPU_SHARES: configPieces.lenientCount(1024),
  TIER3_CPU_SHARES: configPieces.lenientCount(2048),
  TIER4_CPU_SHARES: configPieces.lenientCount(4096),

  // What an agent that is a process inherits, and nothing else.
  PATH: z.string().optional(),
  LANG: z.string().optional(),
  LC_ALL: z.string().optional(),
  TZ: z.string().optional(),
  TMPDIR: z.string().optional(),
  HTTP_PROXY: z.string().optional(),
  HTTPS_PROXY: z.string().optional(),
  NO_PROXY: z.string().optional(),
  NODE_EXTRA_CA_CERTS: z.string().optional(),
});
export type Config = z.infer<typeof Config>;
