/** A workspace in any situation, and the table of the specification, for tests. */
import { WORKSPACE_STATUSES, type WorkspaceFact } from '@molecule/contracts';
import type { LiveStatus, PresentWorkspace } from './workspace.ts';

export const aWorkspace = (differs: Partial<PresentWorkspace> = {}): PresentWorkspace => ({
  situation: 'present',
  status: 'online',
  name: 'atlas',
  role: null,
  tier: 3,
  runtime: 'echo',
  external: false,
  parentId: null,
  url: '',
  internalUrl: '',
  located: false,
  workspaceDir: null,
  collapsed: false,
  canvas: { x: 0, y: 0 },
  idleMinutes: null,
  budgetLimit: null,
  agent: null,
  tokens: [],
  ...differs,
});

/** The table of spec 1 §2.2 with §9 #5 and #10, as data: what may follow from what, and the event that tells of it. */
const TABLE: Readonly<Record<string, string>> = {
  'provisioning → online (heartbeat)': 'WORKSPACE_ONLINE',
  'provisioning → failed (provision-failed)': 'WORKSPACE_PROVISION_FAILED',
  'provisioning → failed (no-backend)': 'WORKSPACE_PROVISION_FAILED',
  'provisioning → failed (provision-timed-out)': 'WORKSPACE_PROVISION_FAILED',
  'provisioning → failed (bootstrap-failed)': 'WORKSPACE_PROVISION_FAILED',
  'online → degraded (wedged)': 'WORKSPACE_DEGRADED',
  'online → degraded (error-rate)': 'WORKSPACE_DEGRADED',
  'degraded → degraded (error-rate)': 'WORKSPACE_DEGRADED', // the second fact of one beat, §2.3
  'degraded → online (recovered)': 'WORKSPACE_ONLINE',
  'offline → online (heartbeat)': 'WORKSPACE_ONLINE',
  'online → offline (liveness-lost)': 'WORKSPACE_OFFLINE',
  'degraded → offline (liveness-lost)': 'WORKSPACE_OFFLINE',
  'failed → offline (liveness-lost)': 'WORKSPACE_OFFLINE',
  'online → offline (container-exited)': 'WORKSPACE_OFFLINE',
  'degraded → offline (container-exited)': 'WORKSPACE_OFFLINE',
  'online → offline (remote-stale)': 'WORKSPACE_OFFLINE',
  'degraded → offline (remote-stale)': 'WORKSPACE_OFFLINE',
  'online → offline (agent-unreachable)': 'WORKSPACE_OFFLINE',
  'degraded → offline (agent-unreachable)': 'WORKSPACE_OFFLINE',
  'failed → offline (agent-unreachable)': 'WORKSPACE_OFFLINE',
  'awaiting_agent → offline (agent-unreachable)': 'WORKSPACE_OFFLINE',
  'paused → provisioning (resume)': 'WORKSPACE_PROVISIONING',
  'hibernated → provisioning (wake)': 'WORKSPACE_PROVISIONING',
  'online → hibernating (hibernate)': 'none',
  'degraded → hibernating (hibernate)': 'none',
  'hibernating → hibernated (hibernate)': 'WORKSPACE_HIBERNATED',
};
export const EVERY_LIVE = WORKSPACE_STATUSES.filter((status): status is LiveStatus => status !== 'removed');
/** All of it. */
export const ROWS: Readonly<Record<string, string>> = {
  ...TABLE,
  ...Object.fromEntries(
    EVERY_LIVE.flatMap((from) => [
      [`${from} → provisioning (restart)`, 'WORKSPACE_PROVISIONING'],
      ...(from === 'paused' || from === 'hibernated'
        ? []
        : [[`${from} → provisioning (auto-restart)`, 'WORKSPACE_PROVISIONING']]),
      ...(from === 'paused' ? [] : [[`${from} → paused (pause)`, 'WORKSPACE_PAUSED']]),
      // External: no container to start, so the agent is waited for (§9 #10).
      ...(from === 'awaiting_agent' ? [] : [[`${from} → awaiting_agent (restart)`, 'WORKSPACE_AWAITING_AGENT']]),
    ]),
  ),
  'paused → awaiting_agent (resume)': 'WORKSPACE_AWAITING_AGENT',
  'hibernated → awaiting_agent (wake)': 'WORKSPACE_AWAITING_AGENT',
};

/** Which row a fact is, and the event that it tells. */
export const rowOf = (fact: WorkspaceFact): [row: string, event: string] => {
  if (fact.type !== 'workspace.status') throw new TypeError(`not a change of status: ${fact.type}`);
  const { from, to, reason, event } = fact.data;
  return [`${from} → ${to} (${reason})`, event?.type ?? 'none'];
};
