/** The six services. */
import { z } from 'zod';

export const SERVICES = ['gateway', 'registry', 'a2a-proxy', 'scheduler', 'provisioner', 'sweeper'] as const;
export const ServiceName = z.enum(SERVICES);
export type ServiceName = z.infer<typeof ServiceName>;

/** The services that own facts, and the PostgreSQL schema each keeps them in. */
export const SCHEMAS = {
  registry: 'registry',
  'a2a-proxy': 'a2a_proxy',
  scheduler: 'scheduler',
  provisioner: 'provisioner',
  sweeper: 'sweeper',
} as const satisfies Partial<Record<ServiceName, string>>;
export type LedgerService = keyof typeof SCHEMAS;
