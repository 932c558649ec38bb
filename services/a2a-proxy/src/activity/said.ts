/**
 * What agents say of themselves: activity that they log (spec 2 §4.3), and messages for the user's chat (§4.4). Pure: bodies in, rows
 * and events out.
 */
import type { Json, LiveEvent } from '@molecule/contracts';
import { z } from 'zod';
import { preview } from './preview.ts';
import { type ActivityRow, storable } from './row.ts';

export const AGENT_TYPES = [
  'a2a_send',
  'a2a_receive',
  'task_update',
  'agent_log',
  'skill_promotion',
  'memory_write',
  'error',
] as const;

const text = z.string().nullish();

export const LoggedBody = z.object({
  /** One of the types of agents. */
  activity_type: text,
  method: text,
  summary: text,
  target_id: text,
  source_id: text,
  status: text,
  error_detail: text,
  duration_ms: z.int().nullish(),
  request_body: z.unknown().optional(),
  response_body: z.unknown().optional(),
  /** Stands in for a request body that is not there. */
  metadata: z.unknown().optional(),
});
export type LoggedBody = z.infer<typeof LoggedBody>;

export interface Where {
  readonly id: string;
  readonly workspaceId: string;
  readonly atUs: number;
}

/** The row of an agent's own log. Empty texts are stored as null. */
export function loggedRow({ id, workspaceId, atUs }: Where, activityType: string, body: LoggedBody): ActivityRow {
  const request = jsonText(body.request_body ?? body.metadata);
  const response = jsonText(body.response_body);
  return {
    id,
    workspace_id: workspaceId,
    activity_type: activityType,
    source_kind: 'self',
    source_id: workspaceId,
    target_id: body.target_id?.toLowerCase() || null,
    method: body.method || null,
    summary: body.summary || null,
    request_body: request,
    response_body: response,
    tool_trace: null,
    duration_ms: body.duration_ms ?? null,
    status: body.status || 'ok',
    error_detail: body.error_detail || null,
    created_us: atUs,
    body_bytes: (request?.length ?? 0) + (response?.length ?? 0),
  };
}

const jsonText = (value: unknown): string | null => (value === undefined || value === null ? null : JSON.stringify(value));

const Attachment = z.object({
  uri: z.string().nullish(),
  name: z.string().nullish(),
  mimeType: z.string().nullish(),
  size: z.number().nullish(),
});

export const NotifyBody = z.object({
  message: z.string().min(1),
  attachments: z.array(Attachment).nullish(),
});
export type NotifyBody = z.infer<typeof NotifyBody>;

/** As it is shown: what is empty or zero is left out. */
export interface AttachedFile {
  readonly uri: string;
  readonly name: string;
  readonly mimeType?: string;
  readonly size?: number;
}

/** Every attachment, or the index of the first that lacks what it must have. */
export function attachedFiles(attachments: NotifyBody['attachments']): readonly AttachedFile[] | { readonly offending: number } {
  const files: AttachedFile[] = [];
  for (const [index, { uri, name, mimeType, size }] of (attachments ?? []).entries()) {
    if (!uri || !name) return { offending: index };
    files.push({ uri, name, ...(mimeType && { mimeType }), ...(size && { size }) });
  }
  return files;
}

/** In the shape in which the chat is rebuilt after a reload (spec 2 §4.4, §8.7). */
export function notifyRow({ id, workspaceId, atUs }: Where, message: string, files: readonly AttachedFile[]): ActivityRow {
  const parts = files.map((file) => ({ kind: 'file', file }));
  const response = JSON.stringify({ result: message, ...(parts.length > 0 && { parts }) });
  return {
    id,
    workspace_id: workspaceId,
    activity_type: 'a2a_receive',
    // What an agent says to its user is shown in the user's chat, where a row without a source belongs.
    source_kind: 'canvas',
    source_id: null,
    target_id: null,
    method: 'notify',
    summary: storable(`Agent message: ${preview(message, SUMMARY_BYTES, '…')}`),
    request_body: null,
    response_body: response,
    tool_trace: null,
    duration_ms: null,
    status: 'ok',
    error_detail: null,
    created_us: atUs,
    body_bytes: response.length,
  };
}

const SUMMARY_BYTES = 80;
/** Beyond this a message is told in part: bus messages stay small (D10). The whole of it is in the activity. */
const MAX_TOLD_CHARACTERS = 12 * 1024;
const MAX_TOLD_FILES = 8 * 1024;

/** `AGENT_MESSAGE`: what the chat shows at once. */
export function agentMessage(
  { workspaceId, atUs }: Omit<Where, 'id'>,
  { name, message, files }: { readonly name: string; readonly message: string; readonly files: readonly AttachedFile[] },
): LiveEvent {
  const told = message.length <= MAX_TOLD_CHARACTERS ? message : message.slice(0, MAX_TOLD_CHARACTERS).toWellFormed();
  const allFiles = JSON.stringify(files).length <= MAX_TOLD_FILES;
  return {
    event: 'AGENT_MESSAGE',
    workspaceId,
    timestamp: new Date(atUs / 1000).toISOString(),
    payload: {
      message: told,
      workspace_id: workspaceId,
      name,
      ...(files.length > 0 && allFiles && { attachments: files as unknown as Json }),
      ...((told !== message || !allFiles) && { truncated: true }),
    },
  };
}
