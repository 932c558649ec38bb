/** Everything the registry reads from its environment; nothing else in the service looks there. */
import { configPieces, modeOf } from '@molecule/service';
import { KEY_WANTED, readEncryptionKey } from '@molecule/vault';
import { z } from 'zod';

const Fields = z.object({
  NATS_URL: configPieces.natsUrl,
  DATABASE_URL: configPieces.databaseUrl,
  LOG_LEVEL: configPieces.logLevel,
  MOLECULE_ENV: configPieces.moleculeEnv,
  MOLECULE_INTERNAL_KEY: configPieces.internalKey,
  HOST: configPieces.host,
  PORT: configPieces.port(8081),
  OPS_PORT: configPieces.port(9081),
  /** What opens the test-token route, when it is set (spec 1 §4.4). */
  ADMIN_TOKEN: z.string().optional(),
  /** `1` keeps the test-token route open in production. */
  MOLECULE_ENABLE_TEST_TOKENS: z.string().default(''),
  /** Which addresses agents may register (spec 1 §3.8). */
  MOLECULE_DEPLOY_MODE: z.string().default(''),
  MOLECULE_ORG_ID: z.string().default(''),
  /** Where agents reach the platform from outside; else what the request says. */
  EXTERNAL_PLATFORM_URL: z.string().optional(),
  /** How long a canvas session stays open, in hours. */
  SESSION_HOURS: configPieces.hours(12),
  /** A workspace that has been silent for this long no longer counts as having declared anything, in seconds. */
  LIVENESS_LEASE_SECONDS: configPieces.seconds(180),
  /** What the sweeper goes by; here they are only explained. */
  PROVISION_TIMEOUT_SECONDS: z.string().optional(),
  REMOTE_LIVENESS_STALE_AFTER: z.string().optional(),
  /** Where the a2a-proxy answers: restarted agents are told of their restart through it. */
  A2A_PROXY_URL: configPieces.serviceUrls('http://127.0.0.1:8082'),
  /** Seals secrets; without one they are stored as they are, but not in production (spec 3 §6.1). */
  SECRETS_ENCRYPTION_KEY: z.string().optional(),
  /** Templates of workspaces; unset, those that come with Molecule. */
  CONFIGS_DIR: z.string().default(''),
  /** Templates of organisations, and the manifest that lists the runtimes; unset, both are looked for in the usual places. */
  ORG_TEMPLATES_DIR: z.string().default(''),
  WORKSPACE_MANIFEST_PATH: z.string().default(''),
});

export const Config = Fields.superRefine(
  ({ MOLECULE_ENV, SECRETS_ENCRYPTION_KEY }, context) => {
    const { kind } = readEncryptionKey(SECRETS_ENCRYPTION_KEY);
    if (kind === 'key' || modeOf(MOLECULE_ENV) !== 'production') return;
    context.addIssue({ code: 'custom', path: ['SECRETS_ENCRYPTION_KEY'], message: KEY_WANTED });
  },
  // Also when other settings are wrong, so that all mistakes are told at once.
  { when: () => true },
);
export type Config = z.infer<typeof Config>;
