/** What the gateway's own routes are given to work with. */
import type { Parked } from '@molecule/bus';
import type { LedgerService, RebuildReport, ServiceHealth, ServiceName } from '@molecule/contracts';
import type { Basics } from '@molecule/service';
import type { Reference } from './reference/documents.ts';

export interface Parts extends Pick<Basics, 'log' | 'clock'> {
  /** What is counted here, and by the services that run in this process beside us. */
  readonly registries: readonly Basics['metrics'][];
  /** Health of a service, within a bound. Rejects when it does not answer. */
  readonly healthOf: (service: ServiceName) => Promise<ServiceHealth>;
  readonly rebuild: (service: LedgerService, check: boolean) => Promise<RebuildReport>;
  /** What services could not digest, the newest first, at most 100. */
  readonly parked: () => Promise<readonly Parked[]>;
  /** Gives it once more to the one that had set it aside. `false`: there is none of this sequence. */
  readonly redrive: (sequence: number) => Promise<boolean>;
  readonly reference: Reference;
  /** Production: figures are for those who may see them (design §7). */
  readonly production: boolean;
}
