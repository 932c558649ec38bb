/** What a runtime reads from its environment (spec 4 §1.2), all mistakes told at once. Nothing else looks there. */
import { networkInterfaces } from 'node:os';
import { z } from 'zod';

const port = z.coerce.number().int().min(0).max(65_535);
const url = z.string().transform((text) => text.replace(/\/+$/, ''));

const Environment = z.object({
  WORKSPACE_ID: z.string({ error: 'must be set: the id of the workspace this agent works in' }),
  /** Base of the gateway, without a slash at the end. */
  PLATFORM_URL: url.optional(),
  DOCKER_VERSION: z.string().optional(),
  /** Where `config.yaml` is. */
  WORKSPACE_CONFIG_PATH: z.string().default('/configs'),
  /** Where `.auth_token` is. */
  CONFIGS_DIR: z.string().default('/configs'),
  /** Where the agent works (our addition; containers mount it here). */
  WORKSPACE_PATH: z.string().default('/workspace'),
  /** A built-in adapter's name, a path, or a package that exports `Adapter`. */
  ADAPTER_MODULE: z.string().default('echo'),
  /** Overrides `a2a.port`; 0 is any free port (our addition). */
  A2A_PORT: port.optional(),
  A2A_HOST: z.string().default('0.0.0.0'),
  /** When listening, `{"pid","port","url"}` is written here (our addition: the process backend waits for it). */
  A2A_READY_FILE: z.string().optional(),
  HOSTNAME: z.string().optional(),
  /** What to register as, when the address as seen from here is not it (our addition). */
  AGENT_SELF_URL: url.optional(),
  /** The endpoint written to AGENTS.md. */
  AGENT_URL: z.string().optional(),
  MODEL_PROVIDER: z.string().optional(),
  HEARTBEAT_INTERVAL_SECONDS: z.coerce.number().positive().max(3600).default(30),
});

export interface Settings {
  readonly workspaceId: string;
  readonly platformUrl: string;
  readonly configPath: string;
  readonly configsDir: string;
  readonly workspacePath: string;
  readonly adapterModule: string;
  readonly a2aPort: number | undefined;
  readonly a2aHost: string;
  readonly readyFile: string | undefined;
  readonly selfUrl: (port: number) => string;
  readonly agentUrl: string | undefined;
  readonly modelProvider: string | undefined;
  readonly heartbeatIntervalMs: number;
}

/** Throws an `Error` that lists every mistake, by name. `inContainer`: `/.dockerenv` exists. */
export function readSettings(env: NodeJS.ProcessEnv, inContainer: boolean): Settings {
  const result = Environment.safeParse(Object.fromEntries(Object.entries(env).filter(([, value]) => value !== '')));
  if (!result.success) {
    const mistakes = result.error.issues.map((issue) => `  ${issue.path.join('.')}: ${issue.message}`);
    throw new Error(`the environment is not a valid configuration:\n${mistakes.join('\n')}`);
  }
  const given = result.data;
  const inside = inContainer || given.DOCKER_VERSION !== undefined;
  return {
    workspaceId: given.WORKSPACE_ID,
    platformUrl: given.PLATFORM_URL ?? (inside ? 'http://host.docker.internal:8080' : 'http://localhost:8080'),
    configPath: given.WORKSPACE_CONFIG_PATH,
    configsDir: given.CONFIGS_DIR,
    workspacePath: given.WORKSPACE_PATH,
    adapterModule: given.ADAPTER_MODULE,
    a2aPort: given.A2A_PORT,
    a2aHost: given.A2A_HOST,
    readyFile: given.A2A_READY_FILE,
    selfUrl: (listening) => given.AGENT_SELF_URL ?? `http://${selfHost(given.A2A_HOST, given.HOSTNAME)}:${listening}`,
    agentUrl: given.AGENT_URL,
    modelProvider: given.MODEL_PROVIDER,
    heartbeatIntervalMs: given.HEARTBEAT_INTERVAL_SECONDS * 1000,
  };
}

/** The one address listened on, else HOSTNAME, else the machine's own address (spec 4 §1.2). */
function selfHost(listensOn: string, hostname: string | undefined): string {
  if (listensOn !== '0.0.0.0' && listensOn !== '::') return listensOn.includes(':') ? `[${listensOn}]` : listensOn;
  const outbound = Object.values(networkInterfaces())
    .flatMap((addresses) => addresses ?? [])
    .find(({ family, internal }) => family === 'IPv4' && !internal);
  return hostname ?? outbound?.address ?? '127.0.0.1';
}
