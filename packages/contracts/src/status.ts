/** The ten statuses of a workspace (spec 1 §2.1) and why one followed another. Decided in one place: the registry (D5). */
import { z } from 'zod';

export const WORKSPACE_STATUSES = [
  'provisioning',
  'online',
  'degraded',
  'offline',
  'failed',
  'paused',
  'hibernating',
  'hibernated',
  'awaiting_agent',
  'removed',
] as const;
export const WorkspaceStatus = z.enum(WORKSPACE_STATUSES);
export type WorkspaceStatus = z.infer<typeof WorkspaceStatus>;

/** What moved a workspace from one status to the next. */
export const StatusReason = z.enum([
  'created',
  'wedged',
  'error-rate',
  'recovered',
  'heartbeat',
  'liveness-lost',
  'container-exited',
  'remote-stale',
  'agent-unreachable',
  'provision-failed',
  'no-backend',
  'bootstrap-failed',
  'provision-timed-out',
  'restart',
  'auto-restart',
  'pause',
  'resume',
  'hibernate',
  'wake',
]);
export type StatusReason = z.infer<typeof StatusReason>;
