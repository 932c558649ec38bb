/** What the sweeper's passes are given to work with. A pass names the parts it needs, and gets no others. */
import type { Bus } from '@molecule/bus';
import type { RuntimeCapabilities } from '@molecule/capabilities';
import type { Directory } from '@molecule/directory';
import type { Ledger } from '@molecule/event-store';
import type { Clock, Log } from '@molecule/service';
import type { Tables } from './database.ts';

export interface Parts {
  readonly bus: Bus;
  readonly ledger: Ledger<Tables>;
  readonly directory: Directory;
  readonly capabilities: RuntimeCapabilities;
  readonly clock: Clock;
  readonly log: Log;
}
