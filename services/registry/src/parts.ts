/** What the registry's features are given to work with. A feature names the parts it needs, and gets no others. */
import type { Bus } from '@molecule/bus';
import type { Barrier } from '@molecule/directory';
import type { Ledger } from '@molecule/event-store';
import type { NetGuard } from '@molecule/net-guard';
import type { Clock, Log, Mode } from '@molecule/service';
import type { Templates } from '@molecule/templates';
import type { Vault } from '@molecule/vault';
import type { Config } from './config.ts';
import type { Tables } from './database.ts';
import type { Fleet } from './workspace/fleet.ts';
import type { LastOutbound } from './workspace/last-outbound.ts';
import type { Lists } from './workspace/lists.ts';
import type { Mint } from './workspace/minting.ts';
import type { Past } from './workspace/past.ts';
import type { RestartContexts } from './workspace/restart-contexts.ts';
import type { WorkspaceStore } from './workspace/store.ts';

export interface Parts {
  readonly bus: Bus;
  readonly ledger: Ledger<Tables>;
  readonly store: WorkspaceStore;
  readonly fleet: Fleet;
  readonly lists: Lists;
  readonly past: Past;
  readonly lastOutbound: LastOutbound;
  readonly barrier: Barrier;
  readonly guard: NetGuard;
  readonly mint: Mint;
  readonly vault: Vault;
  readonly templates: Templates;
  readonly contexts: RestartContexts;
  readonly clock: Clock;
  readonly newId: () => string;
  readonly log: Log;
  readonly mode: Mode;
  readonly settings: Pick<
    Config,
    | 'ADMIN_TOKEN'
    | 'MOLECULE_ENV'
    | 'MOLECULE_ENABLE_TEST_TOKENS'
    | 'EXTERNAL_PLATFORM_URL'
    | 'SESSION_HOURS'
    | 'LIVENESS_LEASE_SECONDS'
    | 'PROVISION_TIMEOUT_SECONDS'
    | 'REMOTE_LIVENESS_STALE_AFTER'
  >;
}
