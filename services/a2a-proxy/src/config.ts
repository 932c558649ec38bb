/** Everything the a2a-proxy reads from its environment; nothing else in the service looks there. */
import { configPieces } from '@molecule/service';
import { z } from 'zod';

export const Config = z.object({
  NATS_URL: configPieces.natsUrl,
  DATABASE_URL: configPieces.databaseUrl,
  LOG_LEVEL: configPieces.logLevel,
  MOLECULE_INTERNAL_KEY: configPieces.internalKey,
  HOST: configPieces.host,
  PORT: configPieces.port(8082),
  OPS_PORT: configPieces.port(9082),
  /** `development`, `production`, or anything else for the default mode. */
  MOLECULE_ENV: configPieces.moleculeEnv,
  /** Which addresses may be dialled (spec 2 §1.6). */
  MOLECULE_DEPLOY_MODE: z.string().default(''),
  MOLECULE_ORG_ID: z.string().default(''),
  /** Whether the platform itself runs in a container; what is not understood is found out (spec 2 §1.5). */
  MOLECULE_IN_DOCKER: z.string().default(''),
  /** Seconds without any event of the workspace after which a call is given up; what is not understood is 300, with a warning. */
  A2A_IDLE_TIMEOUT_SECONDS: z.string().default(''),
  /** How long activity is kept, and how often what is older goes; what is not understood is 7 and 6. */
  ACTIVITY_RETENTION_DAYS: z.string().default(''),
  ACTIVITY_CLEANUP_INTERVAL_HOURS: z.string().default(''),
  /** A workspace that has been silent for this long no longer counts as having declared anything, in seconds. */
  LIVENESS_LEASE_SECONDS: configPieces.seconds(180),
  /** What replies of agents may take while they are read, all together, in MiB; the largest of them is broken off then. */
  A2A_REPLY_MEMORY_MIB: configPieces.count(256),
  /** How many messages may wait for one workspace. */
  A2A_MAILBOX_LIMIT: configPieces.count(1_000),
  /** How long a message may wait before it is dropped, in seconds; absent, for ever. */
  A2A_MAILBOX_TTL_SECONDS: configPieces.seconds(1).removeDefault().optional(),
  /** How many calls of agents to agents may lead to one another. */
  A2A_MAX_DEPTH: configPieces.count(16),
  /** How many delegations one process carries out at once; what is beyond waits in the database. */
  A2A_DELEGATIONS_AT_ONCE: configPieces.count(200),
  /** How many delegations of one workspace may wait to be begun. */
  A2A_DELEGATIONS_LIMIT: configPieces.count(1_000),
  /** A process that has not said for this long that it lives is taken over from, in seconds. */
  A2A_WORKER_LEASE_SECONDS: configPieces.seconds(9),
  /** A client that takes nothing of its stream for this long loses it, in seconds. */
  A2A_STREAM_STALL_SECONDS: configPieces.seconds(30),
  /** Where the platform is reached from outside, for agents' cards; absent, what the request says. */
  EXTERNAL_PLATFORM_URL: z.string().optional(),
  /** How long calls in flight may take when the service stops, in seconds. */
  A2A_DRAIN_SECONDS: configPieces.seconds(4),
  /** Exactly `true` lets agents speak to their user by way of MCP (spec 2 §7.11). */
  MOLECULE_MCP_ALLOW_SEND_MESSAGE: z.string().default(''),
  /** What GitHub signs its webhooks with; without it there are none (spec 2 §7.14). */
  GITHUB_WEBHOOK_SECRET: z.string().trim().default(''),
});
export type Config = z.infer<typeof Config>;

const DEFAULT_IDLE_SECONDS = 300;

/** Spec 2 §1.7: a plain integer of seconds, 1 or more. `warning` for what is there and is none. */
export function idleTimeout(text: string): { ms: number; warning: string | null } {
  if (/^\+?\d+$/.test(text)) {
    const seconds = Number(text);
    if (seconds >= 1 && Number.isSafeInteger(seconds)) return { ms: seconds * 1000, warning: null };
  }
  const warning =
    text === '' ? null : `A2A_IDLE_TIMEOUT_SECONDS is no whole number of seconds above 0; ${DEFAULT_IDLE_SECONDS} is used`;
  return { ms: DEFAULT_IDLE_SECONDS * 1000, warning };
}

/** A positive number, else the fallback (spec 2 §4.5). */
export function positive(text: string, fallback: number): number {
  const value = /^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : 0;
  return value > 0 && Number.isFinite(value) ? value : fallback;
}

const YES = new Set(['1', 't', 'T', 'TRUE', 'true', 'True']);
const NO = new Set(['0', 'f', 'F', 'FALSE', 'false', 'False']);

/** `undefined`: the environment does not say. */
export const inContainer = (text: string): boolean | undefined => (YES.has(text) ? true : NO.has(text) ? false : undefined);
