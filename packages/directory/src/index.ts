/** The public surface of @molecule/directory. What is not named here is private to the package. */
export { applyFact, isWorkspaceFact } from './apply-fact.ts';
export { Barrier } from './barrier.ts';
export { canCommunicate, MAX_HOPS, type ParentLookup } from './can-communicate.ts';
export { type AccessListener, type ChangeListener, Directory, type DirectoryOptions, type FactListener } from './directory.ts';
export type { TokenOwner } from './entries.ts';
export { exposeDirectoryLag } from './metrics.ts';
export { BarrierReply, BarrierRequest, Presence } from './presence.ts';
export { TRUSTED_FOR_MS } from './proof.ts';
