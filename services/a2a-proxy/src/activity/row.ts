/** One row of a workspace's activity, whoever wrote it (spec 2 §1.11, §4.1), and the event that tells of it. */
import type { LiveEvent, MessageSource } from '@molecule/contracts';
import type { Envelope } from '../message/decisions.ts';

export interface ActivityRow {
  readonly id: string;
  readonly workspace_id: string;
  readonly activity_type: string;
  readonly source_kind: MessageSource;
  readonly source_id: string | null;
  readonly target_id: string | null;
  readonly method: string | null;
  readonly summary: string | null;
  /** JSON text, as it was sent and as it came back. */
  readonly request_body: string | null;
  readonly response_body: string | null;
  readonly tool_trace: string | null;
  readonly duration_ms: number | null;
  readonly status: string;
  readonly error_detail: string | null;
  /** Microseconds since the epoch, so that rows of one process keep their order. */
  readonly created_us: number;
  readonly body_bytes: number;
  /** Nobody is told of it (`ACTIVITY_LOGGED`): something else tells (spec 2 §4.1). */
  readonly quiet?: true;
}

/** About how much memory a row takes: agents may say as much outside its bodies as in them. */
export const sizeOf = ({ body_bytes, method, summary, status, error_detail }: ActivityRow): number =>
  body_bytes + (method?.length ?? 0) + (summary?.length ?? 0) + status.length + (error_detail?.length ?? 0);

/** What PostgreSQL cannot hold in text is left out: NUL, and halves of surrogate pairs. */
export const storable = (text: string): string => {
  const formed = text.isWellFormed() ? text : text.toWellFormed();
  return formed.includes('\0') ? formed.replaceAll('\0', '') : formed;
};

export interface Written {
  readonly id: string;
  readonly envelope: Envelope;
  readonly name: string;
  readonly request: string;
  readonly durationMs: number;
  readonly createdUs: number;
}

/** The success row: the agent answered, whatever it said. `response`: its JSON, or `null` JSON if it sent none. */
export function answeredRow(
  { id, envelope, name, request, durationMs, createdUs }: Written,
  { response, toolTrace, upstreamStatus }: { response: string; toolTrace: string | null; upstreamStatus: number },
): ActivityRow {
  return {
    id,
    workspace_id: envelope.workspaceId,
    activity_type: 'a2a_receive',
    source_kind: envelope.source,
    source_id: envelope.callerId,
    target_id: envelope.workspaceId,
    method: envelope.method,
    summary: storable(`${envelope.method} → ${name}`),
    request_body: request,
    response_body: response,
    tool_trace: toolTrace,
    duration_ms: durationMs,
    status: upstreamStatus >= 400 ? 'error' : 'ok',
    error_detail: null,
    created_us: createdUs,
    body_bytes: request.length + response.length + (toolTrace?.length ?? 0),
  };
}

/** The failure row: nothing was heard of the agent. */
export function failedRow({ id, envelope, name, request, durationMs, createdUs }: Written, detail: string): ActivityRow {
  return {
    id,
    workspace_id: envelope.workspaceId,
    activity_type: 'a2a_receive',
    source_kind: envelope.source,
    source_id: envelope.callerId,
    target_id: envelope.workspaceId,
    method: envelope.method,
    summary: storable(`A2A request to ${name} failed: ${detail}`),
    request_body: request,
    response_body: null,
    tool_trace: null,
    duration_ms: durationMs,
    status: 'error',
    error_detail: detail,
    created_us: createdUs,
    body_bytes: request.length,
  };
}

/** A tool trace beyond this many characters is not told, only stored: bus messages stay small (D10). */
const MAX_TOLD_TRACE = 8 * 1024;

/** `ACTIVITY_LOGGED` (spec 2 §4.1): no id, no bodies. */
export function activityLogged(row: ActivityRow): LiveEvent {
  return {
    event: 'ACTIVITY_LOGGED',
    workspaceId: row.workspace_id,
    timestamp: new Date(row.created_us / 1000).toISOString(),
    payload: {
      activity_type: row.activity_type,
      method: row.method,
      summary: row.summary,
      status: row.status,
      source_id: row.source_id,
      target_id: row.target_id,
      duration_ms: row.duration_ms,
      ...(row.tool_trace !== null && row.tool_trace.length <= MAX_TOLD_TRACE ? { tool_trace: JSON.parse(row.tool_trace) } : {}),
    },
  };
}
