/** The public surface of @molecule/event-store. What is not named here is private to the package. */
export { CommitUnknown, isUnavailable, LateLoad, UnreadableFact, VersionConflict } from './errors.ts';
export { takeOnce } from './heard.ts';
export { type Leadership, whileLeading } from './leading.ts';
export { MigrationRefused } from './migrate.ts';
export { type OpenLedgerOptions, openLedger } from './open.ts';
export { type RelayedLedger, type RelayOptions, type RelayTarget, startRelay } from './relay.ts';
export type { TargetMark } from './relay-place.ts';
export {
  type Aggregate,
  type AnyAggregate,
  type AnyProjection,
  type Appended,
  type CommandMeta,
  type Commit,
  type Entry,
  type Fold,
  type HistoryQuestion,
  type Ledger,
  type Loaded,
  type LogCursor,
  type LogPage,
  type Projection,
  type Recorded,
  replay,
  type Tx,
} from './types.ts';
