/** Everything the sweeper reads from its environment; nothing else in the service looks there. */
import { configPieces } from '@molecule/service';
import { z } from 'zod';

export const Config = z.object({
  NATS_URL: configPieces.natsUrl,
  DATABASE_URL: configPieces.databaseUrl,
  LOG_LEVEL: configPieces.logLevel,
  MOLECULE_INTERNAL_KEY: configPieces.internalKey,
  HOST: configPieces.host,
  PORT: configPieces.port(8085),
  OPS_PORT: configPieces.port(9085),
  /** A workspace that has been silent for this long is reported lost, in seconds. */
  LIVENESS_LEASE_SECONDS: configPieces.seconds(180),
  /** Spec 1 §2.5: how long a remote agent may be silent, in seconds; anything but a whole number above 0 is the default. */
  REMOTE_LIVENESS_STALE_AFTER: z.string().optional(),
  /** How often it looks for orphans, in seconds. */
  SWEEP_INTERVAL_SECONDS: configPieces.seconds(60),
  /** A labelled resource without a row is left alone for this long after it was made or first seen, in seconds. */
  ORPHAN_GRACE_SECONDS: configPieces.seconds(60),
  /** Spec 3 §3.4: an integer above 0 is the limit for every runtime; anything else leaves the limits of the table. */
  PROVISION_TIMEOUT_SECONDS: z.string().optional(),
});
export type Config = z.infer<typeof Config>;
