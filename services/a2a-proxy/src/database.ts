/** The a2a-proxy's tables, as `migrations/a2a-proxy/` makes them. */
import type { Lineage, MessageSource } from '@molecule/contracts';
import type { ColumnType, Generated } from 'kysely';

export type ItemStatus = 'queued' | 'dispatched' | 'completed' | 'failed' | 'dropped';

export type DelegationStatus = 'pending' | 'dispatched' | 'queued' | 'completed' | 'failed';

/** A timestamp that is written as text, because a `Date` would cut its microseconds. */
type Instant = ColumnType<Date, Date | string, Date | string>;

export interface Tables {
  messages: {
    message_id: string;
    workspace_id: string;
    idempotency_key: string | null;
    body: string;
    /** Names and values in turn. */
    headers: Generated<readonly string[]>;
    active: Generated<boolean>;
    reply: Generated<string | null>;
    reply_is_json: Generated<boolean | null>;
    reply_bytes: Generated<number | null>;
    traceparent: string | null;
    created_at: Generated<Date>;
  };
  mailbox: {
    message_id: string;
    workspace_id: string;
    caller_id: string | null;
    source: MessageSource;
    priority: number;
    method: string;
    idempotency_key: string | null;
    /** `bigint`: text when read. */
    sequence: ColumnType<string, string | number, never>;
    enqueued_at: Instant;
    dispatched_at: Instant | null;
    completed_at: Instant | null;
    attempts: number;
    status: ItemStatus;
    worker: string | null;
    last_error: string | null;
    /** JSON text when written. */
    lineage: ColumnType<Lineage | null, string | null, string | null>;
    expires_at: Instant | null;
  };
  delegations: {
    tracking_id: string;
    delegation_id: string;
    workspace_id: string;
    target_id: string;
    carried_out_by: 'platform' | 'agent';
    status: DelegationStatus;
    message_id: string | null;
    attempt: number;
    worker: string | null;
    sent_at: Instant;
    changed_at: Instant;
  };
  delegation_tasks: {
    tracking_id: string;
    workspace_id: string;
    idempotency_key: string | null;
    /** JSON text when written. */
    task: ColumnType<unknown, string | null, string | null>;
    message_id: string;
    result_id: string;
    /** JSON text when written. */
    origin: ColumnType<unknown, string | null, string | null>;
    created_at: Generated<Date>;
  };
  delegation_waits: {
    message_id: string;
    workspace_id: string;
    target_id: string;
    delegation_id: string;
    handled: Generated<boolean>;
    created_at: Generated<Date>;
  };
  workers: { worker: string; alive_until: Date; open_since: Date };
  activity: {
    id: string;
    workspace_id: string;
    activity_type: string;
    source_kind: string;
    source_id: string | null;
    target_id: string | null;
    method: string | null;
    summary: string | null;
    request_body: unknown;
    response_body: unknown;
    tool_trace: unknown;
    duration_ms: number | null;
    status: string;
    error_detail: string | null;
    created_at: Date;
    body_bytes: number;
  };
  token_usage: {
    workspace_id: string;
    day: ColumnType<Date, string, string>;
    /** `bigint`: text when read. */
    input_tokens: ColumnType<string, number, number>;
    output_tokens: ColumnType<string, number, number>;
    call_count: ColumnType<string, number, number>;
  };
  usage_portions: { id: string; added_at: Generated<Date> };
  a2a_outbound: { workspace_id: string; last_outbound_at: Date };
}
