/** What canvases are told of a reply: `A2A_RESPONSE` (spec 2 §1.11). Pure. */
import type { Json, LiveEvent } from '@molecule/contracts';
import { type Reply, replyText } from './classify.ts';

/** Beyond this many characters of JSON the canvas gets the reply's text only: bus messages stay small (D10). The rest is in the activity. */
const MAX_TOLD = 32 * 1024;
const MAX_TOLD_TEXT = 16 * 1024;

export function a2aResponse(
  workspaceId: string,
  reply: Reply,
  { method, durationMs, at }: { method: string; durationMs: number; at: Date },
): LiveEvent {
  return {
    event: 'A2A_RESPONSE',
    workspaceId,
    timestamp: at.toISOString(),
    payload: { response_body: told(reply), method, duration_ms: durationMs },
  };
}

function told({ json, text, isJson }: Reply): Json {
  if (!isJson) return null;
  if (text.length <= MAX_TOLD) return json as Json;
  const shortened = replyText(json, text).slice(0, MAX_TOLD_TEXT).toWellFormed();
  return { jsonrpc: '2.0', result: { parts: [{ kind: 'text', text: shortened }] }, truncated: true };
}
