/** Branded UUIDs: a `ScheduleId` does not compile where a `WorkspaceId` is asked for. */
import { z } from 'zod';

const GUID = z.regexes.guid;

const id = <Brand extends string>() => z.guid().toLowerCase().brand<Brand>();

export const WorkspaceId = id<'WorkspaceId'>();
export type WorkspaceId = z.infer<typeof WorkspaceId>;

export const TokenId = id<'TokenId'>();
export type TokenId = z.infer<typeof TokenId>;

/** One accepted A2A message; the `queue_id` of the wire when it is queued. */
export const MessageId = id<'MessageId'>();
export type MessageId = z.infer<typeof MessageId>;

export const ScheduleId = id<'ScheduleId'>();
export type ScheduleId = z.infer<typeof ScheduleId>;

export const DelegationId = id<'DelegationId'>();
export type DelegationId = z.infer<typeof DelegationId>;

/** Without zod: asked of every request, and to say no the schema makes an error with a stack. */
export const isWorkspaceId = (text: string): text is WorkspaceId => typeof text === 'string' && GUID.test(text);

/** Spec 3 §1.2: the first twelve characters of a workspace id name its container and volumes. */
export const id12 = (workspaceId: string): string => workspaceId.slice(0, 12);

/** RFC 3339, UTC. */
export const Timestamp = z.iso.datetime({ offset: true });
export type Timestamp = z.infer<typeof Timestamp>;
