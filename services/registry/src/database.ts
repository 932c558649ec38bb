/** The registry's tables, as `migrations/registry/` makes them. */
import type { Json, WorkspaceAccess, WorkspaceId, WorkspaceStatus } from '@molecule/contracts';
import type { ColumnType, Generated } from 'kysely';

/** Written as RFC 3339, so that the database's microseconds survive; read as a date. */
type Instant = ColumnType<Date, string, string>;
type NullableInstant = ColumnType<Date | null, string | null, string | null>;
/** The driver reads 64-bit numbers as text. */
type Big = ColumnType<string, number, number>;
type NullableBig = ColumnType<string | null, number | null, number | null>;
/** Written as JSON text; `null` in the column is "none". */
type JsonColumn = ColumnType<Json, string | null, string | null>;

interface EventRow {
  event_id: string;
  event_type: string;
  workspace_id: string;
  payload: ColumnType<Json, string, string>;
  version: number;
  created_at: Instant;
}

export interface Tables {
  workspaces: {
    workspace_id: WorkspaceId;
    version: number;
    name: string;
    role: string | null;
    tier: number;
    runtime: string;
    external: boolean;
    parent_id: WorkspaceId | null;
    status: WorkspaceStatus;
    status_since: Instant;
    status_error: string | null;
    status_error_at: NullableInstant;
    url: string;
    internal_url: string;
    /** Where the provisioner said that the agent runs; `''` where it did not. */
    located_url: string;
    agent_card: JsonColumn;
    registered_at: NullableInstant;
    template: string;
    model: string;
    workspace_dir: string | null;
    workspace_access: WorkspaceAccess;
    awareness_namespace: string;
    max_concurrent_tasks: number;
    budget_limit: NullableBig;
    hibernation_idle_minutes: number | null;
    x: number;
    y: number;
    collapsed: boolean;
    created_at: Instant;
    updated_at: Instant;
  };
  tokens: {
    token_id: string;
    workspace_id: string;
    hash: string;
    prefix: string;
    issued_by: string;
    issued_at: Instant;
    revoked_at: NullableInstant;
  };
  structure_events: EventRow;
  foreign_events: EventRow;
  workspace_vitals: {
    workspace_id: WorkspaceId;
    last_beat_at: Instant;
    active_tasks: number;
    error_rate: number;
    sample_error: string;
    uptime_seconds: Big;
    current_task: string;
    monthly_spend: Big;
  };
  container_runs: { workspace_id: string; run: number };
  org_tokens: {
    token_id: string;
    hash: string;
    prefix: string;
    name: string;
    org_id: string;
    created_by: string;
    issued_at: Instant;
    version: number;
    revoked_at: NullableInstant;
  };
  sessions: {
    session_id: string;
    hash: string;
    opened_by: 'admin' | 'org';
    admin_key: string | null;
    token_id: string | null;
    opened_at: Instant;
    expires_at: Instant;
    closed_at: NullableInstant;
  };
  access_log: {
    fact_id: string;
    type: string;
    workspace_id: string | null;
    data: ColumnType<Json, string, string>;
    version: number;
    recorded_at: Instant;
  };
  token_uses: { token_id: string; last_used_at: Instant };
  workspace_config: { workspace_id: string; document: ColumnType<Json, string, string> };
  agents: {
    id: string;
    workspace_id: string;
    model: string;
    status: 'active' | 'replaced' | 'removed';
    removed_at: NullableInstant;
    removal_reason: string | null;
    created_at: Instant;
  };
  workspace_secrets: {
    workspace_id: string;
    key: string;
    version: number;
    value: Buffer;
    created_at: Instant;
    updated_at: Instant;
  };
  memories: {
    id: string;
    workspace_id: string;
    namespace: string;
    scope: 'LOCAL' | 'TEAM' | 'GLOBAL';
    content: string;
    created_at: Instant;
  };
  canvas_viewport: { only_one: Generated<boolean>; x: number; y: number; zoom: number };
}
