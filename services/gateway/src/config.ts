/**
 * Everything the gateway reads from its environment; nothing else in the service looks there.
 *
 * The rule of design §7 stands here too: what listens beyond this machine must not be open by accident. Development listens on
 * loopback alone; the default mode needs `ADMIN_TOKEN` or an explicit `MOLECULE_ALLOW_OPEN=1`; production needs its secrets.
 */
import { isIP } from 'node:net';
import { configPieces, modeOf } from '@molecule/service';
import { KEY_WANTED, readEncryptionKey } from '@molecule/vault';
import { z } from 'zod';

const Fields = z.object({
  NATS_URL: configPieces.natsUrl,
  LOG_LEVEL: configPieces.logLevel,
  MOLECULE_ENV: configPieces.moleculeEnv,
  MOLECULE_INTERNAL_KEY: configPieces.internalKey,
  HOST: configPieces.host,
  PORT: configPieces.port(8080),
  OPS_PORT: configPieces.port(9080),
  /** Opens every door; once it is set, no door is open without a credential. */
  ADMIN_TOKEN: z.string().optional(),
  /** Listen beyond loopback although nothing protects a fresh installation. */
  MOLECULE_ALLOW_OPEN: configPieces.flag,
  /** The vault's key. The gateway has no use for it; production does not start without it anywhere. */
  SECRETS_ENCRYPTION_KEY: z.string().optional(),
  /** Origins of pages that may call us, separated by commas. */
  CORS_ORIGINS: z.string().optional(),
  /** Requests that one address may make in a minute. */
  RATE_LIMIT: configPieces.lenientCount(600),
  /** Sockets and event streams that one address may have open at a time. */
  CONNECTIONS_PER_ADDRESS: configPieces.count(2_000),
  /** Production: how many different wrong credentials one address may show in a minute. */
  AUTH_FAILURES_PER_MINUTE: configPieces.count(60),
  /** The organisation whose platform this is; requests that were meant for another are not here. */
  MOLECULE_ORG_ID: z.string().optional(),
  /** Its name at the control plane, which vouches for sessions of its members. */
  MOLECULE_ORG_SLUG: z.string().optional(),
  /** A control plane: vouches for sessions, and answers `/cp/…`. */
  CP_UPSTREAM_URL: configPieces.httpUrl.optional(),
  /** A canvas: answers what nobody here does, and its pages are of our origin. */
  CANVAS_PROXY_URL: configPieces.httpUrl.optional(),
  /** The directory of the generated reference documents; unset, those that come with Molecule. */
  REFERENCE_DIR: z.string().default(''),
  /** Where the services listen that do not run in this process; several URLs for several replicas. */
  REGISTRY_URL: configPieces.serviceUrls('http://127.0.0.1:8081'),
  A2A_PROXY_URL: configPieces.serviceUrls('http://127.0.0.1:8082'),
  SCHEDULER_URL: configPieces.serviceUrls('http://127.0.0.1:8083'),
  PROVISIONER_URL: configPieces.serviceUrls('http://127.0.0.1:8084'),
  SWEEPER_URL: configPieces.serviceUrls('http://127.0.0.1:8085'),
});
type Fields = z.infer<typeof Fields>;

export const Config = Fields.superRefine(
  (config, context) => {
    for (const { name, allowed } of openDoors(config)) context.addIssue({ code: 'custom', path: [name], message: allowed });
  },
  // Also when other settings are wrong, so that all mistakes are told at once.
  { when: () => true },
);
export type Config = z.infer<typeof Config>;

/** What is missing for this configuration to be safe where it listens. */
function openDoors(config: Fields): { name: keyof Fields; allowed: string }[] {
  const mode = modeOf(config.MOLECULE_ENV);
  const beyond = !isLoopback(config.HOST);
  const noAdmin = config.ADMIN_TOKEN === undefined;
  const missing: { name: keyof Fields; allowed: string }[] = [];
  if (mode === 'development' && beyond)
    missing.push({ name: 'HOST', allowed: 'a loopback address such as 127.0.0.1: development is open to whoever reaches it' });
  if (mode === 'default' && beyond && noAdmin && !config.MOLECULE_ALLOW_OPEN) {
    const allowed = `a secret, because HOST=${config.HOST} is reachable by others (or MOLECULE_ALLOW_OPEN=1)`;
    missing.push({ name: 'ADMIN_TOKEN', allowed });
  }
  if (mode === 'production' && noAdmin)
    missing.push({ name: 'ADMIN_TOKEN', allowed: 'a secret, because MOLECULE_ENV is production' });
  if (mode === 'production' && readEncryptionKey(config.SECRETS_ENCRYPTION_KEY).kind !== 'key')
    missing.push({ name: 'SECRETS_ENCRYPTION_KEY', allowed: KEY_WANTED });
  return missing;
}

export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
