/** What the proxy's features are given to work with. A feature names the parts it needs, and gets no others. */

import type { RuntimeCapabilities } from '@molecule/capabilities';
import type { LiveEvent, WorkspaceId } from '@molecule/contracts';
import type { Directory } from '@molecule/directory';
import type { Ledger } from '@molecule/event-store';
import type { Clock, Log, Mode } from '@molecule/service';
import type { Instants } from './activity/instants.ts';
import type { Endpoints } from './call/endpoints.ts';
import type { ReplyMemory } from './call/reply-body.ts';
import type { Targets } from './call/targets.ts';
import type { Tables } from './database.ts';
import type { Recorder } from './record/recorder.ts';

export interface Parts {
  readonly ledger: Ledger<Tables>;
  readonly directory: Directory;
  readonly capabilities: RuntimeCapabilities;
  readonly endpoints: Endpoints;
  readonly targets: Targets;
  readonly recorder: Recorder;
  /** What the backend says of a workspace's container; `true` whenever it cannot say (spec 2 §1.9). */
  readonly isAlive: (workspaceId: string) => Promise<boolean>;
  /** Has a sleeping workspace woken, once however often it is asked; returns at once. */
  readonly wake: (workspaceId: WorkspaceId) => void;
  /** What to dial for a stored URL (spec 2 §1.5 step 3). */
  readonly dialled: (url: string, workspaceId: string) => string;
  readonly say: (event: LiveEvent) => void;
  readonly clock: Clock;
  /** The order of rows (spec 2 §4.2). */
  readonly instants: Instants;
  readonly newId: () => string;
  readonly log: Log;
  readonly mode: Mode;
  /** This process, in the log and among the workers. */
  readonly worker: string;
  readonly idleTimeoutMs: number;
  readonly replyMemory: ReplyMemory;
}
