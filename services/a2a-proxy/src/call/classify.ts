/**
 * What a dispatch that got no answer means (spec 2 §1.9), and what an answer means (§1.10). Pure and total: no error object and
 * no reply, however odd, makes these throw.
 */
import { isObject, own } from './normalise.ts';

export type FailureKind =
  /** The request was never made: the address is not one we dial. */
  | 'unsafe'
  /** The agent is there and does not answer, or hung up: it is busy. */
  | 'busy'
  /** Nobody is there, or it speaks something else. */
  | 'unreachable';

export interface Failure {
  readonly kind: FailureKind;
  /** Canned text, fit for logs and facts: no address, no header, no secret in it. */
  readonly detail: string;
}

/** Why we gave a call up ourselves. */
export class GaveUp extends Error {
  readonly reason: 'idle' | 'deadline' | 'memory' | 'stopping';
  constructor(reason: GaveUp['reason']) {
    super(GIVEN_UP[reason]);
    this.reason = reason;
  }
}

const GIVEN_UP = {
  idle: 'no activity of the workspace within the idle window',
  deadline: 'deadline exceeded',
  memory: 'too many large replies at once',
  stopping: 'the platform is stopping',
} as const;

const RESET = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED']);

const UNREACHABLE: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOTFOUND: 'host not found',
  EAI_AGAIN: 'host lookup failed',
  EHOSTUNREACH: 'no route to host',
  ENETUNREACH: 'network unreachable',
  ETIMEDOUT: 'connection timed out',
  UND_ERR_CONNECT_TIMEOUT: 'connection timed out',
  UND_ERR_HEADERS_OVERFLOW: 'response headers too large',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'malformed response',
  /** What the parser's own assertions catch: a status that is none. */
  ERR_ASSERTION: 'malformed response',
};

/** `isUnsafe` tells the guard's refusal at the dial from everything else. */
export function classifyFailure(error: unknown, isUnsafe: (error: unknown) => boolean): Failure {
  if (error instanceof GaveUp) return { kind: 'busy', detail: error.message };
  if (isUnsafe(error)) return { kind: 'unsafe', detail: 'address refused' };
  const code = text(error, 'code');
  const name = text(error, 'name');
  const message = text(error, 'message');
  if (code.startsWith('UND_ERR_INVALID')) return { kind: 'unsafe', detail: 'request could not be built' };
  if (RESET.has(code)) {
    // A peer that hangs up while TLS is being set up never saw the request.
    if (message.includes('TLS')) return { kind: 'unreachable', detail: 'TLS handshake failed' };
    return { kind: 'busy', detail: 'connection reset' };
  }
  if (code === 'UND_ERR_SOCKET')
    return message.startsWith('bad ')
      ? { kind: 'unreachable', detail: 'malformed response' }
      : { kind: 'busy', detail: 'unexpected end of stream' };
  if (name === 'HTTPParserError' || code.startsWith('HPE_'))
    return code === 'HPE_INVALID_EOF_STATE'
      ? { kind: 'busy', detail: 'unexpected end of stream' }
      : { kind: 'unreachable', detail: 'malformed response' };
  if (name === 'UnresolvedName') return { kind: 'unreachable', detail: 'host not found' };
  const known = Object.hasOwn(UNREACHABLE, code) ? UNREACHABLE[code] : undefined;
  return { kind: 'unreachable', detail: known ?? 'connection failed' };
}

/** A property of whatever was thrown, as text. */
function text(error: unknown, name: string): string {
  if (typeof error !== 'object' || error === null) return '';
  const value = (error as Record<string, unknown>)[name];
  return typeof value === 'string' ? value : '';
}

/** What an agent's body says, as far as the platform looks into it. `json` is undefined for what is not JSON. */
export interface Reply {
  readonly text: string;
  readonly json: unknown;
  readonly isJson: boolean;
}

/** Most readers of one that was cut want to know no more than that: megabytes are not decoded for nothing. */
class CutReply implements Reply {
  readonly json = undefined;
  readonly isJson = false;
  readonly #body: Buffer;

  constructor(body: Buffer) {
    this.#body = body;
  }

  get text(): string {
    return this.#body.toString('utf8');
  }
}

/** Reads a reply. `whole: false` (it was cut at the limit) is never JSON. Never throws. */
export function readReply(body: Buffer, whole: boolean): Reply {
  if (!whole) return new CutReply(body);
  const decoded = body.toString('utf8');
  try {
    return { text: decoded, json: JSON.parse(decoded), isJson: true };
  } catch {
    return { text: decoded, json: undefined, isJson: false };
  }
}

/** The top-level `error` of a reply if it is a string, else the status's own phrase (spec 2 §1.10). */
export function errorOf(body: Buffer, whole: boolean, phrase: string): string {
  const error = own(readReply(body, whole).json, 'error');
  return typeof error === 'string' ? error : phrase;
}

/** `result.metadata.tool_trace` of a reply as JSON text, if there is one. */
export function toolTraceOf(json: unknown): string | null {
  const trace = own(own(own(json, 'result'), 'metadata'), 'tool_trace');
  if (trace === undefined || trace === null) return null;
  try {
    return JSON.stringify(trace);
  } catch {
    return null; // too deep to be written again
  }
}

/** The text of a reply (spec 2 §2.4): the first text part of `result.parts`, else of `result.artifacts[].parts`, else the body. */
export function replyText(json: unknown, raw: string): string {
  const result = own(json, 'result');
  const direct = firstText(own(result, 'parts'));
  if (direct !== undefined) return direct;
  const artifacts = own(result, 'artifacts');
  if (Array.isArray(artifacts))
    for (const artifact of artifacts) {
      const found = firstText(own(artifact, 'parts'));
      if (found !== undefined) return found;
    }
  return raw;
}

function firstText(parts: unknown): string | undefined {
  if (!Array.isArray(parts)) return undefined;
  for (const part of parts) {
    if (!isObject(part) || own(part, 'kind') !== 'text') continue;
    const found = own(part, 'text');
    if (typeof found === 'string') return found;
  }
  return undefined;
}
