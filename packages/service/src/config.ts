/**
 * Configuration, read once at the door (D11): every mistake in one message, no secret value in it (I10).
 *
 * A service's `config.ts` is one `z.object` made of `configPieces`; only `main.ts` hands it the real environment.
 */
import { z } from 'zod';

/** The environment is not a valid configuration. `message` lists every mistake, one per line. */
export class ConfigError extends Error {
  readonly mistakes: readonly string[];

  constructor(mistakes: readonly string[]) {
    super(`the environment is not a valid configuration:\n${mistakes.map((mistake) => `  ${mistake}`).join('\n')}`);
    this.mistakes = mistakes;
  }

  override get name(): string {
    return 'ConfigError';
  }
}

/** Names whose value is never shown, whatever it is. */
const SECRET_NAME = /token|secret|password|passwd|key|credential|database_url|dsn/i;
const MAX_SHOWN = 80;

/**
 * Reads a process's configuration, or reports every mistake in it at once.
 * `''` counts as not set: compose files and shells spell it so.
 *
 * @throws ConfigError
 */
export function readConfig<Schema extends z.ZodType>(schema: Schema, env: NodeJS.ProcessEnv): z.infer<Schema> {
  const set = Object.fromEntries(Object.entries(env).filter(([, value]) => value !== undefined && value !== ''));
  const result = schema.safeParse(set);
  if (result.success) return result.data;

  const mistakes = result.error.issues.map((issue) => {
    const name = issue.path.map(String).join('.') || '(environment)';
    return `${name}: got ${shown(name, set[name])}; allowed: ${allowed(schema, issue)}`;
  });
  throw new ConfigError([...new Set(mistakes)]);
}

function shown(name: string, value: string | undefined): string {
  if (value === undefined) return 'nothing';
  if (SECRET_NAME.test(name)) return 'a value that is not shown';
  // What stands before an `@` may be a password.
  const harmless = value.replace(/[^/\s]*@/g, '…@');
  return JSON.stringify(harmless.length > MAX_SHOWN ? `${harmless.slice(0, MAX_SHOWN)}…` : harmless);
}

/** What the schema of that name says of itself, else what the check that failed says. */
function allowed(schema: z.ZodType, issue: z.core.$ZodIssue): string {
  // A rule over several settings, with a text of its own.
  if (issue.code === 'custom' && issue.message !== 'Invalid input') return issue.message;
  const field = schema instanceof z.ZodObject ? (schema.shape[String(issue.path[0])] as z.ZodType | undefined) : undefined;
  const description = field && describe(field);
  if (description) return description;
  if (issue.code === 'invalid_value') return issue.values.map(String).join(', ');
  return issue.message;
}

/** The nearest `.describe()` text: on the schema itself, or inside its defaults, optionals and pipes. */
function describe(schema: z.ZodType): string | undefined {
  for (let current: z.ZodType | undefined = schema; current; ) {
    if (current.description) return current.description;
    const { innerType, in: input } = current.def as { innerType?: z.ZodType; in?: z.ZodType };
    current = innerType ?? input;
  }
  return undefined;
}

export type Mode = 'development' | 'default' | 'production';

const MODES: Readonly<Record<string, Mode>> = {
  development: 'development',
  dev: 'development',
  production: 'production',
  prod: 'production',
};

/** What `MOLECULE_ENV` means (spec 1 §4.5, design §7): trimmed, case-insensitive; anything unknown is the default mode. */
export const modeOf = (env: string | undefined): Mode => MODES[(env ?? '').trim().toLowerCase()] ?? 'default';

export const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

const number = (allows: string, check: (value: number) => boolean) =>
  z
    .string()
    .transform((text) => (/^[+-]?(\d+\.?\d*|\.\d+)$/.test(text.trim()) ? Number(text) : Number.NaN))
    .refine((value) => Number.isFinite(value) && check(value))
    .describe(allows);

const port = (fallback: number) =>
  number('a port, 0 to 65535; 0 takes any free one', (value) => Number.isInteger(value) && value >= 0 && value <= 65_535).default(
    fallback,
  );
const seconds = (fallback: number) => number('a number of seconds above 0', (value) => value > 0).default(fallback);
const hours = (fallback: number) =>
  number('a number of hours above 0, 8760 at most', (value) => value > 0 && value <= 8_760).default(fallback);
const milliseconds = (fallback: number) => number('a number of milliseconds above 0', (value) => value > 0).default(fallback);
const count = (fallback: number) =>
  number('a whole number, 1 or more', (value) => Number.isInteger(value) && value >= 1).default(fallback);

/** A whole number above 0; whatever else is there counts as nothing, as the wire contract has it for these. */
const lenientCount = (fallback: number) =>
  z
    .string()
    .optional()
    .transform((given) => (given !== undefined && /^\s*\+?\d+\s*$/.test(given) && Number(given) > 0 ? Number(given) : fallback));

/** `1/t/true` (in any of the usual spellings) is on; everything else, also what cannot be understood, is off (I9). */
const flag = z
  .string()
  .transform((text) => ['1', 't', 'T', 'true', 'True', 'TRUE'].includes(text.trim()))
  .default(false);

const url = (protocols: readonly string[], example: string) =>
  z
    .string()
    .refine((text) =>
      text.split(',').every((part) => URL.canParse(part.trim()) && protocols.includes(new URL(part.trim()).protocol)),
    )
    .describe(`a URL such as ${example}`);

/** Where the replicas of a service answer: base URLs, separated by commas; read as a list. */
const serviceUrls = (fallback: string) =>
  url(['http:', 'https:'], 'http://127.0.0.1:8082,http://10.0.0.2:8082')
    .default(fallback)
    .transform((text) => text.split(',').map((part) => part.trim()));

/** Pieces that the services' `config.ts` share. Those that are functions take the default. */
export const configPieces = {
  port,
  seconds,
  hours,
  milliseconds,
  count,
  lenientCount,
  flag,
  serviceUrls,
  /** One server, perhaps with a path that goes before every other. */
  httpUrl: z
    .string()
    .refine((text) => URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol))
    .describe('a URL such as https://control-plane.example'),
  host: z.string().default('127.0.0.1'),
  /** May list several servers, separated by commas. */
  natsUrl: url(['nats:', 'tls:', 'ws:', 'wss:'], 'nats://127.0.0.1:4222').default('nats://127.0.0.1:4222'),
  databaseUrl: url(['postgres:', 'postgresql:'], 'postgres://user:password@127.0.0.1:5432/molecule'),
  logLevel: z.enum(LOG_LEVELS).describe(LOG_LEVELS.join(', ')).default('info'),
  /** Any text; `modeOf` says what it means. */
  moleculeEnv: z.string().default(''),
  /** Signs what the gateway and the services tell each other of a request (design §7). */
  internalKey: z.string().min(32).describe('at least 32 characters, the same for every service'),
} as const;
