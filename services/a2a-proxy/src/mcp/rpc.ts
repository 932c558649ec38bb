/** JSON-RPC as the MCP endpoint speaks it (spec 2 §7.11, ADR 20): bytes in, a call or what is wrong with it; and answers as text. Pure. */
import { parseJson } from '@molecule/http';
import { compact, memberSpan, skipSpace } from '../call/json-text.ts';
import { isObject, own } from '../call/normalise.ts';

export interface RpcCall {
  /** As JSON text, to be echoed as it came; `null`: it came without one. */
  readonly id: string | null;
  /** `''`: none, as in an answer of a client. */
  readonly method: string;
  readonly params: unknown;
}

export const RPC = {
  parseError: -32_700,
  methodNotFound: -32_601,
  invalidParams: -32_602,
  internal: -32_603,
  /** A tool failed, or the request is none that we take. */
  failed: -32_000,
} as const;

/** What a method came to, when that is no result. */
export class RpcFailure extends Error {
  readonly code: number;

  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }

  override get name(): string {
    return 'RpcFailure';
  }
}

/** A tool that could not do what it was called for. The caller reads the text. */
export const toolFailure = (text: string): RpcFailure => new RpcFailure(RPC.failed, text);

/** @throws RpcFailure of a body that is no call */
export function readCall(body: Buffer): RpcCall {
  const value = parseJson(body);
  if (value === undefined) throw parseError('the body is not valid JSON');
  if (Array.isArray(value)) throw parseError('one request at a time, a batch is none');
  if (!isObject(value)) throw parseError('a request is a JSON object');
  const method = own(value, 'method') ?? '';
  if (typeof method !== 'string') throw parseError('method is a text');
  const text = body.toString('utf8');
  const span = memberSpan(text, skipSpace(text, 0), 'id');
  return { id: span ? compact(text.slice(span.start, span.end)) : null, method, params: own(value, 'params') };
}

export const parseError = (why: string): RpcFailure => new RpcFailure(RPC.parseError, `parse error: ${why}`);

export const resultText = (id: string | null, result: unknown): string =>
  `{"jsonrpc":"2.0","id":${id ?? 'null'},"result":${JSON.stringify(result)}}`;

export const errorText = (id: string | null, { code, message }: RpcFailure): string =>
  `{"jsonrpc":"2.0","id":${id ?? 'null'},"error":${JSON.stringify({ code, message })}}`;

/** Neither a result nor an error: what a notification comes to for clients that wait for a body. */
export const nothingText = (id: string | null): string => `{"jsonrpc":"2.0","id":${id ?? 'null'}}`;
