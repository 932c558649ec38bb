/**
 * Makes a JSON-RPC request of what was sent (spec 2 §1.8). What is complete already passes byte for byte; what is missing is
 * spliced into the text, so that nothing else changes.
 */
import { isUtf8 } from 'node:buffer';
import { memberSpan, skipSpace } from './json-text.ts';

export interface Normalised {
  /** What goes to the agent. */
  readonly text: string;
  /** The bytes as they came, if they pass unchanged. */
  readonly bytes: Buffer | null;
  /** For logging; `''` if it is no string. */
  readonly method: string;
  /** `params.message.messageId` if it is a non-empty string: de-duplicates the queue, and nothing else. */
  readonly messageId: string | null;
  /** `params.message.metadata.delegation_id`, likewise: what its sender says that it is part of. */
  readonly delegationId: string | null;
}

/** `null`: not a JSON object. `newId` makes the ids that are missing. */
export function normalise(bytes: Buffer, newId: () => string): Normalised | null {
  if (!isUtf8(bytes)) return null;
  const text = bytes.toString('utf8');
  const request = parseObject(text);
  if (request === null) return null;

  const message = own(own(request, 'params'), 'message');
  const lacksId = isObject(message) && !Object.hasOwn(message, 'messageId');
  const messageId = lacksId ? newId() : own(message, 'messageId');
  const method = own(request, 'method');
  const known = {
    method: typeof method === 'string' ? method : '',
    messageId: someText(messageId),
    delegationId: someText(own(own(message, 'metadata'), 'delegation_id')),
  };

  if (Object.hasOwn(request, 'jsonrpc')) {
    if (!lacksId) return { text, bytes, ...known };
    return {
      text: withMessageId(text, skipSpace(text, 0), String(messageId), Object.keys(message).length === 0),
      bytes: null,
      ...known,
    };
  }
  const root = skipSpace(text, 0);
  const methodText = slice(text, root, 'method');
  const params = slice(text, root, 'params');
  const bare = `{"jsonrpc":"2.0","id":"${newId()}","method":${methodText},"params":${params}}`;
  if (!lacksId) return { text: bare, bytes: null, ...known };
  return { text: withMessageId(bare, 0, String(messageId), Object.keys(message).length === 0), bytes: null, ...known };
}

const someText = (value: unknown): string | null => (typeof value === 'string' && value !== '' ? value : null);

/** Puts the id first into `params.message` of the request at `root`. */
function withMessageId(text: string, root: number, messageId: string, alone: boolean): string {
  const params = memberSpan(text, root, 'params');
  const message = params && memberSpan(text, params.start, 'message');
  if (!message) return text;
  const at = message.start + 1;
  return `${text.slice(0, at)}"messageId":"${messageId}"${alone ? '' : ','}${text.slice(at)}`;
}

function slice(text: string, root: number, name: string): string {
  const span = memberSpan(text, root, name);
  return span ? text.slice(span.start, span.end) : 'null';
}

/** The text as a JSON object, else `null`. Never throws. */
function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** A member that the object really has: what hangs on its prototype is nothing that was sent. */
export const own = (value: unknown, name: string): unknown =>
  isObject(value) && Object.hasOwn(value, name) ? value[name] : undefined;
