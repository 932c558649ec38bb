/** What the gateway's own routes are given to work with. */
import type { LedgerService, RebuildReport, ServiceHealth, ServiceName } from '@molecule/contracts';
import type { Basics } from '@molecule/service';

export interface Parts extends Pick<Basics, 'log' | 'clock' | 'metrics'> {
  /** Health of a service, within a bound. Rejects when it does not answer. */
  readonly healthOf: (service: ServiceName) => Promise<ServiceHealth>;
  readonly rebuild: (service: LedgerService, check: boolean) => Promise<RebuildReport>;
  /** Production: figures are for those who may see them (design §7). */
  readonly production: boolean;
}
