/** Workspaces as the wire shows them (spec 1 §1.1, §3.7). */
import type { WorkspaceRow } from './queries.ts';
import type { Vitals } from './vitals.ts';

/** How long starts of a runtime may take, in seconds, where its templates say (§1.12). */
export type Timeouts = ReadonlyMap<string, number>;

/** What anybody may see. Of a beat, nothing that tells what the agent is doing. */
const publicPart = (row: WorkspaceRow, vitals: Vitals | null) => ({
  id: row.workspace_id,
  name: row.name,
  role: row.role === '' ? null : row.role,
  tier: row.tier,
  status: row.status,
  url: row.url,
  parent_id: row.parent_id,
  agent_card: row.agent_card,
  active_tasks: vitals?.activeTasks ?? 0,
  max_concurrent_tasks: row.max_concurrent_tasks,
  last_error_rate: vitals?.errorRate ?? 0,
  uptime_seconds: vitals?.uptimeSeconds ?? 0,
  runtime: row.runtime === '' ? 'langgraph' : row.runtime,
  x: row.x,
  y: row.y,
  collapsed: row.collapsed,
});

export const budgetLimitOf = ({ budget_limit: limit }: WorkspaceRow): number | null => (limit === null ? null : Number(limit));

/** A hint for people who wait: the sweep has limits of its own. */
function provisionTimeout({ runtime }: WorkspaceRow, timeouts: Timeouts) {
  const seconds = timeouts.get(runtime);
  return seconds === undefined ? {} : { provision_timeout_ms: seconds * 1_000 };
}

/** An element of `GET /workspaces`. */
export const listed = (row: WorkspaceRow, vitals: Vitals | null, timeouts: Timeouts) => ({
  ...publicPart(row, vitals),
  ...provisionTimeout(row, timeouts),
  last_sample_error: lastSampleError(row, vitals),
  current_task: vitals?.currentTask ?? '',
  workspace_dir: row.workspace_dir === '' ? null : row.workspace_dir,
  budget_limit: budgetLimitOf(row),
  monthly_spend: vitals?.monthlySpend ?? 0,
});

/** `GET /workspaces/:id`. */
export const single = (
  row: WorkspaceRow,
  {
    vitals,
    timeouts,
    lastOutboundAt,
  }: { readonly vitals: Vitals | null; readonly timeouts: Timeouts; readonly lastOutboundAt: string | null },
) => ({
  ...publicPart(row, vitals),
  ...provisionTimeout(row, timeouts),
  last_outbound_at: lastOutboundAt,
});

/** An element of `GET /registry/:id/peers`. */
export const peer = (row: WorkspaceRow, vitals: Vitals | null) => {
  const { id, name, role, tier, status, agent_card, url, parent_id, active_tasks } = publicPart(row, vitals);
  return { id, name, role, tier, status, agent_card, url, parent_id, active_tasks };
};

/** `GET /workspaces/:id/budget` (§1.10); `budget_used` is what canvases read (README choice 9). */
export const budget = (limit: number | null, vitals: Vitals | null) => {
  const spend = vitals?.monthlySpend ?? 0;
  return {
    budget_limit: limit,
    monthly_spend: spend,
    budget_remaining: limit === null ? null : limit - spend,
    budget_used: spend,
  };
};

/** A failed start and the beats both write it: the newer one counts. */
function lastSampleError(row: WorkspaceRow, vitals: Vitals | null): string {
  const failedAt = row.status_error_at?.getTime() ?? -1;
  return vitals !== null && vitals.lastBeatAt >= failedAt ? vitals.sampleError : (row.status_error ?? '');
}
