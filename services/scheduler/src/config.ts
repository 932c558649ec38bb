/** Everything the scheduler reads from its environment; nothing else in the service looks there. */
import { configPieces } from '@molecule/service';
import { z } from 'zod';

export const Config = z.object({
  NATS_URL: configPieces.natsUrl,
  DATABASE_URL: configPieces.databaseUrl,
  LOG_LEVEL: configPieces.logLevel,
  MOLECULE_INTERNAL_KEY: configPieces.internalKey,
  HOST: configPieces.host,
  PORT: configPieces.port(8083),
  OPS_PORT: configPieces.port(9083),
  /** Where the a2a-proxy answers: what is due is sent through it. */
  A2A_PROXY_URL: configPieces.serviceUrls('http://127.0.0.1:8082'),
  /** How often it looks for what is due, in seconds. */
  SCHEDULER_TICK_SECONDS: configPieces.seconds(30),
  /** A workspace that has been silent for this long no longer counts as having declared anything, in seconds. */
  LIVENESS_LEASE_SECONDS: configPieces.seconds(180),
});
export type Config = z.infer<typeof Config>;
