/** What the scheduler's features are given to work with. A feature names the parts it needs, and gets no others. */
import type { RuntimeCapabilities } from '@molecule/capabilities';
import type { Directory } from '@molecule/directory';
import type { Ledger } from '@molecule/event-store';
import type { ServiceClient } from '@molecule/http';
import type { Clock, Log } from '@molecule/service';
import type { Tables } from './database.ts';

export interface Parts {
  readonly ledger: Ledger<Tables>;
  readonly directory: Directory;
  readonly capabilities: RuntimeCapabilities;
  readonly a2aProxy: ServiceClient;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly log: Log;
  /** This process, as workers are named. */
  readonly worker: string;
}
