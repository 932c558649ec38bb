/**
 * One JSON line per event, on stdout. Whatever is handed to a log line leaves without secrets (I10): values under
 * secret-looking keys, passwords in URLs, and bearer tokens in texts and in errors.
 */
import { pino } from 'pino';
import type { LogLevel } from './config.ts';

export type Log = pino.Logger;

export interface LogOptions {
  /** Left out where several services write through one logger: each names itself in its child. */
  readonly service?: string;
  readonly level: LogLevel;
  /** Which process of the service; one of several replicas. */
  readonly instance?: string;
  /** Where lines go; stdout unless a test wants to read them. */
  readonly destination?: pino.DestinationStream;
}

/** A logger. Lines are a constant message and an object. */
export function createLog({ service, level, instance, destination }: LogOptions): Log {
  const options: pino.LoggerOptions = {
    level,
    base: { ...(service !== undefined && { service }), ...(instance !== undefined && { instance }) },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: {
      level: (label) => ({ level: label }),
      log: (entry) => withoutSecrets(entry) as Record<string, unknown>,
    },
    serializers: { err: (error) => errorWithoutSecrets(error), error: (error) => errorWithoutSecrets(error) },
    hooks: {
      logMethod(args, method) {
        const [first, second] = args as [unknown, unknown];
        if (typeof first === 'string') args[0] = scrub(first);
        else if (typeof second === 'string') args[1] = scrub(second);
        // Without a message pino takes the error's, as it is.
        else if (second === undefined && errorIn(first)) args[1] = scrub(errorIn(first)?.message ?? '');
        method.apply(this, args);
      },
    },
  };
  const log = destination ? pino(options, destination) : pino(options);
  // pino does not format what a child is bound to; children inherit this.
  const { child } = log;
  Object.defineProperty(log, 'child', {
    value(this: Log, bindings: pino.Bindings, childOptions?: pino.ChildLoggerOptions) {
      return Reflect.apply(child, this, [withoutSecrets(bindings), childOptions]);
    },
  });
  return log;
}

const errorIn = (entry: unknown): Error | undefined => {
  const candidate = entry instanceof Error ? entry : (entry as { err?: unknown } | null | undefined)?.err;
  return candidate instanceof Error ? candidate : undefined;
};

const HIDDEN = '[hidden]';
const LEFT_OUT = '[left out]';
const MAX_DEPTH = 8;
const MAX_NODES = 1_000;

/** `token`, `auth_token`, `ADMIN_TOKEN`, `authorization`, `apiKey`, `clientSecret` … but not `tokenId`, nor a bare `key`. */
const SECRET_KEY =
  /authorization|cookie|password|passwd|secret|credential|(api|private|internal|encryption|signing)[-_]?key|database[-_]?url|tokens?$/i;

/**
 * The same value, with what looks secret replaced; copied only where something had to be. What is nested deeper, or holds
 * more, than a log line should is left out rather than let through unseen.
 */
function withoutSecrets(value: unknown, depth = 0, budget = { nodes: MAX_NODES }): unknown {
  if (typeof value === 'string') return scrub(value);
  if (value === null || typeof value !== 'object' || typeof (value as { toJSON?: unknown }).toJSON === 'function') return value;
  if (value instanceof Error) return depth === 0 ? value : errorWithoutSecrets(value, depth, budget);
  if (depth > MAX_DEPTH || --budget.nodes < 0) return LEFT_OUT;
  if (Array.isArray(value)) {
    const copy = value.map((item) => withoutSecrets(item, depth + 1, budget));
    return copy.some((item, index) => item !== value[index]) ? copy : value;
  }
  let copy: Record<string, unknown> | undefined;
  for (const [key, item] of Object.entries(value)) {
    const clean = cleanEntry(key, item, depth, budget);
    if (clean === item) continue;
    copy ??= { ...value };
    copy[key] = clean;
  }
  return copy ?? value;
}

function cleanEntry(key: string, item: unknown, depth: number, budget: { nodes: number }): unknown {
  if (SECRET_KEY.test(key) && (typeof item === 'string' || (typeof item === 'object' && item !== null))) return HIDDEN;
  // Errors at the first level belong to the serializer of their key.
  return depth === 0 && item instanceof Error ? item : withoutSecrets(item, depth + 1, budget);
}

function errorWithoutSecrets(error: unknown, depth = 0, budget = { nodes: MAX_NODES }): unknown {
  if (!(error instanceof Error)) return withoutSecrets(error, depth + 1, budget);
  return withoutSecrets({ ...pino.stdSerializers.err(error) }, depth + 1, budget);
}

const scrub = (text: string): string => {
  const clean = text.includes('@') && text.includes('://') ? text.replace(/(:\/\/)[^/\s@]+@/g, '$1…@') : text;
  return /bearer /i.test(clean) ? clean.replace(/(bearer) +[^\s"',}]+/gi, '$1 …') : clean;
};
