/** What the provisioner's features are given to work with. A feature names the parts it needs, and gets no others. */
import type { Bus } from '@molecule/bus';
import type { Directory } from '@molecule/directory';
import type { Ledger } from '@molecule/event-store';
import type { Log } from '@molecule/service';
import type { Templates } from '@molecule/templates';
import type { Backend } from './backends/backend.ts';
import type { Tables } from './database.ts';

export interface Parts {
  readonly bus: Bus;
  readonly ledger: Ledger<Tables>;
  readonly directory: Directory;
  readonly backend: Backend;
  readonly installation: string;
  readonly templates: Templates;
  /** `''`: there is no such service. */
  readonly awarenessUrl: string;
  /** A directory of the host for workspaces that name none, or `''`. */
  readonly workspaceDir: string;
  readonly log: Log;
}
