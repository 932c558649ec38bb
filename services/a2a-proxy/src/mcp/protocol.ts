/**
 * Which MCP a client speaks (ADR 20). Pure.
 *
 *   M1. Who says nothing of itself gets the answers of spec 2 §7.11 to the byte.
 *   M2. Who speaks streamable HTTP says so: by the header of its protocol version, or by taking event streams for an answer, as that
 *       transport demands. It gets JSON answers, and 202 without a body for what is no request.
 */
import type { Implementation, InitializeResult } from '@modelcontextprotocol/sdk/types.js';
import { own } from '../call/normalise.ts';

export type Dialect = 'plain' | 'streamable';

/** The version of old; also for who asks for one that we do not know. */
export const OLDEST_VERSION = '2024-11-05';
/** Versions that we agree to. 2025-03-26 alone demands batches: who asks for it gets the oldest. */
const AGREED: ReadonlySet<string> = new Set(['2025-11-25', '2025-06-18', OLDEST_VERSION]);
/** Versions that a request may say it is of: a proxy in between may say what the transport's default is. */
const KNOWN: ReadonlySet<string> = new Set([...AGREED, '2025-03-26']);

const SERVER: Implementation = { name: 'molecule-a2a', version: '1.0.0' };

export interface Headers {
  readonly 'mcp-protocol-version'?: string | string[] | undefined;
  readonly accept?: string | undefined;
}

/** M1, M2. */
export const dialectOf = (headers: Headers): Dialect =>
  headers['mcp-protocol-version'] !== undefined || /\btext\/event-stream\b/i.test(headers.accept ?? '') ? 'streamable' : 'plain';

/** A version that a request claims and nobody here knows, for the error that says so; `null`: none is claimed, or it is known. */
export function unknownVersion(headers: Headers): string | null {
  const claimed = headers['mcp-protocol-version'];
  if (claimed === undefined) return null;
  const version = String(claimed);
  return KNOWN.has(version) ? null : version.slice(0, 32);
}

export function initialized(params: unknown): InitializeResult {
  const asked = own(params, 'protocolVersion');
  return {
    protocolVersion: typeof asked === 'string' && AGREED.has(asked) ? asked : OLDEST_VERSION,
    capabilities: { tools: { listChanged: false } },
    serverInfo: SERVER,
  };
}
