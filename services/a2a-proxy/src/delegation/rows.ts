/** The two rows of activity that a delegation leaves with the delegating workspace (spec 2 §3), and what its facts say. Pure. */
import { preview } from '../activity/preview.ts';
import { type ActivityRow, storable } from '../activity/row.ts';
import type { About, Ending } from './decisions.ts';

const TASK_BYTES = 100;
const SUMMARY_BYTES = 80;
const RESPONSE_BYTES = 200;
/** Facts are small (D10); the row keeps the whole of it. */
const ERROR_BYTES = 2_000;

/** What became of the task, as told: in full for the row, cut for the fact. */
export type Told =
  | { readonly outcome: 'completed'; readonly text: string }
  | { readonly outcome: 'failed'; readonly error: string };

export const taskPreview = (task: string): string => preview(storable(task), TASK_BYTES, '...');

export const endingOf = (told: Told): Ending =>
  told.outcome === 'completed'
    ? { outcome: 'completed', responsePreview: preview(storable(told.text), RESPONSE_BYTES, '...') }
    : { outcome: 'failed', error: preview(storable(told.error), ERROR_BYTES, '...') };

interface Where {
  readonly id: string;
  readonly atUs: number;
}

const row = ({ id, atUs }: Where, workspaceId: string, targetId: string | null) =>
  ({
    id,
    workspace_id: workspaceId,
    activity_type: 'delegation',
    source_kind: 'workspace',
    source_id: workspaceId,
    target_id: targetId,
    tool_trace: null,
    duration_ms: null,
    created_us: atUs,
  }) as const;

export function requestRow(where: Where, about: About, task: string, status: 'pending' | 'dispatched'): ActivityRow {
  const request = JSON.stringify({ task: storable(task), delegation_id: about.delegationId });
  return {
    ...row(where, about.workspaceId, about.targetId),
    method: 'delegate',
    summary: `Delegating to ${about.targetId}`,
    request_body: request,
    response_body: null,
    status,
    error_detail: null,
    body_bytes: request.length,
  };
}

/** `targetId`: `null` where the agent told of the end itself (spec 2 §3.4). */
export function resultRow(
  where: Where,
  { delegationId, workspaceId }: Pick<About, 'delegationId' | 'workspaceId'>,
  targetId: string | null,
  told: Told | 'queued',
): ActivityRow {
  const base = { ...row(where, workspaceId, targetId), method: 'delegate_result', request_body: null };
  if (told === 'queued') {
    const response = JSON.stringify({ delegation_id: delegationId, queued: true });
    return {
      ...base,
      status: 'queued',
      summary: 'Delegation queued — target at capacity',
      response_body: response,
      error_detail: null,
      body_bytes: response.length,
    };
  }
  if (told.outcome === 'failed') {
    const error = storable(told.error);
    return { ...base, status: 'failed', summary: 'Delegation failed', response_body: null, error_detail: error, body_bytes: 0 };
  }
  const text = storable(told.text);
  const response = JSON.stringify({ text, delegation_id: delegationId });
  return {
    ...base,
    status: 'completed',
    summary: `Delegation completed (${preview(text, SUMMARY_BYTES, '...')})`,
    response_body: response,
    error_detail: null,
    body_bytes: response.length,
  };
}
